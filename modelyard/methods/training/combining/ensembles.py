"""From the answers of several models to the combination to keep, and an honest score of it.

What is fitted is fitted on validation rows; its score is of rows that were left out of the fit (cross-fitting), each
fold's rows answered by a combination fitted on the other folds. The combination that is kept is fitted on all rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.runtimes.combination import Combination, Kind, Over
from modelyard.methods.training.combining import fitting, scoring
from modelyard.methods.training.combining.outputs import Outputs

Floats = NDArray[np.float64]
LEAST = 1e-6
"""A member that counts less is left out."""


@dataclass(frozen=True)
class Recipe:
    """How to combine; see the stage's Config for the words."""

    method: Kind = "average"
    over: Over = "probabilities"
    weights: Literal["equal", "fitted"] | tuple[float, ...] = "equal"
    select: Literal["all", "greedy"] = "all"
    metric: Literal["loss", "accuracy"] = "loss"
    rounds: int = 50
    folds: int = 5

    @property
    def is_fitted(self) -> bool:
        """Whether anything is learned from the rows."""
        return self.method == "stack" or self.weights == "fitted" or self.select == "greedy"


@dataclass(frozen=True)
class Combined:
    """A combination and what it is worth.

    Attributes:
        combination: of the kept members.
        kept: their places.
        scores: logits [rows, classes] or numbers [rows], cross-fitted if anything was fitted.
        best: place of the single model with the least loss on these rows (which flatters it).
    """

    combination: Combination
    kept: tuple[int, ...]
    scores: Floats
    best: int


def combine(recipe: Recipe, outputs: Outputs, seed: int) -> Combined:
    """Fit and score. Raises InputError if there are too few rows, or the weights are not one for each model."""
    count, rows = len(outputs.members), len(outputs.targets)
    if isinstance(recipe.weights, tuple) and len(recipe.weights) != count:
        raise InputError(
            t("{found} weights for {count} models", found=len(recipe.weights), count=count), where="weights",
            expected=t("one weight for each model, in the order of `in: {models: […]}`"),
        )  # fmt: skip
    if recipe.is_fitted and len(set(outputs.units)) < 2 * recipe.folds:
        raise InputError(
            t("{rows} rows are too few to fit a combination", rows=rows), where="data/validation",
            expected=t("at least {count} rows or groups", count=2 * recipe.folds),
            remedy=t("give `data.split` a larger share for validation, or take `method: average` with equal weights"),
        )  # fmt: skip
    folds = outputs.folds(recipe.folds, seed)
    whole = fit(recipe, outputs.members, outputs.targets, folds)
    scores = cross_fitted(recipe, outputs, folds) if recipe.is_fitted else fitting.combined(whole, outputs.members)
    kept = _kept(whole, count)
    weights = whole.weights if whole.weights is None else whole.weights[list(kept)]
    return Combined(Combination(whole.kind, whole.over, weights, whole.stack), kept, scores, best(outputs))


def fit(recipe: Recipe, members: Floats, targets: NDArray[Any], folds: NDArray[np.int64]) -> Combination:
    """A combination of all members fitted on these rows; weights may be 0."""
    if recipe.method == "vote":
        return Combination("vote")
    if recipe.method == "stack":
        return Combination("stack", stack=fitting.stack(members, targets, folds))
    return Combination("average", recipe.over, _weights(recipe, members, targets))


def _weights(recipe: Recipe, members: Floats, targets: NDArray[Any]) -> Floats | None:
    if recipe.select == "greedy":
        return fitting.greedy_weights(members, targets, recipe.rounds, recipe.metric, recipe.over)
    if isinstance(recipe.weights, tuple):
        given = np.array(recipe.weights, np.float64)
        return given if recipe.over == "log_probabilities" else given / given.sum()
    if recipe.weights == "equal":
        return None
    if members.ndim == 2:
        return fitting.mean_weights(members, targets)
    fitted = fitting.log_pool_weights if recipe.over == "log_probabilities" else fitting.pool_weights
    return fitted(members, targets)


def cross_fitted(recipe: Recipe, outputs: Outputs, folds: NDArray[np.int64]) -> Floats:
    """Scores of every row from a combination that was fitted without its fold."""
    members, targets = outputs.members, outputs.targets
    scores = np.empty(members.shape[1:])
    for fold in np.unique(folds):
        rest, held = folds != fold, folds == fold
        one = fit(recipe, members[:, rest], targets[rest], folds[rest])
        scores[held] = fitting.combined(one, members[:, held])
    return scores


def best(outputs: Outputs) -> int:
    """Place of the member with the least loss; the first of equals."""
    return int(np.argmin([scoring.row_losses(single(one), outputs.targets).mean() for one in outputs.members]))


def single(member: Floats) -> Floats:
    """Scores of one member: logits [rows, classes] from its probabilities, or its numbers [rows]."""
    return np.log(np.maximum(member, 1e-12)) if member.ndim == 2 else member


def _kept(whole: Combination, count: int) -> tuple[int, ...]:
    if whole.weights is None:
        return tuple(range(count))
    return tuple(np.flatnonzero(whole.weights > LEAST).tolist())
