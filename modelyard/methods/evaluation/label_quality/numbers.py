"""Out-of-fold class probabilities from numbers: logistic regression on standardised features, or boosted trees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Model = Literal["logistic", "trees"]
STRENGTHS = (0.001, 0.01, 0.1, 1.0)
MOST_TREES = 200  # rounds of boosting
USUAL: dict[Model, float] = {"logistic": 0.01, "trees": 50}  # without validation
MOST_ITERATIONS = 1_000


def out_of_fold(
    x: Floats,
    labels: Ints,
    held: tuple[Floats, Ints],
    folds: Ints,
    model: Model,
    seed: int,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Floats:
    """[rows, classes] probabilities, each from a model that saw neither the row nor its fold.

    Args:
        x: [rows, features]; NaN where unknown (the mean, to logistic regression).
        held: features and labels of validation, which chooses the strength of the penalty or the number of
            trees; may be empty.
        model: trees are scikit-learn's histogram gradient boosting (as LightGBM: Ke et al. 2017).
    """
    num_labels, num_folds = int(labels.max()) + 1, int(folds.max()) + 1
    found = np.zeros((len(labels), num_labels))
    setting: float | None = None if len(held[1]) else USUAL[model]
    for fold in range(num_folds):
        rest, out = folds != fold, folds == fold
        if setting is None:
            setting = _choose(x[rest], labels[rest], held, num_labels, model, seed)
        found[out] = _answers(_fit(x[rest], labels[rest], model, setting, seed), x[out], num_labels)
        progress(fold + 1, num_folds, "folds")
    return found


def _choose(x: Floats, labels: Ints, held: tuple[Floats, Ints], num_labels: int, model: Model, seed: int) -> float:
    """The strength or the number of trees with the least cross-entropy on held-out rows; of equals the smaller."""
    if model == "logistic":
        losses = [
            _loss(_answers(_fit(x, labels, model, strength, seed), held[0], num_labels), held[1])
            for strength in STRENGTHS
        ]
        return STRENGTHS[int(np.argmin(losses))]
    trees = _fit(x, labels, model, MOST_TREES, seed)
    losses = []
    for stage in trees.staged_predict_proba(held[0]):
        spread = np.zeros((len(stage), num_labels))
        spread[:, trees.classes_] = stage
        losses.append(_loss(spread, held[1]))
    return float(np.argmin(losses) + 1)


def _fit(x: Floats, labels: Ints, model: Model, setting: float, seed: int) -> Any:
    """`setting` is the inverse strength of the logistic penalty, or the number of trees."""
    if model == "trees":
        from sklearn.ensemble import HistGradientBoostingClassifier

        trees = HistGradientBoostingClassifier(
            max_iter=int(setting), learning_rate=0.1, early_stopping=False, random_state=seed % 2**32
        )
        return trees.fit(x, labels)
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    steps = (SimpleImputer(keep_empty_features=True), StandardScaler())
    return make_pipeline(*steps, LogisticRegression(C=setting, max_iter=MOST_ITERATIONS)).fit(x, labels)


def _answers(fitted: Any, x: Floats, num_labels: int) -> Floats:
    """Columns of all classes; one that the rest of the rows lacks has probability 0."""
    found = np.zeros((len(x), num_labels))
    found[:, fitted.classes_] = fitted.predict_proba(x)
    return found


def _loss(probabilities: Floats, labels: Ints) -> float:
    right = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(right, 1e-12)).mean())
