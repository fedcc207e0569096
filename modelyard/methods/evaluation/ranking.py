"""Ranking: ROC-AUC, average precision and their curves, with ties right.

Ties: AUC counts a tied pair as half (mid-ranks, Mann-Whitney). Average precision and the curves move over all rows of
one score at once, so that the order of rows never matters. With one class only, AUC is NaN: there is nothing to rank.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def roc_auc(positive: Bools, scores: Floats) -> float:
    """P(score of a positive > score of a negative) + half of P(equal), for positive [n] and scores [n]."""
    num_positive = int(positive.sum())
    num_negative = positive.size - num_positive
    if num_positive == 0 or num_negative == 0:
        return float("nan")
    ranks = rankdata(scores)
    above = ranks[positive].sum() - num_positive * (num_positive + 1) / 2
    return float(above / (num_positive * num_negative))


def placements(positive: Bools, scores: Floats) -> Floats:
    """For each row, its share of won comparisons with the other class [n] (DeLong's structural components).

    A positive: share of negatives it beats; a negative: share of positives that beat it. Their mean over either class
    is the AUC. Computed from mid-ranks (Sun and Xu 2014), O(n log n).
    """
    result = np.full(positive.size, np.nan)
    num_positive = int(positive.sum())
    num_negative = positive.size - num_positive
    if num_positive == 0 or num_negative == 0:
        return result
    ranks = rankdata(scores)
    result[positive] = (ranks[positive] - rankdata(scores[positive])) / num_negative
    result[~positive] = 1 - (ranks[~positive] - rankdata(scores[~positive])) / num_positive
    return result


def roc_auc_influence(positive: Bools, scores: Floats) -> Floats:
    """Influence of each row [n] on the AUC: (placement - AUC) over the share of its class."""
    placed = placements(positive, scores)
    share = positive.mean() if positive.size else 0.0
    auc = placed[positive].mean() if positive.any() else np.nan
    result: Floats = (placed - auc) / np.where(positive, share, 1 - share)
    return result


@dataclass(frozen=True)
class Steps:
    """Counts at each distinct score, from the highest down [m].

    Attributes:
        thresholds: the distinct scores.
        hits: positives at or above it; taken: rows at or above it.
        group: for each row [n], the index of its score in `thresholds`.
    """

    thresholds: Floats
    hits: Floats
    taken: Floats
    group: NDArray[np.int64]

    @classmethod
    def of(cls, positive: Bools, scores: Floats) -> Steps:
        values, inverse = np.unique(scores, return_inverse=True)
        group = (values.size - 1 - inverse).astype(np.int64)
        taken = np.cumsum(np.bincount(group, minlength=values.size)).astype(np.float64)
        hits = np.cumsum(np.bincount(group, weights=positive.astype(np.float64), minlength=values.size))
        return cls(values[::-1].astype(np.float64), hits.astype(np.float64), taken, group)


def average_precision(positive: Bools, scores: Floats) -> float:
    """Area under the precision-recall steps: Σ (recall_k - recall_{k-1}) precision_k. Never a trapezoid, which
    would interpolate where no classifier is (Davis and Goadrich 2006). NaN without positives."""
    if not positive.any():
        return float("nan")
    steps = Steps.of(positive, scores)
    gained = np.diff(steps.hits, prepend=0.0) / steps.hits[-1]
    return float(gained @ (steps.hits / steps.taken))


def average_precision_influence(positive: Bools, scores: Floats) -> Floats:
    """Influence of each row [n] on average precision; the mean is 0, mean of squares / n estimates the variance.

    With A(s) = P(Y = 1, S >= s), B(s) = P(S >= s), π = P(Y = 1) and AP = E[Y A(S)/B(S)] / π, the derivative in the
    direction of row i is ( Y_i [A(S_i)/B(S_i) + g(S_i) - AP] - h(S_i) ) / π, where g(s) = E[Y 1{S <= s} / B(S)] and
    h(s) = E[Y 1{S <= s} A(S) / B(S)²].
    """
    n = positive.size
    if not positive.any():
        return np.full(n, np.nan)
    steps = Steps.of(positive, scores)
    share = steps.hits[-1] / n
    above, reached = steps.hits / n, steps.taken / n
    gained = np.diff(steps.hits, prepend=0.0) / n
    # Sums over scores at or below: from the low end, because `thresholds` falls.
    g = np.cumsum((gained / reached)[::-1])[::-1][steps.group]
    h = np.cumsum((gained * above / reached**2)[::-1])[::-1][steps.group]
    precision = (above / reached)[steps.group]
    ap = float(gained @ (above / reached)) / share
    result: Floats = (positive * (precision + g - ap) - h) / share
    return result


@dataclass(frozen=True)
class Curve:
    """Points of a curve: x and y in [0, 1] and the score at or above which a row counts as positive."""

    x: Floats
    y: Floats
    thresholds: Floats


def roc_curve(positive: Bools, scores: Floats, points: int = 200) -> Curve:
    """False positive rate (x) and true positive rate (y), at most `points` of them; empty with one class only."""
    num_positive = int(positive.sum())
    num_negative = positive.size - num_positive
    if num_positive == 0 or num_negative == 0:
        return Curve(*[np.empty(0)] * 3)
    steps = Steps.of(positive, scores)
    x = np.concatenate([[0.0], (steps.taken - steps.hits) / num_negative])
    y = np.concatenate([[0.0], steps.hits / num_positive])
    return _thin(Curve(x, y, np.concatenate([[np.inf], steps.thresholds])), points)


def precision_recall_curve(positive: Bools, scores: Floats, points: int = 200) -> Curve:
    """Recall (x) and precision (y), at most `points` of them; empty without positives."""
    if not positive.any():
        return Curve(*[np.empty(0)] * 3)
    steps = Steps.of(positive, scores)
    return _thin(Curve(steps.hits / steps.hits[-1], steps.hits / steps.taken, steps.thresholds), points)


def _thin(curve: Curve, points: int) -> Curve:
    """Keep the ends and the points nearest to equal steps along the curve's length, so that steep parts stay."""
    if curve.x.size <= points:
        return curve
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(curve.x)) + np.abs(np.diff(curve.y)))])
    wanted = np.searchsorted(length, np.linspace(0, length[-1], points))
    kept = np.unique(np.concatenate([[0], np.clip(wanted, 0, curve.x.size - 1), [curve.x.size - 1]]))
    if kept.size > points:
        kept = np.delete(kept, 1)
    return Curve(curve.x[kept], curve.y[kept], curve.thresholds[kept])
