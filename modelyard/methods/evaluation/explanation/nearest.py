"""The nearest training row to which the model answers something else: what would have to be different.

Texts are compared by the cosine of their runs of 1 to 3 characters, weighted by rarity; rows of tables by Gower's
distance (1971): the mean over columns of |difference| / range, or of "is not the same".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelyard.methods.evaluation.explanation.game import Floats
from modelyard.methods.evaluation.explanation.surrogate import number_or_none
from modelyard.methods.runtimes.predictor import Record


@dataclass(frozen=True)
class Nearest:
    """A counterfactual example.

    Attributes:
        place: among the candidates; answer: the place of the label the model gives it.
        distance: 0 (the same) to 1.
    """

    place: int
    answer: int
    distance: float


def nearest(distances: Floats, answers: np.ndarray, own: int) -> Nearest | None:
    """Of candidates [n] at these distances with these answers; None if all are answered as the row is."""
    others = np.flatnonzero(answers != own)
    if not others.size:
        return None
    place = int(others[distances[others].argmin()])
    return Nearest(place, int(answers[place]), float(distances[place]))


def text_distances(rows: Sequence[str], candidates: Sequence[str]) -> Floats:
    """[rows, candidates] 1 - cosine of TF-IDF of runs of characters."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
    there = vectorizer.fit_transform([text or " " for text in candidates])
    found: Floats = 1 - (vectorizer.transform(rows) @ there.T).toarray()
    return np.clip(found, 0.0, 1.0)


def gower(rows: Sequence[Record], candidates: Sequence[Record], columns: Sequence[str]) -> Floats:
    """[rows, candidates]; a value that is missing on one side only counts as different."""
    total = np.zeros((len(rows), len(candidates)))
    for column in columns:
        cells = [[record[column] for record in some] for some in (rows, candidates)]
        numbers = [[number_or_none(cell) for cell in some] for some in cells]
        if any(number is None for some in numbers for number in some):
            total += np.array([[str(one) != str(other) for other in cells[1]] for one in cells[0]])
        else:
            total += _apart(np.array(numbers[0], np.float64), np.array(numbers[1], np.float64))
    found: Floats = total / max(1, len(columns))
    return found


def _apart(one: Floats, other: Floats) -> Floats:
    there = np.concatenate([one, other])
    there = there[np.isfinite(there)]
    width = float(np.ptp(there)) if there.size else 0.0
    gap = np.abs(one[:, None] - other[None, :]) / (width or 1.0)
    lone = np.isnan(one)[:, None] ^ np.isnan(other)[None, :]
    found: Floats = np.where(lone, 1.0, np.nan_to_num(gap, nan=0.0))
    return found
