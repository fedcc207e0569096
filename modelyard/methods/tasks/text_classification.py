"""Text classification, single label: a record is a text, a prediction one label with a score for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError

NAME = "text-classification"
FIELD = "text"
"""The record's field, whatever the column was called in the data."""
DIGITS = 6
"""Golden scores are kept to so many digits: the last bits differ from machine to machine."""


@dataclass(frozen=True)
class Classification:
    """One answer.

    Attributes:
        label: the label with the highest score; the first of equals, in the order of the model's labels.
        scores: probability by label, in the order of the model's labels; sums to 1.
        set: labels among which the right one is with the model's stated probability, likeliest first; None if the
            model gives no sets.
        abstained: whether the model would rather not answer; None if it always does.
    """

    label: str
    scores: Mapping[str, float]
    set: tuple[str, ...] | None = None
    abstained: bool | None = None

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"label": self.label, "scores": dict(self.scores)}
        if self.set is not None:
            value["set"] = list(self.set)
        if self.abstained is not None:
            value["abstained"] = self.abstained
        return value


class TextClassification:
    """The task's face to runtimes, golden answers and serving."""

    name = NAME
    opener = "batching"
    inputs: Mapping[str, Any] = {FIELD: {"type": "string", "shape": []}}

    def values(self, records: Sequence[Mapping[str, Any]]) -> list[Any]:
        return texts(records)

    def sample(self) -> Mapping[str, Any]:
        return {FIELD: "a"}

    def answers(self, outputs: NDArray[np.float32], labels: Sequence[str]) -> list[Classification]:
        return predictions(outputs, labels)

    def labels_problem(self, labels: Sequence[str]) -> str:
        distinct = len(labels) > 1 and len(set(labels)) == len(labels)
        return "" if distinct else t("the labels are fewer than two or not distinct")

    def width_problem(self, shape: tuple[int, ...], labels: Sequence[str]) -> str:
        if shape == (1, len(labels)):
            return ""
        return t("the network answers {found} scores a record", found=shape[1] if len(shape) == 2 else shape)

    def distance(self, answer: Classification, wanted: Mapping[str, Any]) -> float:
        """Largest difference of a score; infinite if the labels are not the same ones."""
        scores = wanted["scores"]
        if set(answer.scores) != set(scores):
            return float("inf")
        return max(abs(answer.scores[name] - float(score)) for name, score in scores.items())

    def stored(self, answer: Classification) -> dict[str, Any]:
        scores = {name: round(score, DIGITS) for name, score in answer.scores.items()}
        return {"label": answer.label, "scores": scores}


TASK = TextClassification()


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
