"""LIME: a linear model of the answers around a row (Ribeiro, Singh & Guestrin 2016, "Why Should I Trust You?").

Neighbours lose a random set of players; each weighs exp(-d² / width²) with d the cosine distance of its mask to the
whole; ridge regression on the masks gives one coefficient a player.
"""

from __future__ import annotations

import numpy as np

from modelyard.methods.evaluation.explanation.game import Attribution, Game

WIDTH = 0.25
RIDGE = 1.0


def lime(game: Game, budget: int, generator: np.random.Generator) -> Attribution:
    """Coefficients from `budget` neighbours, the row itself among them."""
    n = game.size
    lost = generator.integers(1, n + 1, size=max(1, budget - 1))
    ranks = generator.random((len(lost), n)).argsort(1).argsort(1)
    masks = np.concatenate([np.ones((1, n), np.bool_), ranks >= lost[:, None]])
    distances = 1 - np.sqrt(masks.mean(1))
    weights = np.exp(-(distances**2) / WIDTH**2)
    return Attribution(_ridge(masks.astype(np.float64), game.values(masks), weights))


def _ridge(design: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Coefficients of weighted ridge regression with a free intercept."""
    share = weights / weights.sum()
    centred, lifted = design - share @ design, values - share @ values
    scaled = centred * weights[:, None]
    gram = scaled.T @ centred + RIDGE * np.eye(design.shape[1])
    found: np.ndarray = np.linalg.solve(gram, scaled.T @ lifted)
    return found
