"""Largest gaps and worst groups, with intervals that hold for the largest of many.

The largest of k estimated gaps is too large on average, the more the smaller the groups are: eight groups of 50 rows
with the same true rate of 0.8 differ by 0.16. So the interval comes from all pairs at once: with intervals of every
pairwise difference that hold together with 95 %, the true largest gap lies between the largest lower end and the
largest upper end. Pairs are Newcombe's with Tukey's quantile; ratios are Koopman's. See methods/statistics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.statistics import two_rates
from modelyard.methods.statistics.simultaneous import all_pairs, each
from modelyard.methods.statistics.wilson import wilson

Interval = tuple[float, float]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
ALPHA = 0.05
FREEDOMS = (*map(float, range(1, 31)), 40.0, 60.0, 100.0, 200.0, 500.0, 2000.0)
"""Degrees of freedom a quantile is computed for."""


@dataclass(frozen=True)
class Rate:
    """A rate by group: `hits` and `sizes` [groups] of the groups that have enough rows for it."""

    hits: Ints
    sizes: Ints

    @property
    def values(self) -> Floats:
        """[groups]."""
        return self.hits / self.sizes


@dataclass(frozen=True)
class Gap:
    """A gap, a ratio or a worst value over groups.

    Attributes:
        groups: places of the two groups (of the one) it stands between, the lower first.
    """

    value: float
    interval: Interval
    n: int
    groups: tuple[int, ...]


def difference(rate: Rate, alpha: float = ALPHA) -> Gap:
    """Largest less smallest rate. Needs two groups at least."""
    z = all_pairs(len(rate.hits), alpha)
    low = high = 0.0
    for first, second in combinations(range(len(rate.hits)), 2):
        ends = two_rates.newcombe(*_pair(rate, first, second), z)
        low, high = max(low, ends[0], -ends[1]), max(high, ends[1], -ends[0])
    least, most = int(rate.values.argmin()), int(rate.values.argmax())
    return Gap(float(rate.values[most] - rate.values[least]), (low, high), int(rate.sizes.sum()), (least, most))


def ratio(rate: Rate, alpha: float = ALPHA) -> Gap:
    """Smallest over largest rate. Needs two groups at least, and a hit."""
    values = rate.values
    least, most = int(values.argmin()), int(values.argmax())
    z = all_pairs(len(rate.hits), alpha)
    low = high = 1.0
    for first, second in combinations(range(len(rate.hits)), 2):
        ends = two_rates.ratio(*_pair(rate, first, second), z)
        flipped = (1 / ends[1] if ends[1] else math.inf), (1 / ends[0] if ends[0] else math.inf)
        low, high = min(low, ends[0], flipped[0]), min(high, ends[1], flipped[1])
    return Gap(float(values[least] / values[most]), (low, high), int(rate.sizes.sum()), (least, most))


def _pair(rate: Rate, first: int, second: int) -> tuple[int, int, int, int]:
    return int(rate.hits[first]), int(rate.sizes[first]), int(rate.hits[second]), int(rate.sizes[second])


def lowest(rate: Rate, alpha: float = ALPHA) -> Gap:
    """The lowest rate of all groups; Wilson's ends with Šidák's quantile, so that they hold for the lowest too."""
    z = each(len(rate.hits), alpha)
    ends = [wilson(int(hits), int(size), z) for hits, size in zip(rate.hits, rate.sizes, strict=True)]
    place = int(rate.values.argmin())
    interval = min(low for low, _ in ends), min(high for _, high in ends)
    return Gap(float(rate.values[place]), interval, int(rate.sizes.sum()), (place,))


def means_difference(values: Sequence[Floats], alpha: float = ALPHA) -> Gap:
    """Largest less smallest mean of groups of numbers, each with two rows at least.

    Welch's errors and Tukey's quantile for every pair (Games and Howell 1976).
    """
    means = np.array([float(one.mean()) for one in values])
    errors = np.array([float(one.var(ddof=1)) / one.size for one in values])
    low = high = 0.0
    for first, second in combinations(range(len(values)), 2):
        gap = abs(float(means[first] - means[second]))
        reach = _reach(errors[[first, second]], [values[first].size, values[second].size], len(values), alpha)
        low, high = max(low, gap - reach), max(high, gap + reach)
    least, most = int(means.argmin()), int(means.argmax())
    return Gap(float(means[most] - means[least]), (low, high), sum(one.size for one in values), (least, most))


def _reach(errors: Floats, sizes: Sequence[int], groups: int, alpha: float) -> float:
    total = float(errors.sum())
    if total == 0:
        return 0.0
    freedom = total**2 / sum(float(error) ** 2 / (size - 1) for error, size in zip(errors, sizes, strict=True))
    # The next smaller of a few: conservative, and the quantile is slow enough to be worth remembering.
    known = max((one for one in FREEDOMS if one <= freedom), default=1.0)
    return all_pairs(groups, alpha, known) * math.sqrt(total)


def largest(gaps: Sequence[Gap]) -> Gap:
    """The largest of gaps whose intervals hold together."""
    top = max(gaps, key=lambda gap: gap.value)
    ends = max(gap.interval[0] for gap in gaps), max(gap.interval[1] for gap in gaps)
    return Gap(top.value, ends, max(gap.n for gap in gaps), top.groups)


def smallest(gaps: Sequence[Gap]) -> Gap:
    """The smallest of ratios or worst rates whose intervals hold together."""
    bottom = min(gaps, key=lambda gap: gap.value)
    ends = min(gap.interval[0] for gap in gaps), min(gap.interval[1] for gap in gaps)
    return Gap(bottom.value, ends, max(gap.n for gap in gaps), bottom.groups)
