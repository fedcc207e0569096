"""Linear baselines on tables: logistic regression for classes, ridge regression for numbers.

Number columns are filled with their median and standardised, other columns are one-hot (values seen often enough, at
most CATEGORIES a column). All of it is fitted on train alone; the strength of the penalty is chosen on validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation.comparison import Guess
from modelyard.methods.evaluation.measuring.examples import Examples, Note, Row, quiet
from modelyard.methods.preprocessing.table import number_of, word_of

GRID = (0.03, 0.3, 3.0)
"""Strengths C that are tried for classes (ridge: their inverse); the smallest of equals wins."""
CATEGORIES = 100
MOST_ROWS = 50_000
Floats = NDArray[np.float64]


def classes(data: Dataset, train: Examples, examples: Examples, seed: int, note: Note = quiet) -> Guess | None:
    """Logistic regression; None if train has one class or the table no usable column."""
    from sklearn.linear_model import LogisticRegression

    labels = np.asarray(train.truths, dtype=object)
    if len(set(train.truths)) < 2:
        return None

    def fit(c: float, features: Any, places: NDArray[np.int64]) -> Any:
        return LogisticRegression(C=c, max_iter=300, random_state=seed).fit(features, labels[places].astype(str))

    def score(model: Any, features: Any, truths: Sequence[Any]) -> float:
        return float(np.mean(model.predict(features) == np.asarray(truths, dtype=str)))

    found = _tuned(data, train, examples, seed, note, fit, score)
    if found is None:
        return None
    answers, c, tuning, width = found
    scores = [{"c": each, "accuracy": value} for each, value in tuning.items()]
    about = {"units": "columns", "c": c, "validation": scores, "num_features": width}
    return Guess(tuple(str(answer) for answer in answers), about)


def numbers(
    data: Dataset, train: Examples, examples: Examples, seed: int, note: Note = quiet
) -> tuple[Floats, dict[str, Any]] | None:
    """Ridge regression: answers [n] and how they came to be; None if the table has no usable column."""
    from sklearn.linear_model import Ridge

    targets = np.asarray(train.truths, dtype=np.float64)

    def fit(c: float, features: Any, places: NDArray[np.int64]) -> Any:
        return Ridge(alpha=1 / c, solver="lsqr" if hasattr(features, "tocsr") else "auto").fit(
            features, targets[places]
        )

    def score(model: Any, features: Any, truths: Sequence[Any]) -> float:
        return -float(np.mean((model.predict(features) - np.asarray(truths, dtype=np.float64)) ** 2))

    found = _tuned(data, train, examples, seed, note, fit, score)
    if found is None:
        return None
    answers, c, tuning, width = found
    scores = [{"c": each, "mse": -value} for each, value in tuning.items()]
    return np.asarray(answers, dtype=np.float64), {
        "units": "columns",
        "c": c,
        "validation": scores,
        "num_features": width,
    }


def _tuned(
    data: Dataset, train: Examples, examples: Examples, seed: int, note: Note, fit: Any, score: Any
) -> tuple[Any, float, dict[float, float], int] | None:
    names = [column.name for column in data.columns if column.role == "feature"]
    every = np.arange(len(train))
    places = every if every.size <= MOST_ROWS else np.sort(np.random.default_rng(seed).permutation(every)[:MOST_ROWS])
    wanted = set(places.tolist())
    rows = [row for place, row in enumerate(train.rows()) if place in wanted]
    encoder = ColumnEncoder.fit(rows, names) if names else None
    if encoder is None:
        return None
    held = Examples.read(data, "validation", examples.reader)
    features = encoder.encode(rows)
    held_features = encoder.encode(list(held.rows())) if len(held) else None
    grid = GRID if len(held) else (GRID[1],)
    models, tuning = {}, {}
    for done, c in enumerate(grid):
        note(done, len(grid))
        models[c] = fit(c, features, places)
        if held_features is not None:
            tuning[c] = score(models[c], held_features, held.truths)
    note(len(grid), len(grid))
    best = max(grid, key=lambda c: (tuning.get(c, 0.0), -c))
    answers = models[best].predict(encoder.encode(list(examples.rows())))
    return answers, best, tuning, features.shape[1]


class ColumnEncoder:
    """Columns of rows as a matrix."""

    def __init__(self, numbers: list[str], words: list[str], steps: list[Any]) -> None:
        self._numbers, self._words, self._steps = numbers, words, steps

    @classmethod
    def fit(cls, rows: Sequence[Row], names: Sequence[str]) -> ColumnEncoder | None:
        from sklearn.impute import SimpleImputer
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        numeric = [name for name in names if _is_number(rows, name)]
        words = [name for name in names if name not in numeric]
        if not rows or not names:
            return None
        encoder = cls(numeric, words, [
            SimpleImputer(strategy="median", keep_empty_features=True),
            StandardScaler(),
            OneHotEncoder(max_categories=CATEGORIES, handle_unknown="infrequent_if_exist"),
        ])  # fmt: skip
        if numeric:
            filled = encoder._steps[0].fit_transform(encoder._matrix(rows))
            encoder._steps[1].fit(filled)
        if words:
            encoder._steps[2].fit(encoder._table(rows))
        return encoder

    def encode(self, rows: Sequence[Row]) -> Any:
        from scipy.sparse import csr_matrix, hstack

        parts = []
        if self._numbers:
            parts.append(csr_matrix(self._steps[1].transform(self._steps[0].transform(self._matrix(rows)))))
        if self._words:
            parts.append(self._steps[2].transform(self._table(rows)))
        return hstack(parts).tocsr() if self._words else parts[0].toarray()

    def _matrix(self, rows: Sequence[Row]) -> Floats:
        return np.array([[_number(row[name]) for name in self._numbers] for row in rows], dtype=np.float64)

    def _table(self, rows: Sequence[Row]) -> NDArray[np.object_]:
        return np.array([[_word(row[name]) for name in self._words] for row in rows], dtype=object)


def _is_number(rows: Sequence[Row], name: str) -> bool:
    try:
        found = [number_of(row[name]) for row in rows]
    except ValueError:
        return False
    return not np.isnan(found).all()


def _number(value: Any) -> float:
    try:
        return number_of(value)
    except ValueError:
        return float("nan")


def _word(value: Any) -> str:
    try:
        return word_of(value) or ""
    except ValueError:
        return str(value)
