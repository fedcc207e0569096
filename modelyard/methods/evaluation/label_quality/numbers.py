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
        held: features and labels of validation, which chooses the strength of the logistic penalty; may be empty.
        model: trees are scikit-learn's histogram gradient boosting (as LightGBM: Ke et al. 2017).
    """
    num_labels, num_folds = int(labels.max()) + 1, int(folds.max()) + 1
    found = np.zeros((len(labels), num_labels))
    strengths: tuple[float, ...] = STRENGTHS if len(held[1]) else (0.01,)
    for fold in range(num_folds):
        rest, out = folds != fold, folds == fold
        fitted = [_fit(x[rest], labels[rest], model, strength, seed) for strength in strengths]
        if model == "logistic" and len(fitted) > 1:
            losses = [_loss(one, held, num_labels) for one in fitted]
            best = int(np.argmin(losses))
            fitted, strengths = [fitted[best]], (strengths[best],)
        found[out] = _answers(fitted[0], x[out], num_labels)
        progress(fold + 1, num_folds, "folds")
    return found


def _fit(x: Floats, labels: Ints, model: Model, strength: float, seed: int) -> Any:
    if model == "trees":
        from sklearn.ensemble import HistGradientBoostingClassifier

        trees = HistGradientBoostingClassifier(
            max_iter=100, learning_rate=0.1, early_stopping=False, random_state=seed % 2**32
        )
        return trees.fit(x, labels)
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    steps = (SimpleImputer(keep_empty_features=True), StandardScaler())
    return make_pipeline(*steps, LogisticRegression(C=strength, max_iter=MOST_ITERATIONS)).fit(x, labels)


def _answers(fitted: Any, x: Floats, num_labels: int) -> Floats:
    """Columns of all classes; one that the rest of the rows lacks has probability 0."""
    found = np.zeros((len(x), num_labels))
    found[:, fitted.classes_] = fitted.predict_proba(x)
    return found


def _loss(fitted: Any, held: tuple[Floats, Ints], num_labels: int) -> float:
    right = _answers(fitted, held[0], num_labels)[np.arange(len(held[1])), held[1]]
    return float(-np.log(np.maximum(right, 1e-12)).mean())
