"""Text classification with several labels a text: each label has a score of its own and a threshold of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.methods.tasks.text_classification import DIGITS, FIELD, texts

NAME = "text-multi-label"
THRESHOLD = 0.5


@dataclass(frozen=True)
class Labels:
    """One answer.

    Attributes:
        labels: those whose score reaches their threshold, in the order of the model's labels; there may be none.
        scores: probability by label, each for itself.
    """

    labels: tuple[str, ...]
    scores: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        return {"labels": list(self.labels), "scores": dict(self.scores)}


class TextMultiLabel:
    """The task's face to runtimes, golden answers and serving.

    Args:
        thresholds: of each label, in the model's order; none: 0.5 for all.
    """

    name = NAME
    opener = "multi_label"
    inputs: Mapping[str, Any] = {FIELD: {"type": "string", "shape": []}}

    def __init__(self, thresholds: Sequence[float] = ()) -> None:
        self.thresholds = tuple(thresholds)

    def values(self, records: Sequence[Mapping[str, Any]]) -> list[Any]:
        return texts(records)

    def sample(self) -> Mapping[str, Any]:
        return {FIELD: "a"}

    def answers(self, outputs: NDArray[np.float32], labels: Sequence[str]) -> list[Labels]:
        scores = sigmoid(outputs)
        chosen = scores >= np.array(self.thresholds or (THRESHOLD,) * len(labels))
        return [
            Labels(
                tuple(label for label, there in zip(labels, row, strict=True) if there),
                dict(zip(labels, values, strict=True)),
            )
            for row, values in zip(chosen.tolist(), scores.tolist(), strict=True)
        ]

    def labels_problem(self, labels: Sequence[str]) -> str:
        distinct = len(labels) > 0 and len(set(labels)) == len(labels)
        return "" if distinct else t("there are no labels, or they are not distinct")

    def width_problem(self, shape: tuple[int, ...], labels: Sequence[str]) -> str:
        if shape == (1, len(labels)):
            return ""
        return t("the network answers {found} scores a record", found=shape[1] if len(shape) == 2 else shape)

    def distance(self, answer: Labels, wanted: Mapping[str, Any]) -> float:
        """Largest difference of a score; infinite if the labels are not the same ones."""
        scores = wanted["scores"]
        if set(answer.scores) != set(scores):
            return float("inf")
        return max(abs(answer.scores[name] - float(score)) for name, score in scores.items())

    def stored(self, answer: Labels) -> dict[str, Any]:
        scores = {name: round(score, DIGITS) for name, score in answer.scores.items()}
        return {"labels": list(answer.labels), "scores": scores}


TASK = TextMultiLabel()


def sigmoid(logits: NDArray[Any]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)) in double precision, without overflow."""
    result: NDArray[np.float64] = np.exp(-np.logaddexp(0.0, -logits.astype(np.float64)))
    return result
