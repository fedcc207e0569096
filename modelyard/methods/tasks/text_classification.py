"""Text classification, single label: a record is a text, a prediction one label with a score for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import InputError

NAME = "text-classification"
FIELD = "text"
"""The record's field, whatever the column was called in the data."""


@dataclass(frozen=True)
class Classification:
    """One answer.

    Attributes:
        label: the label with the highest score; the first of equals, in the order of the model's labels.
        scores: probability by label, in the order of the model's labels; sums to 1.
    """

    label: str
    scores: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        return {"label": self.label, "scores": dict(self.scores)}


def texts(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The texts of records. Raises InputError naming the first record that has none."""
    found = []
    for position, record in enumerate(records):
        value = record.get(FIELD) if isinstance(record, Mapping) else None
        if not isinstance(value, str):
            raise InputError(
                f"record {position} has no text",
                where=f"records[{position}]",
                expected='{"text": "…"}',
            )
        found.append(value)
    return found


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Row-wise softmax of logits [rows, classes] in double precision."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    result: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result


def predictions(logits: NDArray[np.float32], labels: Sequence[str]) -> list[Classification]:
    """Answers from logits [rows, classes]."""
    probabilities = softmax(logits)
    best = probabilities.argmax(axis=1)
    return [
        Classification(labels[index], dict(zip(labels, row.tolist(), strict=True)))
        for index, row in zip(best.tolist(), probabilities, strict=True)
    ]
