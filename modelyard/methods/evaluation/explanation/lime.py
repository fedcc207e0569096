"""LIME: a linear model of the answers around a row (Ribeiro, Singh & Guestrin 2016, "Why Should I Trust You?").

Neighbours lose a random set of players; each weighs exp(-d² / width²) with d the cosine distance of its mask to the
whole; ridge regression on the masks gives one coefficient a player.
"""

from __future__ import annotations

import numpy as np

from modelyard.methods.evaluation.explanation.game import Attribution, Game, jackknife

WIDTH = 0.25
RIDGE = 1.0
GROUPS = 10
"""Of neighbours, each left out once for the standard errors."""


def lime(game: Game, budget: int, generator: np.random.Generator) -> Attribution:
    """Coefficients from `budget` neighbours, the row itself among them."""
    n = game.size
    lost = generator.integers(1, n + 1, size=max(1, budget - 1))
    ranks = generator.random((len(lost), n)).argsort(1).argsort(1)
    masks = np.concatenate([np.ones((1, n), np.bool_), ranks >= lost[:, None]])
    distances = 1 - np.sqrt(masks.mean(1))
    weights = np.exp(-(distances**2) / WIDTH**2)
    design, values = masks.astype(np.float64), game.values(masks)
    groups = np.arange(len(masks)) % GROUPS
    parts = [_ridge(design[groups != each], values[groups != each], weights[groups != each]) for each in range(GROUPS)]
    errors = jackknife(np.stack(parts)) if len(masks) > GROUPS else None
    return Attribution(_ridge(design, values, weights), errors=errors, questions=len(masks))


def _ridge(design: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Coefficients of weighted ridge regression with a free intercept."""
    share = weights / weights.sum()
    centred, lifted = design - share @ design, values - share @ values
    scaled = centred * weights[:, None]
    gram = scaled.T @ centred + RIDGE * np.eye(design.shape[1])
    found: np.ndarray = np.linalg.solve(gram, scaled.T @ lifted)
    return found
