"""Out-of-fold predictions by one column alone (means of the label by value) and by all together (boosted trees)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.leaks.rows import NOTHING, Column, Goal

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
PRIOR = 5.0
"""Rows by which the mean of a rare value is drawn to the mean of all."""
ROWS_A_BIN = 20
MOST_BINS = 1_000
MOST_WORDS = 250
"""Values of a category that trees tell apart; the commonest."""
TREES: dict[str, Any] = {"max_iter": 60, "learning_rate": 0.1, "max_leaf_nodes": 31, "early_stopping": False}


def folds(goal: Goal, num: int) -> Ints:
    """Fold [n] of each row, labels alike in all; rows must be in random order."""
    values = goal.values @ np.arange(1, goal.values.shape[1] + 1) if goal.labels else goal.values[:, 0]
    found = np.empty(len(values), np.int64)
    found[np.argsort(values, kind="stable")] = np.arange(len(values)) % num
    return found


def alone(column: Column, goal: Goal, fold: Ints) -> Floats:
    """The mean of the label [n, m] among rows of other folds with the same value, or in the same bin of numbers."""
    codes = _bins(column, len(fold))
    size, mean = int(codes.max()) + 1, goal.values.mean(axis=0)
    found = np.empty_like(goal.values)
    for held in range(int(fold.max()) + 1):
        rows = fold != held
        counts = np.bincount(codes[rows], minlength=size)[:, None]
        sums = np.stack([np.bincount(codes[rows], one, size) for one in goal.values[rows].T], 1)
        found[~rows] = ((sums + PRIOR * mean) / (counts + PRIOR))[codes[~rows]]
    return found


def _bins(column: Column, n: int) -> Ints:
    """Words and few numbers as they are; many numbers in bins of equal size, missing ones apart."""
    most = min(MOST_BINS, max(10, n // ROWS_A_BIN))
    if column.numbers is None or column.num_values <= most:
        return column.codes
    known = column.codes != NOTHING
    ends = np.quantile(column.numbers[known], np.linspace(0, 1, most + 1)[1:-1])
    found = np.zeros(n, np.int64)
    found[known] = np.searchsorted(ends, column.numbers[known], side="right") + 1
    return found


@dataclass(frozen=True)
class Together:
    """Predictions [n, m] of boosted trees, and by how much each column's shuffling spoils them: growth of the
    mean squared error, as a share of it."""

    predicted: Floats
    spoils: tuple[float, ...] = ()


def together(columns: Sequence[Column], goal: Goal, fold: Ints, seed: int, spoils: bool = False) -> Together:
    """Out-of-fold predictions of histogram gradient boosting (Friedman 2001; scikit-learn)."""
    matrix, is_word = _matrix(columns), [column.numbers is None for column in columns]
    found, worse, error = np.empty_like(goal.values), np.zeros(len(columns)), 1e-12
    for held in range(int(fold.max()) + 1):
        train, test = fold != held, fold == held
        for m in range(goal.values.shape[1]):
            model = _fit(matrix[train], goal.values[train, m], goal.is_number, is_word, seed)
            found[test, m] = _predict(model, matrix[test], goal.is_number)
            if spoils:
                worse += _worse(model, matrix[test], goal.values[test, m], goal.is_number, seed)
                error += float(((found[test, m] - goal.values[test, m]) ** 2).mean())
    return Together(found, tuple((worse / error).tolist()) if spoils else ())


def _fit(matrix: Floats, values: Floats, is_number: bool, is_word: Sequence[bool], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if is_number else HistGradientBoostingClassifier
    if not is_number and len(np.unique(values)) < 2:
        return float(values[0])
    return kind(categorical_features=list(is_word), random_state=seed, **TREES).fit(matrix, values)


def _predict(model: Any, matrix: Floats, is_number: bool) -> Floats:
    if isinstance(model, float):
        return np.full(len(matrix), model)
    found: Floats = model.predict(matrix) if is_number else model.predict_proba(matrix)[:, 1]
    return found


def _worse(model: Any, matrix: Floats, values: Floats, is_number: bool, seed: int) -> Floats:
    """Growth of the mean squared error when a column's values are shuffled [columns] (Breiman 2001)."""
    order = np.random.default_rng(seed).permutation(len(matrix))
    before = float(((_predict(model, matrix, is_number) - values) ** 2).mean())
    found = np.zeros(matrix.shape[1])
    for place in range(matrix.shape[1]):
        shuffled = matrix.copy()
        shuffled[:, place] = shuffled[order, place]
        found[place] = float(((_predict(model, shuffled, is_number) - values) ** 2).mean()) - before
    return found


def _matrix(columns: Sequence[Column]) -> Floats:
    return np.stack([column.numbers if column.numbers is not None else _common(column) for column in columns], 1)


def _common(column: Column) -> Floats:
    """Codes of the MOST_WORDS commonest values; NaN for no value, one more code for all others."""
    counts = np.bincount(column.codes, minlength=column.num_values + 1)
    counts[NOTHING] = 0
    kept = np.argsort(-counts, kind="stable")[:MOST_WORDS]
    place = np.full(len(counts), float(MOST_WORDS))
    place[kept] = np.arange(len(kept))
    place[NOTHING] = np.nan
    return place[column.codes]
