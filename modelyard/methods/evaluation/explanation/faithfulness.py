"""How far an explanation is true: an explanation is a claim too, and is measured.

Deletion takes players away, the most important first, and integrates the answer (low is good); insertion adds them to
nothing (high is good) (Petsiuk, Das & Saenko 2018, "RISE"). Random orders of the same row are what both are compared
with. The sanity check asks for the same explanation of a model whose weights are shuffled: it must be another one
(Adebayo et al. 2018, "Sanity Checks for Saliency Maps").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.explanation.game import Bools, Floats, Game

POINTS = 16
"""Steps of a curve at most."""


@dataclass(frozen=True)
class Faith:
    """Of one explanation of one row.

    Attributes:
        deletion, insertion: areas under the curves, in the unit of the answer.
        of_random: the same two, mean over random orders.
        curves: [2, steps] deletion's and insertion's answers.
    """

    deletion: float
    insertion: float
    of_random: tuple[float, float]
    curves: Floats

    @property
    def gain(self) -> float:
        """Insertion less deletion, less what random orders get: above 0 the order knows something."""
        return (self.insertion - self.deletion) - (self.of_random[1] - self.of_random[0])


def faith(game: Game, values: Floats, random_areas: tuple[float, float]) -> Faith:
    """Of an attribution's order; equal values keep the row's order."""
    order = np.argsort(-values, kind="stable")
    curves = curves_of(game, order)
    deletion, insertion = areas(curves, game.size)
    return Faith(deletion, insertion, random_areas, curves)


def random_areas(game: Game, orders: int, generator: np.random.Generator) -> tuple[float, float]:
    """Mean areas of random orders; they are asked together."""
    drawn = [generator.permutation(game.size) for _ in range(orders)]
    game.values(np.concatenate([masks_of(order) for order in drawn]))
    found = np.array([areas(curves_of(game, order), game.size) for order in drawn])
    return float(found[:, 0].mean()), float(found[:, 1].mean())


def steps_of(size: int) -> NDArray[np.int64]:
    """Players gone at each point of a curve: 0 to all, as even as they allow."""
    return np.unique(np.linspace(0, size, min(size, POINTS) + 1).round().astype(np.int64))


def masks_of(order: np.ndarray) -> Bools:
    """Deletion's masks, then insertion's: [2 · steps, players]."""
    size = len(order)
    steps = steps_of(size)
    ranks = np.empty(size, np.int64)
    ranks[order] = np.arange(size)
    gone: Bools = ranks[None, :] < steps[:, None]
    return np.concatenate([~gone, gone])


def curves_of(game: Game, order: np.ndarray) -> Floats:
    """[2, steps]."""
    values = game.values(masks_of(order))
    return values.reshape(2, -1)


def areas(curves: Floats, size: int) -> tuple[float, float]:
    """By the trapezoidal rule over the share of players that are gone (or there), 0 to 1."""
    widths = np.diff(steps_of(size) / size)
    found = (curves[:, 1:] + curves[:, :-1]) / 2 @ widths
    return float(found[0]), float(found[1])


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's of the sizes of two explanations; 0 where one of them says the same of every player."""
    from scipy.stats import rankdata

    first, second = (rankdata(np.abs(values)) for values in (one, other))
    first, second = first - first.mean(), second - second.mean()
    length = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / length if length > 0 else 0.0
