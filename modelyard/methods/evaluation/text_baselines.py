"""The linear baseline of numbers from texts: ridge regression on the n-grams that suit the script."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation.baselines import cut, vectorizer
from modelyard.methods.evaluation.measuring.examples import Examples, Note, quiet

GRID = (0.3, 3.0)
"""Penalties that are tried; the largest of equals wins."""
Floats = NDArray[np.float64]


def numbers(
    data: Dataset, train: Examples, examples: Examples, seed: int, note: Note = quiet
) -> tuple[Floats, dict[str, Any]] | None:
    """Answers [n] and how they came to be; None if train has not a single n-gram."""
    from sklearn.linear_model import Ridge

    texts, targets = _texts(train), np.array(train.truths, dtype=np.float64)
    units, counted = vectorizer(texts)
    try:
        features = counted.fit_transform(texts)
    except ValueError:  # scikit-learn's word for texts without a single n-gram
        return None
    held = Examples.read(data, "validation", examples.reader)
    held_features = counted.transform(_texts(held)) if len(held) else None
    models, losses = {}, {}
    for done, penalty in enumerate(GRID if len(held) else GRID[:1]):
        note(done, len(GRID))
        models[penalty] = Ridge(alpha=penalty, solver="lsqr", tol=1e-6).fit(features, targets)
        if held_features is not None:
            losses[penalty] = float(np.mean((models[penalty].predict(held_features) - np.array(held.truths)) ** 2))
    note(len(GRID), len(GRID))
    best = min(models, key=lambda penalty: (losses.get(penalty, 0.0), -penalty))
    tuning = [{"c": 1 / penalty, "mse": loss} for penalty, loss in losses.items()]
    about = {"units": units, "c": 1 / best, "validation": tuning, "num_features": features.shape[1]}
    return np.asarray(models[best].predict(counted.transform(_texts(examples))), dtype=np.float64), about


def _texts(examples: Examples) -> list[str]:
    return cut([str(record["text"]) for record in examples.records()])
