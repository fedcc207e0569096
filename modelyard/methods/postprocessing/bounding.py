"""The lowest confidence at which answers are wrong no more often than a bound, and how sure that is.

Learn then test (Angelopoulos, Bates, Candès, Jordan and Lei 2021) with a fixed sequence: a first part of the rows says
in which order thresholds are tried; on the rest each is tested in turn, the surest first, and the walk ends at the
first that is not proven. The chance that the threshold shipped breaks the bound is at most 1 - confidence, however many
were tried. A threshold is proven if the upper Clopper-Pearson end of the error among the answered rows is within the
bound: given how many are answered, their errors are binomial.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.postprocessing.step import Floats
from modelyard.methods.statistics import clopper_pearson

Bools = NDArray[np.bool_]
GRID = 200
ORDERING = 1 / 3
"""Share of the rows that orders the thresholds."""


@dataclass(frozen=True)
class Proven:
    """A threshold whose error is bounded.

    Attributes:
        answered, wrong, n: rows of the test part at or above it, of these wrong, and all.
        upper: upper end of the error among the answered.
    """

    threshold: float
    answered: int
    wrong: int
    n: int
    upper: float


def lowest(confidence: Floats, wrong: Bools, ordering: Bools, bound: float, sure: float) -> Proven | None:
    """The lowest proven threshold; None if not even the first is.

    Args:
        confidence, wrong: of each row [n].
        ordering: rows that only order the thresholds [n]; the others test them.
        bound: highest share of wrong answers among those given.
        sure: probability with which the bound holds, over the draw of the rows.
    """
    proven = None
    for threshold in _sequence(confidence[ordering], wrong[ordering], bound):
        found = _tested(threshold, confidence[~ordering], wrong[~ordering], sure)
        if found.upper > bound:
            break
        proven = found
    return proven


def provable(confidence: Floats, wrong: Bools, ordering: Bools, sure: float) -> float | None:
    """The smallest bound, in whole percent, that `lowest` proves on these rows; None if it proves none.

    A bound chosen so has seen the rows: it is a hint where to begin, and holds a little less surely.
    """
    bounds = (percent / 100 for percent in range(1, 100))
    return next((bound for bound in bounds if lowest(confidence, wrong, ordering, bound, sure)), None)


def _tested(threshold: float, confidence: Floats, wrong: Bools, sure: float) -> Proven:
    given = confidence >= threshold
    answered, errors = int(given.sum()), int((wrong & given).sum())
    return Proven(threshold, answered, errors, wrong.size, clopper_pearson.upper(errors, answered, sure))


def _sequence(confidence: Floats, wrong: Bools, bound: float) -> list[float]:
    """Thresholds to try, falling, from the one that looks most provable: at quantiles of the confidence, then 0."""
    if not confidence.size:
        return []
    grid = np.unique(np.quantile(confidence, np.linspace(0, 1, GRID), method="inverted_cdf"))[::-1]
    grid = np.append(grid, 0.0) if grid[-1] > 0 else grid
    given = confidence[None, :] >= grid[:, None]
    answered, errors = given.sum(axis=1), (given & wrong).sum(axis=1)
    spread = np.sqrt(np.maximum(bound * (1 - bound), 1e-12) / np.maximum(answered, 1))
    start = int(np.argmin((errors / np.maximum(answered, 1) - bound) / spread))
    return [float(one) for one in grid[start:]]
