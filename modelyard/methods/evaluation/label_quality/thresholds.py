"""From which confidence on may a model's answers stand as labels: chosen on held-out rows, with a guarantee.

For a threshold c, precision(c) is the share of right answers among those with confidence of at least c. The hypothesis
that it is below the target is tested by the exact binomial: of n answers, k wrong, the chance of k or fewer is
P(Bin(n, 1 - target) <= k) at most (the test that the lower bound of Clopper and Pearson 1934 inverts). Thresholds stand
on a fixed grid and are tested from the strictest to the mildest at the full level, until one is not rejected
(fixed-sequence testing: Bauer 1991; as risk control: Angelopoulos, Bates, Candès, Jordan and Lei 2021, "Learn then
test"). So the chance that the precision of the chosen threshold is below the target is at most the level, however many
were tried. Thresholds with so few answers that even no error would not do are passed over: that looks at counts, not
at errors.

It holds for rows like the held-out ones: a pool from elsewhere has its own precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binom

GRID = (
    0.9999, 0.9995, 0.999, 0.998, 0.995, 0.99, 0.985, 0.98, 0.97, 0.96, 0.95, 0.94, 0.92, 0.9,
    0.875, 0.85, 0.825, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0,
)  # fmt: skip
"""Confidences that are tried, strictest first. It must not depend on the data."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Precision:
    """Right answers among those above a threshold, with the 95 % interval of Clopper and Pearson."""

    right: int
    n: int

    @property
    def value(self) -> float:
        return self.right / self.n if self.n else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return clopper_pearson(self.right, self.n, 0.05)


def clopper_pearson(hits: int, n: int, alpha: float) -> tuple[float, float]:
    """Two-sided exact interval of a rate; (0, 1) for n = 0."""
    low = 0.0 if hits == 0 else float(beta.ppf(alpha / 2, hits, n - hits + 1))
    high = 1.0 if hits >= n else float(beta.ppf(1 - alpha / 2, hits + 1, n - hits))
    return low, high


def choose(confidence: Floats, right: Bools, target: float, level: float) -> float | None:
    """The mildest threshold that the tests reach, or None if the first one fails already.

    Args:
        confidence, right: [held-out answers].
        target: precision wanted.
        level: chance of ending below it.
    """
    found = None
    for threshold in GRID:
        above = confidence >= threshold
        n, wrong = int(above.sum()), int((above & ~right).sum())
        if binom.cdf(0, n, 1 - target) > level:
            continue
        if binom.cdf(wrong, n, 1 - target) > level:
            break
        found = threshold
    return found


def choose_by_class(
    predicted: NDArray[np.int64], confidence: Floats, right: Bools, num_classes: int, target: float, level: float
) -> list[float | None]:
    """A threshold for each class; the level is shared out evenly (Bonferroni), so that all hold together."""
    masks = [predicted == label for label in range(num_classes)]
    return [choose(confidence[mask], right[mask], target, level / num_classes) for mask in masks]


def measure(confidence: Floats, right: Bools, thresholds: Floats) -> Precision:
    """Precision of the answers above their row's threshold [rows]; NaN lets none through."""
    above = confidence >= thresholds
    return Precision(int((above & right).sum()), int(above.sum()))
