"""Sentence embedding: a record is a text, an answer a vector; texts of like meaning have vectors of like direction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.methods.tasks.text_classification import FIELD, texts

NAME = "sentence-embedding"
DIGITS = 6
"""Golden vectors are kept to so many digits: the last bits differ from machine to machine."""


@dataclass(frozen=True)
class Embedding:
    """One answer.

    Attributes:
        vector: of unit length, if the model says so in `model.json` (`network.unit_length`).
    """

    vector: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        return {"embedding": list(self.vector)}


class SentenceEmbedding:
    """The task's face to runtimes, golden answers and serving."""

    name = NAME
    opener = "batching"
    inputs: Mapping[str, Any] = {FIELD: {"type": "string", "shape": []}}

    def values(self, records: Sequence[Mapping[str, Any]]) -> list[Any]:
        return texts(records)

    def sample(self) -> Mapping[str, Any]:
        return {FIELD: "a"}

    def answers(self, outputs: NDArray[np.float32], labels: Sequence[str]) -> list[Embedding]:
        return [Embedding(tuple(row)) for row in outputs.tolist()]

    def labels_problem(self, labels: Sequence[str]) -> str:
        return t("a model that embeds texts has no labels") if labels else ""

    def width_problem(self, shape: tuple[int, ...], labels: Sequence[str]) -> str:
        if len(shape) == 2 and shape[0] == 1:
            return ""
        return t("the network answers {found} scores a record", found=shape)

    def distance(self, answer: Embedding, wanted: Mapping[str, Any]) -> float:
        """Largest difference of a number; infinite if there are not as many."""
        found, expected = np.array(answer.vector), np.array(wanted["embedding"], np.float64)
        return float(np.abs(found - expected).max(initial=0.0)) if found.shape == expected.shape else math.inf

    def stored(self, answer: Embedding) -> dict[str, Any]:
        return {"embedding": [round(value, DIGITS) for value in answer.vector]}


TASK = SentenceEmbedding()
