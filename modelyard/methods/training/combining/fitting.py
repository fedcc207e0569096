"""Fitting what combines models, on rows that none of them was trained on: weights, a stack, which members to take.

Probabilities are [members, rows, classes] with targets in class places, numbers [members, rows] with targets in their
unit. Both linear fits are drawn towards the plain mean of all members, so that few rows change little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from modelyard.methods.runtimes import combination
from modelyard.methods.runtimes.combination import Combination, Stack
from modelyard.methods.training.combining import scoring
from modelyard.methods.training.evaluation import log_softmax

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STRENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Of the pull towards the mean of all members, tried by cross-validation, strongest first."""
MOST_WEIGHT = 10.0
"""Of a member in a product of probabilities: rows that are all answered rightly would push it to infinity."""
EM_ROUNDS, EM_ENOUGH = 2000, 1e-10


def pool_weights(probabilities: Floats, targets: Ints) -> Floats:
    """Weights [members] that sum to 1 and make the likelihood of the weighted mean greatest.

    Expectation-maximisation of a mixture whose parts are known (Dempster, Laird & Rubin 1977): the problem is convex
    and every round is better than the one before.
    """
    right = np.maximum(probabilities[:, np.arange(len(targets)), targets], combination.FLOOR)
    weights = np.full(len(right), 1 / len(right))
    for _ in range(EM_ROUNDS):
        shares = weights[:, None] * right
        after: Floats = (shares / shares.sum(0)).mean(1)
        done = float(np.abs(after - weights).max()) < EM_ENOUGH
        weights = after
        if done:
            break
    return weights


def log_pool_weights(probabilities: Floats, targets: Ints) -> Floats:
    """Weights [members] from 0 to 10 of log-probabilities with the least cross-entropy; their sum is free."""
    logs = np.log(np.maximum(probabilities, combination.FLOOR))
    rows = np.arange(len(targets))

    def loss(weights: Floats) -> tuple[float, Floats]:
        answers = log_softmax(np.tensordot(weights, logs, 1))
        slope = (np.exp(answers) * logs).sum(2) - logs[:, rows, targets]
        return float(-answers[rows, targets].mean()), slope.mean(1)

    return _least(loss, np.full(len(logs), 1 / len(logs)), (0.0, MOST_WEIGHT))


def mean_weights(numbers: Floats, targets: Floats) -> Floats:
    """Weights [members] from 0 on that sum to 1 and make the squared error of the weighted mean least."""
    spread = float(targets.std()) or 1.0
    scaled, wanted = numbers / spread, targets / spread

    def loss(weights: Floats) -> tuple[float, Floats]:
        error = weights @ scaled - wanted
        return float((error**2).mean()), 2 * scaled @ error / len(error)

    count = len(numbers)
    found = minimize(
        loss, np.full(count, 1 / count), jac=True, method="SLSQP", bounds=[(0.0, 1.0)] * count,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1}, options={"maxiter": 500, "ftol": 1e-12},
    )  # fmt: skip
    weights = np.maximum(found.x, 0)
    result: Floats = weights / weights.sum()
    return result


def stack_of_classes(probabilities: Floats, targets: Ints, strength: float) -> Stack:
    """Multinomial logistic regression on log-probabilities: mean cross-entropy + strength / 2 · |W − W₀|².

    W₀ gives the mean of the members' logarithms: with all strength the stack is that.
    """
    members, _, classes = probabilities.shape
    x_NF = combination.features(probabilities)
    prior = np.tile(np.eye(classes), members) / members
    wanted = np.eye(classes)[targets]

    def loss(flat: Floats) -> tuple[float, Floats]:
        weight, bias = flat[:-classes].reshape(prior.shape), flat[-classes:]
        answers = log_softmax(x_NF @ weight.T + bias)
        error = (np.exp(answers) - wanted) / len(wanted)
        moved = weight - prior
        penalty = strength / 2 * (float((moved**2).sum()) + float((bias**2).sum()))
        slope = np.concatenate([(error.T @ x_NF + strength * moved).ravel(), error.sum(0) + strength * bias])
        return float(-(answers * wanted).sum() / len(wanted)) + penalty, slope

    found = _least(loss, np.concatenate([prior.ravel(), np.zeros(classes)]), None)
    return Stack(found[:-classes].reshape(prior.shape), found[-classes:])


def stack_of_numbers(numbers: Floats, targets: Floats, strength: float) -> Stack:
    """Ridge regression of the targets on the members' numbers, drawn towards their mean (in units of the spread)."""
    x_NM, count = numbers.T, len(numbers)
    scale = float(targets.var()) or 1.0
    centred, prior = x_NM - x_NM.mean(0), np.full(count, 1 / count)
    left = (targets - targets.mean()) - centred @ prior
    matrix = centred.T @ centred / (len(targets) * scale) + strength * np.eye(count)
    weight = prior + np.linalg.solve(matrix, centred.T @ left / (len(targets) * scale))
    return Stack(weight[None], np.array([float((targets - x_NM @ weight).mean())]))


def stack(outputs: Floats, targets: NDArray[Any], folds: Ints) -> Stack:
    """The stack whose strength has the least loss on folds that it was not fitted on; of equals the stronger."""
    fit: Callable[[Floats, NDArray[Any], float], Stack]
    fit = stack_of_classes if outputs.ndim == 3 else stack_of_numbers
    losses = []
    for strength in STRENGTHS:
        parts = []
        for fold in np.unique(folds):
            rest, held = folds != fold, folds == fold
            combine = Combination("stack", stack=fit(outputs[:, rest], targets[rest], strength))
            parts.append(scoring.row_losses(combined(combine, outputs[:, held]), targets[held]))
        losses.append(float(np.concatenate(parts).mean()))
    return fit(outputs, targets, STRENGTHS[int(np.argmin(losses))])


def combined(combine: Combination, outputs: Floats) -> Floats:
    """Logits [rows, classes] or numbers [rows] of a combination."""
    return combine.scores(outputs) if outputs.ndim == 3 else combine.values(outputs)


def greedy_weights(
    outputs: Floats, targets: NDArray[Any], rounds: int, metric: str, over: combination.Over = "probabilities"
) -> Floats:
    """Shares [members] of a forward selection with replacement (Caruana et al. 2004).

    Each round adds the member that makes the mean best; the best mean on the way is kept, of equals the earliest. By
    `accuracy`, what is equal is settled by the loss.
    """
    count, counts = len(outputs), np.zeros(len(outputs))
    best, kept = (np.inf, np.inf), counts
    for _ in range(rounds):
        tried = [counts + np.eye(count)[place] for place in range(count)]
        values = [_value(outputs, targets, one / one.sum(), metric, over) for one in tried]
        place = min(range(count), key=lambda one: values[one])
        counts = tried[place]
        if values[place] < best:
            best, kept = values[place], counts
    result: Floats = kept / kept.sum()
    return result


def _value(
    outputs: Floats, targets: NDArray[Any], weights: Floats, metric: str, over: combination.Over
) -> tuple[float, float]:
    """Less is better."""
    found = scoring.metrics(combined(Combination("average", over, weights), outputs), targets)
    return (-found["accuracy"] if metric == "accuracy" else 0.0, found["loss"])


def _least(loss: Callable[[Floats], tuple[float, Floats]], start: Floats, bounds: tuple[float, float] | None) -> Floats:
    limits: Sequence[tuple[float, float]] | None = None if bounds is None else [bounds] * len(start)
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=limits, options={"maxiter": 2000, "ftol": 1e-12, "gtol": 1e-8}
    )
    result: Floats = np.asarray(found.x, np.float64)
    return result
