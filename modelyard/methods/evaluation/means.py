"""95 % intervals of means of shares and of ratios of sums, where the rows (documents, users) are what is independent.

| quantity | method |
|---|---|
| a mean of shares in [0, 1] | bootstrap-t on the logit scale; hull with Wilson's below FEW rows |
| a ratio of sums (micro F1, perplexity) | bootstrap-t of the linearised ratio (Efron and Tibshirani 1993, 12.5) |
| a correlation of ranks | Fisher's z with Bonett and Wright's variance (2000) |

Each function returns `(low, high)`, or None where the rows cannot carry an interval.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.intervals import Interval
from modelyard.methods.statistics.wilson import Z95, wilson

Floats = NDArray[np.float64]

DRAWS = 1000
MANY = 5_000
"""From so many rows on the normal quantiles are taken: those of the bootstrap differ by less than its own noise."""
FEW = 100
LEAST = 5
"""Fewer documents than this say nothing about how documents differ."""


def share_interval(values: Floats, seed: int = 0) -> Interval | None:
    """Interval of a mean of values in [0, 1]. None for fewer than 2 values.

    Equal values give Wilson's of so many rows: the variance of numbers in [0, 1] is at most that of a rate.
    """
    n = values.size
    if n < 2 or not np.isfinite(values).all():
        return None
    mean = min(1.0, max(0.0, float(values.mean())))
    of_rate = wilson(mean * n, n)
    if values.std() < 1e-12:
        return of_rate
    found = ratio_interval(values, np.ones(n), seed, bounded=True)
    if found is None:
        return of_rate
    return found if n >= FEW else (min(found[0], of_rate[0]), max(found[1], of_rate[1]))


def ratio_interval(tops: Floats, bottoms: Floats, seed: int = 0, bounded: bool = False) -> Interval | None:
    """Interval of Σ tops / Σ bottoms over independent rows [n], each with its own top and bottom.

    Bootstrap-t: the linearised error √Σ(top - ratio · bottom)² / Σ bottom studentises each resample. `bounded` ratios,
    which lie in [0, 1], are put on the logit scale; where all are right (or none is) it is Wilson's over the bottoms'
    sum, but at least as wide as over the rows, whose units may fail together. None for fewer than LEAST rows.
    """
    n, whole = tops.size, float(bottoms.sum())
    if n < LEAST or whole <= 0 or not (np.isfinite(tops).all() and np.isfinite(bottoms).all()):
        return None
    ratio = float(tops.sum()) / whole
    error = _ratio_error(tops, bottoms, ratio)
    if bounded and not 0 < ratio < 1:
        size = min(n, whole)
        return wilson(min(1.0, max(0.0, ratio)) * size, size)
    if error == 0:
        reach = abs(ratio) * Z95**2 / (n + Z95**2)
        return ratio - reach, ratio + reach
    means, errors = _resampled(tops, bottoms, seed) if n < MANY else (np.empty(0), np.empty(0))
    with np.errstate(divide="ignore", invalid="ignore"):
        if not bounded:
            drawn = (means - ratio) / errors
            low, high = _ends(drawn)
            return ratio - error * high, ratio - error * low
        drawn = (np.log(means / (1 - means)) - math.log(ratio / (1 - ratio))) * means * (1 - means) / errors
    low, high = _ends(drawn)
    centre, scale = math.log(ratio / (1 - ratio)), error / (ratio * (1 - ratio))
    return _expit(centre - scale * high), _expit(centre - scale * low)


def _ratio_error(tops: Floats, bottoms: Floats, ratio: float) -> float:
    n, residuals = tops.size, tops - ratio * bottoms
    return math.sqrt(float(residuals @ residuals) * n / (n - 1)) / float(bottoms.sum())


def _resampled(tops: Floats, bottoms: Floats, seed: int) -> tuple[Floats, Floats]:
    """Ratio and error of each resample [DRAWS], from sums of products."""
    n = tops.size
    parts = np.stack([tops, bottoms, tops * tops, tops * bottoms, bottoms * bottoms], axis=1)
    generator = np.random.default_rng(seed)
    sums = np.empty((DRAWS, 5))
    rows = max(1, min(DRAWS, 400_000 // n))
    for start in range(0, DRAWS, rows):
        take = generator.integers(0, n, size=(min(rows, DRAWS - start), n))
        sums[start : start + len(take)] = parts[take].sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = sums[:, 0] / sums[:, 1]
        squares = sums[:, 2] - 2 * ratios * sums[:, 3] + ratios**2 * sums[:, 4]
        errors = np.sqrt(np.maximum(squares, 0.0) * n / (n - 1)) / sums[:, 1]
    return ratios, errors


def _ends(drawn: Floats) -> tuple[float, float]:
    """2.5 % and 97.5 % quantiles; resamples without spread, which say nothing, count as far out on neither side."""
    kept = drawn[np.isfinite(drawn)]
    if kept.size < DRAWS // 2:
        return -Z95, Z95
    low, high = np.quantile(kept, [0.025, 0.975])
    # Few different rows make ratios of ratios: beyond this a studentised value is no longer about the data.
    return max(float(low), -4 * Z95), min(float(high), 4 * Z95)


def linear_interval(value: float, influences: Floats) -> Interval | None:
    """Interval on the logit scale of an estimate in [0, 1] from each row's influence [n], of mean 0."""
    n = influences.size
    if n < LEAST:
        return None
    error = math.sqrt(float(influences @ influences) / n / (n - 1))
    if not 0 < value < 1 or error == 0:
        return wilson(min(1.0, max(0.0, value)) * n, n)
    centre, half = math.log(value / (1 - value)), Z95 * error / (value * (1 - value))
    return _expit(centre - half), _expit(centre + half)


def rank_correlation_interval(rho: float, n: int) -> Interval | None:
    """Interval of Spearman's ρ: tanh(atanh ρ ± z √((1 + ρ²/2) / (n - 3))) (Bonett and Wright 2000, Psychometrika 65).

    At ±1 nothing varies: ρ is moved by one swapped neighbour, 6 / (n³ - n) · 2, before. None for fewer than 10 pairs.
    """
    if n < 10 or not math.isfinite(rho):
        return None
    inside = max(-1.0, min(1.0, rho)) * (1 - 12 / (n**3 - n)) if abs(rho) >= 1 - 1e-12 else rho
    half = Z95 * math.sqrt((1 + inside**2 / 2) / (n - 3))
    low, high = math.tanh(math.atanh(inside) - half), math.tanh(math.atanh(inside) + half)
    return min(low, rho), max(high, rho)


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
