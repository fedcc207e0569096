"""Metrics of numbers: each value with its interval and its n.

mse, rmse, mae        mean squared error, its root, mean absolute error
median_ae             median absolute error
r2                    1 - Σ(y - f)² / Σ(y - ȳ)²; not measured if all targets are equal
mape                  mean of |y - f| / |y|; not measured if a target is 0
spearman              correlation of ranks, mid-ranks for ties
pinball               mean of max(q (y - f), (q - 1) (y - f)) for each quantile q the model gives
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from modelyard.methods.evaluation.estimates import Estimate, Interval
from modelyard.methods.evaluation.intervals import bootstrap_t
from modelyard.methods.evaluation.latency import quantile_interval
from modelyard.methods.evaluation.means import rank_correlation_interval, ratio_interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Numbers:
    """Targets and answers [n], and the quantiles the model gave, by level."""

    actual: Floats
    predicted: Floats
    quantiles: Mapping[float, Floats] = field(default_factory=dict)

    @property
    def residuals(self) -> Floats:
        """Target less answer."""
        return self.actual - self.predicted


def measure(numbers: Numbers, missing: dict[str, str], seed: int = 0) -> list[Estimate]:
    """All estimates; what cannot be measured goes into `missing`. Raises ValueError without rows."""
    n = numbers.actual.size
    if not n:
        raise ValueError("no rows to measure on")
    errors = np.abs(numbers.residuals)
    squares = errors**2
    mse, of_mse = float(squares.mean()), bootstrap_t(squares, seed=seed, non_negative=True)
    root = (math.sqrt(of_mse[0]), math.sqrt(of_mse[1])) if of_mse else None
    found = [
        Estimate("mse", mse, of_mse, n),
        Estimate("rmse", math.sqrt(mse), root, n),
        Estimate("mae", float(errors.mean()), bootstrap_t(errors, seed=seed, non_negative=True), n),
        Estimate("median_ae", float(np.median(errors)), quantile_interval(errors, 0.5), n),
        *_r2(numbers, squares, missing, seed),
        *_mape(numbers, errors, missing, seed),
        *_spearman(numbers, missing),
    ]
    for level, answers in sorted(numbers.quantiles.items()):
        losses = pinball(numbers.actual, answers, level)
        ends = bootstrap_t(losses, seed=seed, non_negative=True)
        found.append(Estimate("pinball", float(losses.mean()), ends, n, {"quantile": f"{level:g}"}))
    return found


def _r2(numbers: Numbers, squares: Floats, missing: dict[str, str], seed: int) -> list[Estimate]:
    centred = (numbers.actual - numbers.actual.mean()) ** 2
    whole = float(centred.sum())
    if not whole > 0:
        missing["r2"] = "all targets are equal"
        return []
    left = ratio_interval(squares, centred, seed)
    ends = (1 - left[1], min(1.0, 1 - left[0])) if left else None
    return [Estimate("r2", 1 - float(squares.sum()) / whole, ends, numbers.actual.size)]


def _mape(numbers: Numbers, errors: Floats, missing: dict[str, str], seed: int) -> list[Estimate]:
    size = np.abs(numbers.actual)
    if not (size > 0).all():
        missing["mape"] = "a target is 0, of which no error is a share"
        return []
    shares = errors / size
    return [Estimate("mape", float(shares.mean()), bootstrap_t(shares, seed=seed, non_negative=True), shares.size)]


def _spearman(numbers: Numbers, missing: dict[str, str]) -> list[Estimate]:
    rho = spearman(numbers.actual, numbers.predicted)
    if not math.isfinite(rho):
        missing["spearman"] = "all targets or all answers are equal"
        return []
    n = numbers.actual.size
    return [Estimate("spearman", rho, rank_correlation_interval(rho, n), n)]


def spearman(first: Floats, second: Floats) -> float:
    """Correlation of mid-ranks (Spearman 1904); NaN if one side is constant or there are fewer than 2 pairs."""
    if first.size < 2:
        return math.nan
    one, two = rankdata(first), rankdata(second)
    one, two = one - one.mean(), two - two.mean()
    spread = math.sqrt(float(one @ one) * float(two @ two))
    return max(-1.0, min(1.0, float(one @ two) / spread)) if spread > 0 else math.nan


def pinball(actual: Floats, answers: Floats, level: float) -> Floats:
    """Quantile loss of each row [n] (Koenker and Bassett 1978)."""
    errors = actual - answers
    return np.maximum(level * errors, (level - 1) * errors)


def skill(model: Floats, other: Floats, seed: int = 0) -> tuple[float, Interval | None]:
    """1 - MSE of the model / MSE of another on the same rows, from squared errors [n], with its paired interval."""
    whole = float(other.sum())
    if not whole > 0:
        return math.nan, None
    left = ratio_interval(model, other, seed)
    return 1 - float(model.sum()) / whole, (1 - left[1], 1 - left[0]) if left else None


def bands(numbers: Numbers, count: int = 10) -> list[dict[str, float]]:
    """Mean residual in groups of equal size by answer: where a model is off in one direction (calibration of numbers).

    `low` and `high` are mean ± 1.96 standard errors: to look at, not for rules.
    """
    order = np.argsort(numbers.predicted, kind="stable")
    rows = []
    for part in np.array_split(order, min(count, order.size)):
        residuals, answers = numbers.residuals[part], numbers.predicted[part]
        half = 1.96 * float(residuals.std(ddof=1)) / math.sqrt(part.size) if part.size > 1 else 0.0
        mean = float(residuals.mean())
        ends = {"mean": mean, "low": mean - half, "high": mean + half}
        rows.append({"from": float(answers[0]), "to": float(answers[-1]), "n": int(part.size), **ends})
    return rows
