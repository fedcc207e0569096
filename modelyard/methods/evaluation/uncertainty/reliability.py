"""How far stated confidence is from how often the model is right, without the bias of binning.

The plain calibration error is positive for a perfect model. So the squared error of each bin is lessened by what chance
adds to it (Kumar, Liang and Ma 2019, "Verified uncertainty calibration"), and beside it stands the null band: what a
perfectly calibrated model shows on the same confidences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.calibration import Bins, reliability

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
BINS = 15
DRAWS = 1000


@dataclass(frozen=True)
class Calibration:
    """Debiased root mean square calibration error.

    Attributes:
        error: 0 where chance explains all; `interval` is conservative: at least 95 %.
        null: median and 95th percentile of `error` for a perfectly calibrated model.
        p_value: share of its draws with an error as large (one draw added to both, so never 0).
    """

    bins: Bins
    error: float
    interval: tuple[float, float]
    null: tuple[float, float]
    p_value: float


def squared_error(count: NDArray[np.int64], gap: Floats, accuracy: Floats) -> float:
    """Σ w (gap² - accuracy (1 - accuracy) / (n_b - 1)): unbiased for the binned squared error. Bins of one row have no
    variance to take off."""
    chance = np.where(count > 1, accuracy * (1 - accuracy) / np.maximum(count - 1, 1), 0.0)
    return float((count / count.sum()) @ (gap**2 - chance))


def measure(right: Bools, confidence: Floats, bins: int = BINS, seed: int = 0) -> Calibration:
    """`right` [n] and `confidence` [n] of at least one row.

    The interval: with ε the noise of the bins' accuracies, | ||√w (δ + ε)|| - ||√w δ|| | ≤ ||√w ε||, whose 95th
    percentile is drawn with the bins' own smoothed variance.
    """
    found = reliability(right, confidence, bins)
    gap = found.accuracy - found.confidence
    squared = squared_error(found.count, gap, found.accuracy)
    weights = found.count / found.count.sum()
    generator = np.random.default_rng(seed)
    smooth = (found.accuracy * found.count + 2) / (found.count + 4)
    noise = generator.standard_normal((DRAWS, found.count.size)) * np.sqrt(smooth * (1 - smooth) / found.count)
    reach = float(np.quantile(np.sqrt((noise**2) @ weights), 0.95))
    plain = math.sqrt(float(weights @ gap**2))
    error = math.sqrt(max(0.0, squared))
    interval = (max(0.0, min(error, plain - reach)), min(1.0, plain + reach))
    draws = _null(found, confidence, bins, generator)
    roots = np.sqrt(np.maximum(draws, 0))
    return Calibration(
        found,
        error,
        interval,
        (float(np.median(roots)), float(np.quantile(roots, 0.95))),
        (1 + int((draws >= squared).sum())) / (1 + DRAWS),
    )


def _null(found: Bins, confidence: Floats, bins: int, generator: np.random.Generator) -> Floats:
    """Debiased squared errors of DRAWS data sets whose answers are right with probability `confidence`."""
    ranked = np.sort(np.clip(confidence, 0, 1), kind="stable")
    starts = np.concatenate([[0], np.cumsum(found.count)[:-1]])
    draws = np.empty(DRAWS)
    for draw in range(DRAWS):
        hits = np.add.reduceat((generator.random(ranked.size) < ranked).astype(np.float64), starts)
        accuracy = hits / found.count
        draws[draw] = squared_error(found.count, accuracy - found.confidence, accuracy)
    return draws


@dataclass(frozen=True)
class Parts:
    """A mean loss of "is the answer right" in parts: loss = reliability - resolution + uncertainty + within.

    Attributes:
        reliability: what miscalibration costs; resolution: what telling rows apart gains; uncertainty: the loss of
            always stating the accuracy; within: what the bins hide.
    """

    loss: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float


def brier_parts(right: Bools, confidence: Floats, bins: Bins) -> Parts:
    """Of (confidence - right)² (Murphy 1973), bias of reliability and resolution removed after Ferro and Fricker 2012;
    what that moves stands in `within`."""
    n, base = right.size, float(right.mean())
    weights = bins.count / n
    chance = np.where(bins.count > 1, bins.accuracy * (1 - bins.accuracy) / np.maximum(bins.count - 1, 1), 0.0)
    overall = base * (1 - base) / max(1, n - 1)
    reliable = float(weights @ ((bins.accuracy - bins.confidence) ** 2 - chance))
    resolved = float(weights @ ((bins.accuracy - base) ** 2 - chance)) + overall
    unsure = base * (1 - base) + overall
    loss = float(((confidence - right) ** 2).mean())
    return Parts(loss, reliable, resolved, unsure, loss - reliable + resolved - unsure)


def log_parts(right: Bools, confidence: Floats, bins: Bins) -> Parts:
    """Of -log of the probability of what happened (right or wrong), by divergences in the place of squares."""
    sure = np.clip(confidence, 1e-15, 1 - 1e-15)
    loss = float(-np.where(right, np.log(sure), np.log1p(-sure)).mean())
    weights, base = bins.count / right.size, np.array([right.mean()])
    reliable = float(weights @ _divergence(bins.accuracy, np.clip(bins.confidence, 1e-15, 1 - 1e-15)))
    resolved = float(weights @ _divergence(bins.accuracy, np.repeat(base, bins.accuracy.size)))
    unsure = float(_entropy(base)[0])
    return Parts(loss, reliable, resolved, unsure, loss - reliable + resolved - unsure)


def _divergence(p: Floats, q: Floats) -> Floats:
    """Kullback-Leibler divergence of two coins, with 0 log 0 = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        heads = np.where(p > 0, p * np.log(p / q), 0.0)
        tails = np.where(p < 1, (1 - p) * np.log((1 - p) / (1 - q)), 0.0)
    result: Floats = heads + tails
    return result


def _entropy(p: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Floats = -np.where(p > 0, p * np.log(p), 0.0) - np.where(p < 1, (1 - p) * np.log(1 - p), 0.0)
    return result
