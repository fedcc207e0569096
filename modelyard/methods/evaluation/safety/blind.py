"""A membership attack that never asks the model: can members be told from others by the rows alone?

If they can, the two differ in kind (by time, source, file) and every membership attack finds that instead of memory:
members and others must be of one distribution (Duan et al. 2024, "Do membership inference attacks work on large
language models?"; Das, Zhang and Tramèr 2024, "Blind baselines beat membership inference attacks for foundation
models"). A logistic regression on n-grams, binned columns or small grey pixels, cross-fitted; what counts is its AUC.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.row_random import ranks

Floats = NDArray[np.float64]
FOLDS = 5
LEAST = 50
"""Rows of each side below which nothing is fitted."""
SIDE = 12
"""Of the small picture (pixels)."""
BINS = 8
FEATURES = 2**14


def scores(
    members: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], seed: int
) -> tuple[Floats, Floats] | None:
    """How much each record looks like a member, by a model of the other folds; None with too few rows.

    Scores are ranks within a fold, so that those of different fits can stand beside each other.
    """
    from sklearn.linear_model import LogisticRegression

    if min(len(members), len(others)) < LEAST:
        return None
    features = _features([*members, *others])
    inside = np.arange(features.shape[0]) < len(members)
    # Members and others are dealt out apart: folds of other shares would shift the scores of whole folds.
    fold = np.concatenate([_dealt(len(members), seed, "members"), _dealt(len(others), seed, "others")])
    found = np.empty(inside.size)
    for number in range(FOLDS):
        held = fold == number
        fitted = LogisticRegression(C=1.0, solver="liblinear", random_state=0).fit(features[~held], inside[~held])
        told = fitted.decision_function(features[held])
        found[held] = _ranked(told)
    return found[inside], found[~inside]


def _dealt(count: int, seed: int, name: str) -> NDArray[np.int64]:
    order = np.argsort(np.argsort(ranks(seed, f"blind/{name}", [str(place) for place in range(count)]), kind="stable"))
    return np.asarray(order % FOLDS, dtype=np.int64)


def _ranked(values: Floats) -> Floats:
    """Mid-ranks from 0 to 1."""
    ordered = np.sort(values)
    low, high = np.searchsorted(ordered, values), np.searchsorted(ordered, values, side="right")
    return np.asarray((low + high) / (2 * values.size), dtype=np.float64)


def _features(records: Sequence[Mapping[str, Any]]) -> Any:
    first = records[0]
    if any(isinstance(value, bytes) for value in first.values()):
        return np.stack([_pixels(record) for record in records])
    if set(first) <= {"text", "prompt", "answer", "text_b", "max_new_tokens", "temperature"}:
        return _grams([" ".join(str(value) for value in record.values() if value is not None) for record in records])
    return _cells(records)


def _grams(texts: Sequence[str]) -> Any:
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import HashingVectorizer

    counted = HashingVectorizer(analyzer="char", ngram_range=(1, 3), n_features=FEATURES, alternate_sign=False)
    lengths = np.log1p([[len(text)] for text in texts])
    spread = float(lengths.std()) or 1.0
    return hstack([counted.transform(texts), csr_matrix((lengths - lengths.mean()) / spread)]).tocsr()


def _cells(records: Sequence[Mapping[str, Any]]) -> Any:
    """Numbers by the bin they fall into, words as they are."""
    from sklearn.feature_extraction import FeatureHasher

    names = sorted({name for record in records for name in record})
    edges = {name: _edges([record.get(name) for record in records]) for name in names}
    words = [[_word(name, record.get(name), edges[name]) for name in names] for record in records]
    return FeatureHasher(n_features=FEATURES, input_type="string", alternate_sign=False).transform(words)


def _edges(values: Sequence[Any]) -> Floats | None:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    known = np.array(numbers, dtype=np.float64)
    known = known[np.isfinite(known)]
    return np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1]) if known.size > BINS else None


def _word(name: str, value: Any, edges: Floats | None) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
    return f"{name}={np.searchsorted(edges, value)}" if is_number and edges is not None else f"{name}={value}"


def _pixels(record: Mapping[str, Any]) -> Floats:
    from PIL import Image

    encoded = next(value for value in record.values() if isinstance(value, bytes))
    with Image.open(io.BytesIO(encoded)) as image:
        small = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
        shape = np.log1p(np.array(image.size, dtype=np.float64)) / 10
    return np.concatenate([np.asarray(small, dtype=np.float64).ravel() / 255, shape])
