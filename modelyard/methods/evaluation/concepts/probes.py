"""Linear probes of a concept, and directions that answers may follow.

A probe that tells a concept's examples apart shows little if it would learn any labels as well: its accuracy on held
out examples stands beside that with the labels shuffled (control task; Hewitt & Liang 2019, "Designing and Interpreting
Probes with Control Tasks"). A probe shows that a layer holds a concept, not that answers use it: that is what TCAV asks
(Kim et al. 2018, "Interpretability Beyond Feature Attribution"): the share of a class's rows whose log-odds would rise
along the concept's direction.

The test compares with directions of random concepts: as many rows drawn from train, with labels by lot. Its statistic
is the mean slope along the direction, not the share: where slopes are alike for all rows, as before a linear answer,
the share is 0 or 1 for any direction. If the concept is as good as random, its p-value is that or less with that
probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.estimates import Interval
from modelyard.methods.statistics.wilson import wilson

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
STRENGTH = 1.0
"""C of logistic regression on standardised vectors."""


@dataclass(frozen=True)
class Probe:
    """Of one concept at one layer.

    Attributes:
        accuracy: on held out examples, with 95 % over examples; controls: the same with shuffled labels.
        p: how probable so good a probe is with shuffled labels.
    """

    accuracy: float
    interval: Interval
    n: int
    controls: Floats

    @property
    def selectivity(self) -> float:
        return self.accuracy - float(self.controls.mean())

    @property
    def held(self) -> bool:
        """Whether the layer holds the concept: the accuracy's interval lies above the mean with shuffled labels."""
        return self.interval[0] > float(self.controls.mean())

    @property
    def p(self) -> float:
        return float((1 + (self.controls >= self.accuracy - 1e-12).sum()) / (1 + len(self.controls)))


def probe(values: Floats, labels: Ints, folds: int, controls: int, seed: int) -> Probe:
    """Of vectors [n, d] with labels 0 and 1 [n]."""
    generator = np.random.default_rng([seed, 1])
    right = _held_out(values, labels, folds, seed)
    shuffled = [_held_out(values, generator.permutation(labels), folds, seed) for _ in range(controls)]
    found = [float(one.mean()) for one in shuffled]
    return Probe(float(right.mean()), wilson(int(right.sum()), len(right)), len(right), np.array(found))


def _held_out(values: Floats, labels: Ints, folds: int, seed: int) -> NDArray[np.bool_]:
    """[n] whether each example was told rightly by a probe that learned from the other folds."""
    from sklearn.model_selection import StratifiedKFold

    right = np.zeros(len(labels), np.bool_)
    for learned, asked in StratifiedKFold(folds, shuffle=True, random_state=seed).split(values, labels):
        weights, bias = _fit(values[learned], labels[learned])
        right[asked] = (values[asked] @ weights + bias > 0) == labels[asked].astype(np.bool_)
    return right


def _fit(values: Floats, labels: Ints) -> tuple[Floats, float]:
    """Weights [d] in the space of the vectors, and the bias."""
    from sklearn.linear_model import LogisticRegression

    centre, width = values.mean(0), values.std(0)
    width = np.where(width > 0, width, 1.0)
    model = LogisticRegression(C=STRENGTH, max_iter=300, class_weight="balanced")
    model.fit((values - centre) / width, labels)
    weights: Floats = model.coef_[0] / width
    return weights, float(model.intercept_[0] - weights @ centre)


def direction(values: Floats, labels: Ints) -> Floats:
    """[d] the concept's, of length 1; zero where nothing tells its examples apart."""
    weights, _ = _fit(values, labels)
    length = float(np.linalg.norm(weights))
    return weights / length if length > 0 else weights


def random_directions(pool: Floats, positives: int, negatives: int, count: int, seed: int) -> Floats:
    """[count, d] of random concepts of the same size: rows of the pool [m, d], labelled by lot."""
    generator = np.random.default_rng([seed, 2])
    size = min(positives + negatives, len(pool))
    labels = (np.arange(size) < max(1, round(size * positives / (positives + negatives)))).astype(np.int64)
    found = [direction(pool[generator.choice(len(pool), size, replace=False)], labels) for _ in range(count)]
    return np.stack(found)


@dataclass(frozen=True)
class Tcav:
    """Of one concept at one layer for one class.

    Attributes:
        score: share of the class's rows that rise along the direction, with 95 % over rows.
        of_random: 2.5 % and 97.5 % of the score of random concepts.
        p: two-sided, with 95 % for the number of random concepts; beyond: how many of them are as extreme.
    """

    score: float
    interval: Interval
    n: int
    of_random: Interval
    beyond: int
    randoms: int

    @property
    def p(self) -> float:
        return (1 + self.beyond) / (1 + self.randoms)

    @property
    def p_interval(self) -> Interval:
        return wilson(self.beyond, self.randoms)


def tcav(slopes: Floats, concept: Floats, randoms: Floats) -> Tcav:
    """Of slopes [n, d] of a class's rows, the concept's direction [d], random ones [r, d]."""
    along, beside = slopes @ concept, slopes @ randoms.T
    up = int((along > 0).sum())
    extreme = int((np.abs(beside.mean(0)) >= abs(along.mean()) - 1e-15).sum())
    low, high = np.quantile((beside > 0).mean(0), (0.025, 0.975)).tolist()
    return Tcav(up / len(along), wilson(up, len(along)), len(along), (low, high), extreme, len(randoms))
