"""95 % confidence intervals that have their nominal coverage, also near 0 and 1 where the bootstrap has not.

| quantity | method |
|---|---|
| a rate (accuracy, recall, precision) | Wilson 1927 |
| F1 of one class | Wilson on TP / (TP + FP + FN), of which F1 is a monotone function |
| means of independent rates (balanced accuracy, macro precision, macro recall) | delta on the logit scale, Jeffreys |
| F1 macro and weighted, weighted precision, MCC | influence on the confusion matrix (confusion_intervals.py) |
| AUC | hull of DeLong 1988 on the logit scale and Newcombe 2006 (method 5) |
| average precision | influence on the logit scale; with few positives the hull with Wilson on them |
| macro AUC and average precision, one class against the rest | MOVER with correlations |
| log-loss, Brier score | bootstrap-t, DiCiccio and Efron 1996 |

Each function returns `(low, high)`, or None where the rows cannot carry an interval; no gate passes without one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import t as student

from modelyard.methods.evaluation.ranking import average_precision, average_precision_influence, placements
from modelyard.methods.statistics.wilson import Z95, wilson

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Interval = tuple[float, float]

FEW_POSITIVES = 100


def f1_interval(hits: int, support: int, predicted: int) -> Interval | None:
    """Interval of one class's F1 = 2J / (1 + J) from Wilson's for J = TP / (TP + FP + FN); None if it is absent."""
    union = support + predicted - hits
    if union <= 0:
        return None
    low, high = wilson(hits, union)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def mean_of_rates(hits: Ints, sizes: Ints) -> Interval | None:
    """Interval of the plain mean of independent rates hits[i] / sizes[i], on the logit scale.

    The variance of each rate is taken after half a hit and half a miss are added (Jeffreys), so that classes without
    an error do not count as certain: simulated coverage 0.945 … 0.98, where MOVER over Wilson's intervals has 0.89 for
    ten classes with few rows. Where all or none are hits, or one rate is all there is: MOVER, which then is Wilson's.
    A rate over no rows counts as 0 and known, as zero_division = 0 has it. None without any rate.
    """
    if not len(hits):
        return None
    known = sizes > 0
    hit, size, count = hits[known].astype(np.float64), sizes[known].astype(np.float64), len(hits)
    mean = float((hit / size).sum()) / count
    smooth = (hit + 0.5) / (size + 1)
    error = math.sqrt(float((smooth * (1 - smooth) / size).sum())) / count
    return (on_logit_scale(mean, error) if known.sum() > 1 else None) or _mover(hit / size, hit, size, count)


def _mover(rates: Floats, hits: Floats, sizes: Floats, count: int) -> Interval:
    """Sum of independent rates over `count` (Zou and Donner 2008): distances to Wilson's ends add in squares."""
    ends = np.array([wilson(hit, size) for hit, size in zip(hits.tolist(), sizes.tolist(), strict=True)]).reshape(-1, 2)
    mean = float(rates.sum()) / count
    low = mean - math.sqrt(float(((rates - ends[:, 0]) ** 2).sum())) / count
    high = mean + math.sqrt(float(((ends[:, 1] - rates) ** 2).sum())) / count
    return max(0.0, low), min(1.0, high)


def on_logit_scale(value: float, error: float, quantile: float = Z95) -> Interval | None:
    """value ± quantile · error, on the logit scale, which keeps the ends inside (0, 1). None at 0 and 1."""
    if not (0 < value < 1 and math.isfinite(error)):
        return None
    centre, half = math.log(value / (1 - value)), quantile * error / (value * (1 - value))
    return _expit(centre - half), _expit(centre + half)


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def auc_interval(positive: Bools, scores: Floats) -> Interval | None:
    """The hull of DeLong's interval on the logit scale and Newcombe's score interval (method 5).

    DeLong alone covers 0.78 … 0.93 near 1 and with few rows of one class (simulated), Newcombe's alone 0.84 with
    unequal spreads; each is good where the other is not, and together they cover at least 0.94. Student's quantile
    has Satterthwaite's degrees of freedom. None with fewer than 2 rows of either class.
    """
    num_positive = int(positive.sum())
    num_negative = positive.size - num_positive
    if num_positive < 2 or num_negative < 2:
        return None
    placed = placements(positive, scores)
    auc = float(placed[positive].mean())
    score = auc_score_interval(auc, num_positive, num_negative)
    parts = (placed[positive].var(ddof=1) / num_positive, placed[~positive].var(ddof=1) / num_negative)
    if sum(parts) == 0:
        return score
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (num_positive - 1) + parts[1] ** 2 / (num_negative - 1))
    delong = on_logit_scale(auc, math.sqrt(sum(parts)), float(student.ppf(0.975, freedom)))
    return (min(score[0], delong[0]), max(score[1], delong[1])) if delong else score


def auc_score_interval(auc: float, num_positive: int, num_negative: int) -> Interval:
    """Newcombe (2006), method 5: the θ with |auc - θ| = z √V(θ), V of Hanley and McNeil with balanced N*."""
    size = (num_positive + num_negative) / 2 - 1

    def variance(theta: float) -> float:
        factor = 1 + size * (1 - theta) / (2 - theta) + size * theta / (1 + theta)
        return theta * (1 - theta) * factor / (num_positive * num_negative)

    def end(bound: float) -> float:
        def gap(theta: float) -> float:
            return abs(auc - theta) - Z95 * math.sqrt(max(0.0, variance(theta)))

        return bound if auc == bound else float(brentq(gap, bound, auc - math.copysign(1e-12, auc - bound)))

    return end(0.0), end(1.0)


def average_precision_interval(positive: Bools, scores: Floats) -> Interval | None:
    """Influence on the logit scale with Student's quantile of the positives; Wilson on the positives where it is 1.

    With fewer than FEW_POSITIVES the hull with Wilson's on the positives: average precision is a mean over them of
    numbers in [0, 1], whose variance is at most that of a rate. A few positives that rank low, not yet seen, would
    else leave coverage at 0.90 (simulated). None with fewer than 2 positives.
    """
    num_positive = int(positive.sum())
    if num_positive < 2 or positive.size < 3:
        return None
    influence = average_precision_influence(positive, scores)
    error = math.sqrt(float(influence @ influence) / positive.size / (positive.size - 1))
    value = min(1.0, average_precision(positive, scores))
    quantile = float(student.ppf(0.975, num_positive - 1))
    of_rate = wilson(value * num_positive, num_positive)
    found = on_logit_scale(value, error, quantile) if error > 0 else None
    if found is None:
        return of_rate
    return found if num_positive >= FEW_POSITIVES else (min(found[0], of_rate[0]), max(found[1], of_rate[1]))


def mean_of_dependent(values: Floats, intervals: Sequence[Interval], influences: Floats) -> Interval:
    """Interval of the mean of C dependent estimates [C] (MOVER with correlations, Zou and Donner 2008).

    `influences` [n, C] gives the correlations; an estimate without variance (all right so far) counts as fully
    correlated with the others, which is the longest.
    """
    ends = np.asarray(intervals)
    spread = np.sqrt((influences**2).sum(axis=0))
    known = spread > 0
    correlation = np.ones((values.size, values.size))
    scaled = influences[:, known] / spread[known]
    correlation[np.ix_(known, known)] = scaled.T @ scaled
    below, above = values - ends[:, 0], ends[:, 1] - values
    mean, count = float(values.mean()), values.size
    low = mean - math.sqrt(max(0.0, float(below @ correlation @ below))) / count
    high = mean + math.sqrt(max(0.0, float(above @ correlation @ above))) / count
    return max(0.0, low), min(1.0, high)


def bootstrap_t(values: Floats, draws: int = 2000, seed: int = 0, non_negative: bool = False) -> Interval | None:
    """Interval of a mean by the bootstrap-t: quantiles of (mean* - mean) / error* over resamples.

    Skewed losses make the normal interval too short above; studentising corrects that to second order. Deterministic
    for a seed. None for fewer than 2 values; equal values give a point, which is widened to z² / (n + z²) of it.
    """
    n = values.size
    if n < 2 or not np.isfinite(values).all():
        return None
    mean, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(n)
    if error == 0:
        reach = abs(mean) * Z95**2 / (n + Z95**2)
        return mean - reach, mean + reach
    ratios = _studentised(values, draws, np.random.default_rng(seed))
    low, high = mean - error * np.quantile(ratios, 0.975), mean - error * np.quantile(ratios, 0.025)
    return (max(0.0, float(low)) if non_negative else float(low)), float(high)


def _studentised(values: Floats, draws: int, generator: np.random.Generator) -> Floats:
    n, mean = values.size, values.mean()
    ratios = np.empty(draws)
    squares = values**2
    rows = max(1, min(draws, 4_000_000 // n))
    for start in range(0, draws, rows):
        take = generator.integers(0, n, size=(min(rows, draws - start), n))
        means = values[take].mean(axis=1)
        variances = np.maximum(squares[take].mean(axis=1) - means**2, 0.0) * n / (n - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            part = (means - mean) / np.sqrt(variances / n)
        ratios[start : start + len(part)] = np.where(np.isfinite(part), part, 0.0)
    return ratios
