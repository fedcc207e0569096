"""Ranked lists: how well scores order each user's (or query's) rows. One value a user, then their mean.

Rows of equal score are put in the order of a hash of their place in the data: neither a constant score nor data sorted
by relevance is rewarded, and the value is the same every time.

    ndcg             Σ gain / log2(place + 1) over the first k, by that of the best order (Järvelin and Kekäläinen 2002)
    map              mean over the relevant rows of the precision at their places
    mrr              1 / place of the first relevant row
    recall_at_k      relevant rows among the first k, by all relevant rows
    hit_rate         whether one of the first k is relevant

Users without a relevant row say nothing about order: they are left out and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.means import share_interval
from modelyard.methods.statistics.wilson import wilson

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lists:
    """Values of each user [users]: `map`, `mrr` and, by cut-off, `ndcg`, `recall`, `hit`.

    Attributes:
        num_empty: users without a relevant row, left out.
    """

    average_precision: Floats
    reciprocal: Floats
    ndcg: dict[int, Floats]
    recall: dict[int, Floats]
    hit: dict[int, Floats]
    num_empty: int


def grouped(users: Sequence[Any]) -> Iterator[NDArray[np.int64]]:
    """The places of each user's rows, users in order of their first row."""
    places: dict[Any, list[int]] = {}
    for place, user in enumerate(users):
        places.setdefault(user, []).append(place)
    return (np.array(found, dtype=np.int64) for found in places.values())


def ranked(gains: Floats, scores: Floats, places: NDArray[np.int64]) -> Floats:
    """Gains in the order of falling scores, ties by the hashes of their places (splitmix64, Steele et al. 2014)."""
    mixed = places.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    result: Floats = gains[np.lexsort((mixed ^ (mixed >> np.uint64(31)), -scores))]
    return result


def ndcg(gains: Floats, k: int) -> float:
    """Of gains [n] in ranked order, at least one of them above 0."""
    discounts = 1 / np.log2(np.arange(2, min(k, gains.size) + 2))
    best = -np.sort(-gains)
    return float((gains[:k] @ discounts) / (best[:k] @ discounts))


def average_precision(relevant: Floats) -> float:
    """Of 0/1 [n] in ranked order, at least one of them 1."""
    hits = np.cumsum(relevant)
    return float(((hits / np.arange(1, relevant.size + 1)) * relevant).sum() / hits[-1])


def values(users: Sequence[Any], gains: Floats, scores: Floats, cutoffs: Sequence[int]) -> Lists:
    """Every user's values. A row is relevant if its gain is above 0; gains below 0 raise ValueError."""
    if (gains < 0).any():
        raise ValueError("gains must not be negative")
    precision, reciprocal, num_empty = [], [], 0
    by_k: dict[str, dict[int, list[float]]] = {name: {k: [] for k in cutoffs} for name in ("ndcg", "recall", "hit")}
    for places in grouped(users):
        ordered = ranked(gains[places], scores[places], places)
        relevant = (ordered > 0).astype(np.float64)
        if not relevant.any():
            num_empty += 1
            continue
        precision.append(average_precision(relevant))
        reciprocal.append(1 / (int(np.argmax(relevant)) + 1))
        for k in cutoffs:
            found = float(relevant[:k].sum())
            by_k["ndcg"][k].append(ndcg(ordered, k))
            by_k["recall"][k].append(found / float(relevant.sum()))
            by_k["hit"][k].append(float(found > 0))
    arrays = {name: {k: np.array(part) for k, part in parts.items()} for name, parts in by_k.items()}
    return Lists(np.array(precision), np.array(reciprocal), arrays["ndcg"], arrays["recall"], arrays["hit"], num_empty)


def measure(lists: Lists, seed: int = 0) -> list[Estimate]:
    """Means over users with intervals over users; empty without one."""
    n = lists.reciprocal.size
    if not n:
        return []
    found = [
        Estimate("map", float(lists.average_precision.mean()), share_interval(lists.average_precision, seed), n),
        Estimate("mrr", float(lists.reciprocal.mean()), share_interval(lists.reciprocal, seed), n),
    ]
    for k in lists.ndcg:
        part = {"k": str(k)}
        found.append(Estimate("ndcg", float(lists.ndcg[k].mean()), share_interval(lists.ndcg[k], seed), n, part))
        recall = lists.recall[k]
        found.append(Estimate("recall_at_k", float(recall.mean()), share_interval(recall, seed), n, part))
        hits = int(lists.hit[k].sum())
        found.append(Estimate("hit_rate", hits / n, wilson(hits, n), n, part))
    return found
