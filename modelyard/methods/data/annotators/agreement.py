"""How far annotators agree: Krippendorff's alpha, Fleiss' kappa, Cohen's kappa, and each one against the others.

Alpha takes any number of annotators, missing votes and ordered classes; it is the measure to report. Fleiss' kappa
is given beside it for comparison with older work.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.annotators.votes import Floats, Ints, Votes
from modelyard.methods.statistics.wilson import Z95, wilson

Scale = Literal["nominal", "ordinal", "interval"]
RESAMPLES = 2_000
CELLS = 20_000_000
Statistic = Callable[[Floats], Floats]
"""(B, P) weights of the P patterns in each of B resamples to B values; not-a-number where it is undefined."""


@dataclass(frozen=True)
class Estimate:
    """A coefficient with its 95 % interval over items, from `n` items with two votes or more."""

    value: float
    low: float
    high: float
    n: int


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


def patterns(counts: Ints) -> tuple[Ints, Ints]:
    """Distinct rows of votes among the items with at least two, (P, K), and how many items have each, (P,).

    Items with equal votes are exchangeable, so every statistic and every resample needs the patterns only.
    """
    pairable = counts[counts.sum(axis=1) >= 2]
    if not len(pairable):
        return pairable, np.zeros(0, dtype=np.int64)
    found, times = np.unique(pairable, axis=0, return_counts=True)
    return found.astype(np.int64), times.astype(np.int64)


def krippendorff_alpha(
    counts: Ints, scale: Scale = "nominal", values: Floats | None = None, seed: int = 0
) -> Estimate | None:
    """Krippendorff's alpha, 1 - observed / expected disagreement over all pairable votes.

    K. Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011: the coincidence matrix of section C, nominal,
    ordinal and interval differences of section E. The interval resamples items (A. Zapf et al., BMC Medical Research
    Methodology 16:93, 2016, find it to hold its level where the asymptotic one does not), with Efron's correction of
    bias and skew (see `interval`).

    Args:
        counts: (N, K) votes by item and class; classes in order if ordinal.
        scale: how unlike two classes are: nominal 0/1; ordinal by the votes between them; interval by `values`.
        values: (K,) numbers the classes stand for, for `interval`.
        seed: of the resampling.

    Returns:
        None if no item has two votes, or all votes name one class: alpha is undefined without variation.
    """
    found, times = patterns(counts)
    if not len(found):
        return None

    def statistic(weights: Floats) -> Floats:
        observed, expected = _disagreement(found, weights, scale, values)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(expected > 0, 1 - observed / expected, np.nan)

    whole = times[None, :].astype(np.float64)
    value = float(statistic(whole)[0])
    if math.isnan(value):
        return None
    n = int(times.sum())
    if value == 1.0:
        _, expected = _disagreement(found, whole, scale, values)
        worst = _largest(found, times, scale, values)
        return Estimate(value, max(-1.0, 1 - worst * wilson(0, n)[1] / float(expected[0])), 1.0, n)
    low, high = interval(statistic, times, value, seed)
    return Estimate(value, low, high, n)


def _disagreement(found: Ints, weights: Floats, scale: Scale, values: Floats | None) -> tuple[Floats, Floats]:
    """Observed and expected disagreement of each resample, (B,) each."""
    size = found.sum(axis=1)
    margins = weights @ found
    total = margins.sum(axis=1)
    if scale == "nominal":
        # Pairs within an item that differ, each item's votes weighing as much as it has votes.
        apart = (size**2 - (found**2).sum(axis=1)) / (size - 1)
        return weights @ apart / total, (total**2 - (margins**2).sum(axis=1)) / (total * (total - 1))
    if scale == "ordinal":
        # The ordinal difference is the squared distance of mid-ranks under the margins of the data at hand.
        place = np.cumsum(margins, axis=1) - margins / 2
    else:
        place = np.broadcast_to(np.asarray(values, dtype=np.float64), margins.shape)
    observed = np.empty(len(weights))
    for row, (weight, where) in enumerate(zip(weights, place, strict=True)):
        first, second = found @ where, found @ where**2
        observed[row] = weight @ (2 * (size * second - first**2) / (size - 1)) / total[row]
    spread = 2 * (total * (margins * place**2).sum(axis=1) - (margins * place).sum(axis=1) ** 2)
    return np.maximum(observed, 0.0), np.maximum(spread, 0.0) / (total * (total - 1))


def _largest(found: Ints, times: Ints, scale: Scale, values: Floats | None) -> float:
    """The largest difference two classes that occur can have."""
    margins = (times @ found).astype(np.float64)
    if scale == "nominal":
        return 1.0
    place = np.cumsum(margins) - margins / 2 if scale == "ordinal" else np.asarray(values, dtype=np.float64)
    used = place[margins > 0]
    return float((used.max() - used.min()) ** 2)


def fleiss_kappa(counts: Ints, seed: int = 0) -> Estimate | None:
    """Fleiss' kappa (J. L. Fleiss 1971, Psychological Bulletin 76), items with two votes or more.

    Where items differ in their number of votes, each item's agreement is taken over its own pairs and margins over
    all votes; with equal numbers this is Fleiss' formula. None if undefined.
    """
    found, times = patterns(counts)
    if not len(found):
        return None
    size = found.sum(axis=1)
    agree = ((found**2).sum(axis=1) - size) / (size * (size - 1))

    def statistic(weights: Floats) -> Floats:
        margins = weights @ found
        chance = (margins**2).sum(axis=1) / margins.sum(axis=1) ** 2
        mean = weights @ agree / weights.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(chance < 1, (mean - chance) / (1 - chance), np.nan)

    value = float(statistic(times[None, :].astype(np.float64))[0])
    if math.isnan(value):
        return None
    n = int(times.sum())
    if value == 1.0:
        chance = float(((times @ found) ** 2).sum() / (times @ found).sum() ** 2)
        return Estimate(value, max(-1.0, 1 - wilson(0, n)[1] / (1 - chance)), 1.0, n)
    low, high = interval(statistic, times, value, seed)
    return Estimate(value, low, high, n)


def interval(statistic: Statistic, times: Ints, value: float, seed: int) -> tuple[float, float]:
    """95 % bootstrap interval over items, bias-corrected and accelerated (B. Efron 1987, JASA 82).

    Agreement is bounded by 1 and skewed near it; on simulated votes the corrected interval holds its level where the
    percentile interval misses on the lower side, which is the side a rule reads. A resample without variation counts
    as 0, no evidence of agreement.

    Args:
        statistic: of (B, P) weights of patterns.
        times: (P,) items with each pattern.
        value: the statistic of the data.
    """
    n, num_patterns = int(times.sum()), len(times)
    source = np.random.Generator(np.random.Philox(key=seed % (1 << 64)))
    rows = max(1, min(RESAMPLES, CELLS // max(1, num_patterns)))
    drawn = []
    for start in range(0, RESAMPLES, rows):
        size = min(rows, RESAMPLES - start)
        drawn.append(statistic(source.multinomial(n, times / n, size=size).astype(np.float64)))
    values = np.nan_to_num(np.concatenate(drawn), nan=0.0)
    ends = _corrected(values, value, _jackknife(statistic, times, rows), times)
    low, high = (float(end) for end in np.quantile(values, ends))
    return min(low, value), max(high, value)


def _jackknife(statistic: Statistic, times: Ints, rows: int) -> Floats:
    """(P,): the statistic without one item of each pattern."""
    found = []
    for start in range(0, len(times), rows):
        stop = min(start + rows, len(times))
        weights = np.repeat(times[None, :].astype(np.float64), stop - start, axis=0)
        weights[np.arange(stop - start), np.arange(start, stop)] -= 1
        found.append(statistic(weights))
    return np.nan_to_num(np.concatenate(found), nan=0.0)


def _corrected(values: Floats, value: float, without: Floats, times: Ints) -> tuple[float, float]:
    """Which quantiles of the resamples are the ends: 0.025 and 0.975, moved for bias and skew."""
    normal = NormalDist()
    least = 1 / (2 * len(values))
    share = (int((values < value).sum()) + int((values == value).sum()) / 2) / len(values)
    share = min(max(share, least), 1 - least)
    apart = np.average(without, weights=times) - without
    squares, cubes = float((times * apart**2).sum()), float((times * apart**3).sum())
    skew = cubes / (6 * math.pow(squares, 1.5)) if squares > 0 else 0.0
    bias = normal.inv_cdf(share)

    def moved(quantile: float) -> float:
        reach = bias + quantile
        below = 1 - skew * reach
        return normal.cdf(bias + reach / below) if below > 0 else float(reach > 0)

    return moved(-Z95), moved(Z95)


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


def row_agreement(counts: Ints) -> Floats:
    """(N,): share of each item's pairs of votes that agree; not-a-number with fewer than two votes."""
    size = counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = ((counts**2).sum(axis=1) - size) / (size * (size - 1))
    return np.where(size >= 2, share, np.nan)
