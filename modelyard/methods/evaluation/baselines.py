"""What a large model must beat to earn its cost: always the commonest class, and a linear model on word statistics.

The linear baseline is TF-IDF (characters for scripts without spaces; words and characters inside words for others)
with a linear support vector machine, C chosen on validation, fitted on train alone. Deterministic: equal rows give
equal answers. On a few thousand short texts it is often within a point or two of a fine-tuned encoder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.preprocessing.scripts import unspaced_share

GRID = (0.1, 0.3, 1.0, 3.0)
"""Values of C that are tried, in order; the smallest of equals wins."""

MAX_FEATURES = 200_000
MAX_CHARS = 4_000
SAMPLE = 2_000
Bools = NDArray[np.bool_]
Note = Callable[[int, int], None]


def majority(train_labels: Sequence[str]) -> str:
    """The commonest label; of equals the first in sorted order. Raises ValueError without rows."""
    if not train_labels:
        raise ValueError("no rows to find the commonest label in")
    counts = Counter(train_labels)
    return min(counts, key=lambda label: (-counts[label], label))


@dataclass(frozen=True)
class LinearBaseline:
    """What the linear baseline answered, and how it came to be.

    Attributes:
        predicted: a label for each test text.
        units: `char`, `word` or `word+char`: what was counted.
        c: the chosen C; validation: accuracy on validation for each C tried, empty without validation rows.
        num_features: n-grams kept.
    """

    predicted: tuple[str, ...]
    units: str
    c: float
    validation: dict[float, float]
    num_features: int


def linear(
    train: tuple[Sequence[str], Sequence[str]],
    validation: tuple[Sequence[str], Sequence[str]],
    test_texts: Sequence[str],
    seed: int = 0,
    note: Note = lambda done, total: None,
) -> LinearBaseline:
    """Fit on train (texts, labels), choose C on validation (may be empty), answer test texts.

    With one class in train it answers that class. `note(done, total)` hears of each fit.
    """
    texts, labels = train
    if len(set(labels)) < 2:
        return LinearBaseline(tuple([majority(labels)] * len(test_texts)), "none", GRID[0], {}, 0)
    units, counted = vectorizer(texts)
    try:
        features = counted.fit_transform(cut(texts))
    except ValueError:  # scikit-learn's word for texts without a single n-gram
        return LinearBaseline(tuple([majority(labels)] * len(test_texts)), "none", GRID[0], {}, 0)
    scores: dict[float, float] = {}
    models: dict[float, Any] = {}
    grid = GRID if len(validation[0]) else (1.0,)
    held = counted.transform(cut(validation[0])) if len(validation[0]) else None
    truth = np.asarray(validation[1], dtype=object)
    for done, c in enumerate(grid):
        note(done, len(grid))
        models[c] = _fit(features, labels, c, seed)
        if held is not None:
            scores[c] = float(np.mean(models[c].predict(held) == truth))
    note(len(grid), len(grid))
    best = max(grid, key=lambda c: (scores.get(c, 0.0), -c))
    predicted = models[best].predict(counted.transform(cut(test_texts))) if len(test_texts) else []
    return LinearBaseline(tuple(str(label) for label in predicted), units, best, scores, features.shape[1])


def _fit(features: Any, labels: Sequence[str], c: float, seed: int) -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(C=c, dual=True, random_state=seed, max_iter=2000, tol=1e-3).fit(features, np.asarray(labels))


def cut(texts: Sequence[str]) -> list[str]:
    """Long texts cost time, not accuracy: n-grams of the first characters are enough."""
    return [text[:MAX_CHARS] for text in texts]


def vectorizer(texts: Sequence[str]) -> tuple[str, Any]:
    """n-grams that suit the script of the first texts, and their name."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    common: dict[str, Any] = {"sublinear_tf": True, "min_df": 2 if len(texts) >= 1000 else 1, "dtype": np.float32}
    share = unspaced_share(text[:MAX_CHARS] for text in texts[:SAMPLE])
    characters = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), max_features=MAX_FEATURES, **common)
    if share >= 0.5:
        return "char", characters
    words = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), max_features=MAX_FEATURES, **common)
    inside = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=MAX_FEATURES, **common)
    return "word+char", make_union(words, characters if share >= 0.05 else inside)
