"""Owen values over halves of halves of a row: Shapley values that respect which players stand together.

A balanced binary tree over the players in their order; each node's gain is shared between its two halves as the Shapley
value of two players, in both contexts of everything outside its parent (Owen 1977; what the partition explainer of
Lundberg's `shap` computes). Neighbouring words mostly act together, so the values stay close to Shapley's, for about
n² questions and not 2^n. All nodes of one depth are asked in one call.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelyard.methods.evaluation.explanation.game import Attribution, Bools, Floats, Game


@dataclass(frozen=True)
class _Open:
    """A piece [low, high) whose gain is to be shared: who else is there, the value without and with it."""

    low: int
    high: int
    others: Bools
    without: float
    within: float
    weight: float


def owen(game: Game, budget: int) -> Attribution:
    """Where the budget of questions ends, a piece's gain is shared equally among its players."""
    n = game.size
    found = np.zeros(n)
    nobody = np.zeros(n, np.bool_)
    level = [_Open(0, n, nobody, game.nothing, game.whole, 1.0)]
    asked = 2
    while level:
        wide = [one for one in level if one.high - one.low > 1]
        if asked + 2 * len(wide) > budget:
            _share(found, level)
            break
        _share(found, [one for one in level if one.high - one.low == 1])
        asked += 2 * len(wide)
        level = _halved(game, wide) if wide else []
    return Attribution(found, game.nothing, game.whole)


def _share(found: Floats, pieces: list[_Open]) -> None:
    for one in pieces:
        found[one.low : one.high] += one.weight * (one.within - one.without) / (one.high - one.low)


def _halved(game: Game, pieces: list[_Open]) -> list[_Open]:
    """Both halves of each piece, each with the other half absent and present."""
    masks = np.repeat(np.stack([one.others for one in pieces]), 2, axis=0)
    for place, one in enumerate(pieces):
        middle = half(one.low, one.high)
        masks[2 * place, one.low : middle] = True
        masks[2 * place + 1, middle : one.high] = True
    values = game.values(masks)
    found = []
    for place, one in enumerate(pieces):
        middle, weight = half(one.low, one.high), one.weight / 2
        left, right = masks[2 * place], masks[2 * place + 1]
        of_left, of_right = float(values[2 * place]), float(values[2 * place + 1])
        found += [
            _Open(one.low, middle, one.others, one.without, of_left, weight),
            _Open(one.low, middle, right, of_right, one.within, weight),
            _Open(middle, one.high, one.others, one.without, of_right, weight),
            _Open(middle, one.high, left, of_left, one.within, weight),
        ]
    return found


def half(low: int, high: int) -> int:
    """Where a piece is cut."""
    return (low + high + 1) // 2
