"""How well a pretrained model's features suit labels, before anything is trained.

LogME (You et al. 2021, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning"): the largest log
evidence per row of a Bayesian linear model on the features, log p(y | F) = log ∫ p(y | F, w) p(w) dw, with prior
w ~ N(0, α⁻¹ I) and noise N(0, β⁻¹), maximised over α and β. For classes the mean over one-against-rest targets. Higher
is better; evidence punishes features that only memorise, which accuracy on the same rows would not.

H-score (Bao et al. 2019): tr(cov(F)⁺ cov(E[F | y])), how far the classes' means lie apart, measured in the spread of
all rows; here with the shrunk covariance of Ibrahim et al. 2021, for the plain one overrates wide features.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ROUNDS = 100
CLOSE = 1e-6


def log_evidence(features: Floats, target: Floats) -> float:
    """Largest log evidence per row over α and β, for one target of numbers.

    MacKay's fixed point in the basis of the features' singular vectors (You et al. 2021, algorithm 1), where one round
    costs as many steps as there are features.

    Args:
        features: [rows, features].
        target: [rows].
    """
    left, sigma, _ = np.linalg.svd(features, full_matrices=False)
    return _largest(left.T @ target, sigma**2, float(target @ target), *features.shape)


def _largest(projected: Floats, squares: Floats, energy: float, n: int, d: int) -> float:
    """Maximise over α, β given the target in the features' basis.

    Args:
        projected: [min(rows, features)] target along each left singular vector.
        squares: singular values, squared.
        energy: squared length of the target.
        n, d: rows and features.
    """
    outside = max(energy - float(projected @ projected), 0.0)
    ratio = 1.0  # α / β
    alpha = beta = 1.0
    for _ in range(ROUNDS):
        weights = squares / (ratio + squares)
        gamma = float(weights.sum())
        length = float((squares * projected**2 / (ratio + squares) ** 2).sum())
        residual = float(((projected * ratio / (ratio + squares)) ** 2).sum()) + outside
        alpha = gamma / max(length, 1e-12)
        beta = (n - gamma) / max(residual, 1e-12)
        before, ratio = ratio, alpha / beta
        if abs(ratio - before) <= CLOSE * before:
            break
    length = float((squares * projected**2 / (ratio + squares) ** 2).sum())
    residual = float(((projected * ratio / (ratio + squares)) ** 2).sum()) + outside
    determinant = float(np.log(alpha + beta * squares).sum()) + (d - len(squares)) * math.log(alpha)
    evidence = d * math.log(alpha) + n * math.log(beta) - n * math.log(2 * math.pi)
    return (evidence - beta * residual - alpha * length - determinant) / (2 * n)


def logme(features: Floats, labels: NDArray[np.int64]) -> float:
    """Mean over classes of the largest log evidence of "is of this class".

    Args:
        features: [rows, features], finite; equal scales are not needed, one constant column is added for the mean.
        labels: [rows] classes.
    """
    whole = _with_constant(features)
    left, sigma, _ = np.linalg.svd(whole, full_matrices=False)
    found = []
    for label in np.unique(labels):
        target = (labels == label).astype(np.float64)
        found.append(_largest(left.T @ target, sigma**2, float(target @ target), *whole.shape))
    return float(np.mean(found))


def logme_of_numbers(features: Floats, values: Floats) -> float:
    """The same for numbers, which are scaled to deviation 1 so that their unit does not matter."""
    spread = float(values.std()) or 1.0
    return log_evidence(_with_constant(features), (values - values.mean()) / spread)


def _with_constant(features: Floats) -> Floats:
    """Features scaled to a mean square of 1, and a column of ones: the weights' prior is the same for all models."""
    centred = features - features.mean(0)
    scale = float(np.sqrt((centred**2).mean())) or 1.0
    return np.hstack([centred / scale, np.ones((len(features), 1))])


def h_score(features: Floats, labels: NDArray[np.int64]) -> float:
    """tr(S⁻¹ cov(E[F | y])) with the covariance S shrunk by Ledoit and Wolf (2004)."""
    from sklearn.covariance import ledoit_wolf

    centred = features - features.mean(0)
    means = np.zeros_like(centred)
    for label in np.unique(labels):
        means[labels == label] = centred[labels == label].mean(0)
    covariance, shrinkage = ledoit_wolf(centred, assume_centered=True)
    between = (1 - shrinkage) * (means.T @ means) / len(features)
    return float(np.trace(np.linalg.solve(covariance, between)))
