"""Classes that have an order, and answers that cost differently.

kappa_quadratic   quadratic weighted kappa (Cohen 1968): 1 - Σ w o / Σ w e with w = (i - j)², o the shares seen and
                  e those of independent labels and answers
rank_mae          mean distance of ranks between label and answer
mean_cost         mean of cost[label][answer]
cost_accuracy     1 - Σ cost[label][answer] / Σ worst cost of the label: 1 if nothing costs, 0 if all is worst
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.classification import confusion_matrix
from modelyard.methods.evaluation.confusion_intervals import Z95
from modelyard.methods.evaluation.estimates import Estimate, Interval
from modelyard.methods.evaluation.intervals import bootstrap_t
from modelyard.methods.evaluation.means import ratio_interval
from modelyard.methods.evaluation.quality import Answers
from modelyard.methods.statistics.wilson import wilson

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def of_ranks(answers: Answers, order: Sequence[str], seed: int = 0) -> list[Estimate]:
    """Kappa and error of ranks; `order` names every class from low to high. No kappa if one class is all there is."""
    rank = np.array([order.index(label) for label in answers.labels], dtype=np.int64)
    actual, predicted = rank[answers.actual], rank[answers.predicted]
    distance = np.abs(actual - predicted).astype(np.float64)
    n = distance.size
    found = [Estimate("rank_mae", float(distance.mean()), _of_distances(distance, len(order) - 1, seed), n)]
    confusion = confusion_matrix(actual, predicted, len(order))
    kappa = quadratic_kappa(confusion)
    if math.isfinite(kappa):
        found.append(Estimate("kappa_quadratic", kappa, quadratic_kappa_interval(confusion), n))
    return found


def _of_distances(distance: Floats, most: int, seed: int) -> Interval | None:
    if distance.any():
        return bootstrap_t(distance, seed=seed, non_negative=True)
    return 0.0, most * wilson(0, distance.size)[1]


def _weights(size: int) -> Floats:
    places = np.arange(size, dtype=np.float64)
    result: Floats = (places[:, None] - places[None, :]) ** 2
    return result


def quadratic_kappa(confusion: Ints) -> float:
    """NaN if labels and answers are all of one class."""
    shares = confusion / confusion.sum()
    weights = _weights(len(confusion))
    expected = float(shares.sum(axis=1) @ weights @ shares.sum(axis=0))
    return 1 - float((weights * shares).sum()) / expected if expected > 0 else math.nan


def quadratic_kappa_interval(confusion: Ints) -> Interval | None:
    """Delta method on Fisher's scale; None for fewer than 20 rows.

    With N = Σ w p, D = Σ w r c: the derivative of 1 - N / D with respect to the share of cell (i, j) is
    -(w_ij - (N / D) ((w c)_i + (r w)_j)) / D. At 1 nothing varies: Wilson's end of errors of one rank.
    """
    n = int(confusion.sum())
    if n < 20:
        return None
    shares, weights = confusion / n, _weights(len(confusion))
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    seen, expected = float((weights * shares).sum()), float(rows @ weights @ columns)
    if not expected > 0:
        return None
    value = 1 - seen / expected
    if value >= 1 - 1e-12:
        return 1 - wilson(0, n)[1] / expected, 1.0
    pull = (weights @ columns)[:, None] + (rows @ weights)[None, :]
    gradient = -(weights - (seen / expected) * pull) / expected
    centred = gradient - float((shares * gradient).sum())
    error = math.sqrt(float((shares * centred**2).sum()) / (n - 1))
    if value <= -1 + 1e-12:
        return -1.0, min(1.0, value + Z95 * error)
    half, centre = Z95 * error / (1 - value**2), math.atanh(value)
    return math.tanh(centre - half), math.tanh(centre + half)


def cost_table(labels: Sequence[str], costs: Mapping[str, Mapping[str, float]]) -> Floats:
    """Costs [true class, answer]; what is not named costs 1, a right answer 0."""
    return np.array([[costs.get(true, {}).get(said, float(true != said)) for said in labels] for true in labels])


def of_costs(answers: Answers, costs: Mapping[str, Mapping[str, float]], seed: int = 0) -> list[Estimate]:
    """Mean cost and cost-weighted accuracy."""
    table = cost_table(answers.labels, costs)
    paid, worst = table[answers.actual, answers.predicted], table.max(axis=1)[answers.actual]
    n = paid.size
    ends = bootstrap_t(paid, seed=seed, non_negative=True)
    if not paid.any():
        ends = (0.0, float(table.max()) * wilson(0, n)[1])
    found = [Estimate("mean_cost", float(paid.mean()), ends, n)]
    if worst.sum() > 0:
        value = 1 - float(paid.sum() / worst.sum())
        found.append(Estimate("cost_accuracy", value, ratio_interval(worst - paid, worst, seed, bounded=True), n))
    return found
