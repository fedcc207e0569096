"""How much of the answer predictions tell: AUC of classes, R² of numbers, each with what every row adds to it.

Predictions are out of fold, so that a column which only knows its rows by heart tells nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from modelyard.methods.evaluation.intervals import auc_interval, on_logit_scale
from modelyard.methods.evaluation.leaks.rows import Goal
from modelyard.methods.evaluation.ranking import roc_auc, roc_auc_influence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Telling:
    """A value, its 95 % interval, and the influence [n] of each row on it (mean 0)."""

    value: float
    interval: tuple[float, float]
    influence: Floats


def measure(goal: Goal, predicted: Floats) -> Telling:
    """AUC (of several classes: each against the rest, weighted by its share) or R² of predictions [n, m]."""
    return _r2(goal.values[:, 0], predicted[:, 0]) if goal.is_number else _auc(goal.values > 0, predicted)


def _auc(positive: NDArray[np.bool_], predicted: Floats) -> Telling:
    there = [place for place in range(positive.shape[1]) if 0 < positive[:, place].sum() < len(positive)]
    weights = positive[:, there].mean(axis=0)
    weights = weights / weights.sum()
    parts = [(positive[:, place], predicted[:, place]) for place in there]
    value = float(sum(weight * roc_auc(*part) for weight, part in zip(weights, parts, strict=True)))
    influence = sum(
        (weight * roc_auc_influence(*part) for weight, part in zip(weights, parts, strict=True)),
        np.zeros(len(positive)),
    )
    ends = auc_interval(*parts[0]) if len(there) == 1 else on_logit_scale(value, _error(influence))
    return Telling(value, ends or (value, value), influence)


def _r2(actual: Floats, predicted: Floats) -> Telling:
    squares, centred = (actual - predicted) ** 2, (actual - actual.mean()) ** 2
    whole = float(centred.mean())
    value = 1 - float(squares.mean()) / whole
    influence = -(squares - (1 - value) * centred) / whole
    half = 1.96 * _error(influence)
    return Telling(value, (value - half, min(1.0, value + half)), influence)


def _error(influence: Floats) -> float:
    return math.sqrt(float(influence @ influence)) / max(1, influence.size)


def lower_end(first: Telling, second: Telling, tests: int) -> float:
    """Lower end of first less second on the same rows, at 95 % for all `tests` together (Bonferroni, one-sided)."""
    error = _error(first.influence - second.influence)
    return first.value - second.value - float(norm.isf(0.05 / max(1, tests))) * error


def error_ratio_upper(whole: Telling, without: Telling, tests: int) -> float:
    """Upper end of (1 - whole) / (1 - without) on the same rows, at 95 % for all `tests` together.

    The ratio is below q if (1 - whole) - q (1 - without) is below 0; the end is the q at which that is just not sure
    (Fieller 1954), found by halving.
    """
    quantile = float(norm.isf(0.05 / max(1, tests)))

    def sure(ratio: float) -> bool:
        error = _error(whole.influence - ratio * without.influence)
        return (1 - whole.value) - ratio * (1 - without.value) + quantile * error < 0

    low, high = 0.0, 1.0
    if not sure(high):
        return 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if sure(middle) else (middle, high)
    return high
