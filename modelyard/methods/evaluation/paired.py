"""Two classifiers on the same rows: what differs, and whether it could be chance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from modelyard.methods.statistics.wilson import Z95, wilson

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Pairs:
    """Rows by who was right: both, only the first, only the second, neither."""

    both: int
    first: int
    second: int
    neither: int

    @classmethod
    def of(cls, first: Bools, second: Bools) -> Pairs:
        """From two vectors [n] of right answers on the same rows in the same order."""
        if first.shape != second.shape:
            raise ValueError(f"first {first.shape} and second {second.shape} must be about the same rows")
        return cls(
            both=int((first & second).sum()),
            first=int((first & ~second).sum()),
            second=int((~first & second).sum()),
            neither=int((~first & ~second).sum()),
        )

    @property
    def n(self) -> int:
        return self.both + self.first + self.second + self.neither

    @property
    def difference(self) -> float:
        """Accuracy of the first less accuracy of the second; NaN without rows."""
        return (self.first - self.second) / self.n if self.n else math.nan


def mcnemar_mid_p(pairs: Pairs) -> float:
    """Two-sided exact mid-p of equal accuracy (Fagerland, Lydersen and Laake 2013); 1 if nothing differs."""
    differing = pairs.first + pairs.second
    fewer = min(pairs.first, pairs.second)
    below, point = float(binom.cdf(fewer, differing, 0.5)), float(binom.pmf(fewer, differing, 0.5))
    return min(1.0, 2 * below - point)


def difference_interval(pairs: Pairs, z: float = Z95) -> tuple[float, float] | None:
    """Interval, 95 % by default, of the paired difference of accuracies: Newcombe (1998), method 10. None without rows.

    Wilson's intervals of both rates, combined with their correlation φ, which is continuity corrected.
    """
    n = pairs.n
    if n == 0:
        return None
    right = (pairs.both + pairs.first, pairs.both + pairs.second)
    rates = [hits / n for hits in right]
    (low1, high1), (low2, high2) = (wilson(hits, n, z) for hits in right)
    phi = _phi(pairs)
    below1, above1, below2, above2 = rates[0] - low1, high1 - rates[0], rates[1] - low2, high2 - rates[1]
    down = math.sqrt(max(0.0, below1**2 - 2 * phi * below1 * above2 + above2**2))
    up = math.sqrt(max(0.0, above1**2 - 2 * phi * above1 * below2 + below2**2))
    return max(-1.0, pairs.difference - down), min(1.0, pairs.difference + up)


def _phi(pairs: Pairs) -> float:
    right1, right2 = pairs.both + pairs.first, pairs.both + pairs.second
    margins = right1 * (pairs.n - right1) * right2 * (pairs.n - right2)
    if margins == 0:
        return 0.0
    cross = float(pairs.both * pairs.neither - pairs.first * pairs.second)
    if cross > 0:
        cross = max(cross - pairs.n / 2, 0.0)
    return cross / math.sqrt(margins)
