"""How far probabilities can be trusted: log-loss, Brier score, reliability bins, expected calibration error.

ECE is biased upwards: a perfectly calibrated model has a positive one, larger the fewer the rows. So it never comes
without n, an interval that knows the bias, and the null band: what a calibrated model would show on these rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Z95 = 1.959963984540054


def log_losses(actual: Ints, probabilities: Floats) -> Floats:
    """-log p of the actual class for each row [n], with p at least the machine epsilon of float64."""
    own = probabilities[np.arange(len(actual)), actual]
    result: Floats = -np.log(np.clip(own, np.finfo(np.float64).eps, 1.0))
    return result


def brier_scores(actual: Ints, probabilities: Floats) -> Floats:
    """Sum over classes of (p - y)² for each row [n]: 0 is best, 2 worst (Brier 1950)."""
    target = np.zeros_like(probabilities)
    target[np.arange(len(actual)), actual] = 1.0
    result: Floats = ((probabilities - target) ** 2).sum(axis=1)
    return result


@dataclass(frozen=True)
class Bins:
    """Reliability bins of equal mass [B], by confidence (the probability of the predicted class).

    Attributes:
        count: rows; confidence: mean confidence; accuracy: share of right answers; low, high: its 95 % Wilson ends.
        edges: lowest and highest confidence in each bin [B, 2].
    """

    count: Ints
    confidence: Floats
    accuracy: Floats
    low: Floats
    high: Floats
    edges: Floats

    @property
    def ece(self) -> float:
        """Σ share of rows · |accuracy - confidence|; NaN without rows."""
        total = self.count.sum()
        if total == 0:
            return float("nan")
        return float((self.count / total) @ np.abs(self.accuracy - self.confidence))

    def interval(self) -> tuple[float, float]:
        """95 % interval of the binned calibration error, conservative below.

        |·| is convex and 1-Lipschitz, so the mean of the estimate is at least the truth and its variance at most
        V = Σ w² σ²: the truth lies below estimate + 1.96 √V. The bias is at most Σ w σ √(2/π) (a folded normal at 0),
        so it lies above estimate - bias - 1.96 √V. σ² of a bin's accuracy is taken after two added right and two added
        wrong rows, which keeps it from vanishing (Agresti and Coull 1998).
        """
        total = self.count.sum()
        if total == 0:
            return float("nan"), float("nan")
        weights = self.count / total
        smooth = (self.accuracy * self.count + 2) / (self.count + 4)
        sigma = np.sqrt(smooth * (1 - smooth) / self.count)
        reach = Z95 * float(np.sqrt(((weights * sigma) ** 2).sum()))
        bias = float((weights * sigma).sum()) * math.sqrt(2 / math.pi)
        return max(0.0, self.ece - bias - reach), min(1.0, self.ece + reach)


def _cuts(confidence: Floats, bins: int) -> tuple[NDArray[np.int64], Ints]:
    """Order by confidence and where each bin starts; equal confidences share a bin, so row order never matters."""
    order = np.argsort(confidence, kind="stable")
    ranked = confidence[order]
    n = ranked.size
    wanted = (np.arange(bins) * n) // bins
    starts = np.unique(np.searchsorted(ranked, ranked[wanted], side="left")) if n else np.empty(0, dtype=np.int64)
    return order, starts.astype(np.int64)


def reliability(right: NDArray[np.bool_], confidence: Floats, bins: int = 15) -> Bins:
    """Reliability bins. `right` [n] and `confidence` [n]; fewer bins if there are fewer rows or many ties."""
    from modelyard.methods.statistics.wilson import wilson

    order, starts = _cuts(confidence, bins)
    if starts.size == 0:
        none = np.empty(0)
        return Bins(np.empty(0, dtype=np.int64), none, none, none, none, np.empty((0, 2)))
    ranked = confidence[order]
    ends = np.append(starts[1:], ranked.size)
    count = ends - starts
    hits = np.add.reduceat(right[order].astype(np.float64), starts)
    ends_of = [wilson(hit, size) for hit, size in zip(hits.tolist(), count.tolist(), strict=True)]
    return Bins(
        count=count,
        confidence=np.add.reduceat(ranked, starts) / count,
        accuracy=hits / count,
        low=np.array([low for low, _ in ends_of]),
        high=np.array([high for _, high in ends_of]),
        edges=np.stack([ranked[starts], ranked[ends - 1]], axis=1),
    )


def ece_null_band(confidence: Floats, bins: int = 15, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Median and 95th percentile of the ECE that a perfectly calibrated model shows on these confidences.

    Answers are drawn right with probability `confidence`, `draws` times, in the same bins.
    """
    order, starts = _cuts(confidence, bins)
    if starts.size == 0:
        return float("nan"), float("nan")
    ranked = np.clip(confidence[order], 0.0, 1.0)
    generator = np.random.default_rng(seed)
    eces = np.empty(draws)
    expected = np.add.reduceat(ranked, starts)
    for draw in range(draws):
        hits = np.add.reduceat((generator.random(ranked.size) < ranked).astype(np.float64), starts)
        eces[draw] = np.abs(hits - expected).sum() / ranked.size
    return float(np.median(eces)), float(np.quantile(eces, 0.95))
