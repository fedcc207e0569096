"""Annotators one by one: Cohen's kappa of every two, and each against the majority of the others."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.annotators.votes import Floats, Ints, Votes
from modelyard.methods.statistics.wilson import Z95, wilson


@dataclass(frozen=True)
class Pair:
    """Cohen's kappa of two annotators (indices), with its large-sample 95 % interval, over their `n` shared items."""

    first: int
    second: int
    n: int
    agreement: float
    kappa: float
    low: float
    high: float


@dataclass(frozen=True)
class Standing:
    """One annotator against the majority of the others: `hits` of `n` items, with Wilson's interval of the share."""

    annotator: int
    num_votes: int
    n: int
    hits: int
    low: float
    high: float

    @property
    def accuracy(self) -> float:
        return self.hits / self.n if self.n else math.nan


def cohen_kappas(votes: Votes, least: int = 1) -> list[Pair]:
    """Cohen's kappa (1960) of every two annotators with at least `least` items in common, by their indices."""
    tables = _pair_tables(votes)
    num_classes = len(votes.classes)
    found = []
    for (first, second), cells in sorted(tables.items()):
        table = np.zeros((num_classes, num_classes))
        for place, times in cells:
            table[divmod(place, num_classes)] = times
        if table.sum() >= least:
            found.append(Pair(first, second, int(table.sum()), *cohen_kappa(table)))
    return found


def cohen_kappa(table: Floats) -> tuple[float, float, float, float]:
    """Agreement, Cohen's kappa and its 95 % interval, from a (K, K) table of two annotators' classes.

    The interval is the large-sample one of Fleiss, Cohen and Everitt (1969, Psychological Bulletin 72). Kappa is
    not-a-number if both use one class only.
    """
    n = table.sum()
    share = table / n
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    agree, chance = float(np.trace(share)), float(rows @ columns)
    if chance >= 1:
        return agree, math.nan, math.nan, math.nan
    kappa = (agree - chance) / (1 - chance)
    on = float((np.diag(share) * (1 - (rows + columns) * (1 - kappa)) ** 2).sum())
    sums = (columns[:, None] + rows[None, :]) ** 2
    off = (1 - kappa) ** 2 * float((share * sums).sum() - (np.diag(share) * np.diag(sums)).sum())
    rest = (kappa - chance * (1 - kappa)) ** 2
    half = Z95 * math.sqrt(max(0.0, on + off - rest) / n) / (1 - chance)
    return agree, kappa, max(-1.0, kappa - half), min(1.0, kappa + half)


def _pair_tables(votes: Votes) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """For every two annotators: (cell of the K x K table, items in it). The last vote of one on an item counts."""
    item, annotator, label = _last_votes(votes)
    num_classes, num_annotators = len(votes.classes), len(votes.annotators)
    starts = np.flatnonzero(np.r_[True, item[1:] != item[:-1]]) if len(item) else np.zeros(0, dtype=np.int64)
    ends = np.r_[starts[1:], len(item)]
    longest = int((ends - starts).max()) if len(starts) else 0
    keys = []
    for apart in range(1, longest):
        left = np.flatnonzero(item[:-apart] == item[apart:])
        right = left + apart
        pair = annotator[left] * num_annotators + annotator[right]
        keys.append((pair * num_classes + label[left]) * num_classes + label[right])
    tables: dict[tuple[int, int], list[tuple[int, int]]] = {}
    if keys:
        cells, times = np.unique(np.concatenate(keys), return_counts=True)
        for cell, count in zip(cells.tolist(), times.tolist(), strict=True):
            pair, place = divmod(cell, num_classes**2)
            tables.setdefault(divmod(pair, num_annotators), []).append((place, count))
    return tables


def _last_votes(votes: Votes) -> tuple[Ints, Ints, Ints]:
    """Votes by item, then annotator; where one gave several on an item, the last."""
    order = np.lexsort((votes.annotator, votes.item))
    item, annotator, label = votes.item[order], votes.annotator[order], votes.label[order]
    last = np.ones(len(item), dtype=bool)
    last[:-1] = (item[1:] != item[:-1]) | (annotator[1:] != annotator[:-1])
    return item[last], annotator[last], label[last]


def standings(votes: Votes) -> list[Standing]:
    """Every annotator against the majority of the others, on items where the others have one.

    Leaving the annotator out of the majority keeps the share from being lifted by the own vote.
    """
    item, annotator, label = _last_votes(votes)
    num_classes = len(votes.classes)
    flat = np.bincount(item * num_classes + label, minlength=len(votes.items) * num_classes)
    others = flat.reshape(-1, num_classes)[item]
    others[np.arange(len(item)), label] -= 1
    most = others.max(axis=1, initial=0)
    clear = (most > 0) & ((others == most[:, None]).sum(axis=1) == 1)
    hit = clear & (others[np.arange(len(item)), label] == most)
    given = _by(annotator, np.ones(len(item), dtype=bool), len(votes.annotators))
    n, hits = _by(annotator, clear, len(votes.annotators)), _by(annotator, hit, len(votes.annotators))
    return [
        Standing(place, int(given[place]), int(n[place]), int(hits[place]), *wilson(int(hits[place]), int(n[place])))
        for place in range(len(votes.annotators))
    ]


def _by(annotator: Ints, chosen: NDArray[np.bool_], num: int) -> Ints:
    return np.bincount(annotator[chosen], minlength=num).astype(np.int64)
