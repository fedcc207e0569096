"""Token classification: a record is a text, a prediction the spans in it that have a label, none overlapping another.

The network scores a tag for each token; how tags become spans stands in tags.py, which path of tags is the best one in
chains.py, and texts longer than the network are read in runtimes/spans.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from modelyard.methods.tasks.tags import tags_problem
from modelyard.methods.tasks.text_classification import DIGITS, FIELD, texts

NAME = "token-classification"


@dataclass(frozen=True)
class FoundSpan:
    """Characters [start, end) of the record's text.

    Attributes:
        text: what stands there.
        score: probability of exactly this span with this label, under the model.
    """

    start: int
    end: int
    label: str
    text: str
    score: float


@dataclass(frozen=True)
class Spans:
    """One answer: the spans in order."""

    spans: tuple[FoundSpan, ...]

    def to_json(self) -> dict[str, Any]:
        return {"spans": [vars(span).copy() for span in self.spans]}


class TokenClassification:
    """The task's face to runtimes, golden answers and serving."""

    name = NAME
    opener = "spans"
    inputs: Mapping[str, Any] = {FIELD: {"type": "string", "shape": []}}

    def values(self, records: Sequence[Mapping[str, Any]]) -> list[Any]:
        return texts(records)

    def sample(self) -> Mapping[str, Any]:
        return {FIELD: "a"}

    def answers(self, outputs: NDArray[Any], labels: Sequence[str]) -> list[Any]:
        raise NotImplementedError("spans need the text beside the outputs: see runtimes/spans.py")

    def labels_problem(self, labels: Sequence[str]) -> str:
        return tags_problem(labels)

    def width_problem(self, shape: tuple[int, ...], labels: Sequence[str]) -> str:
        return ""

    def distance(self, answer: Spans, wanted: Mapping[str, Any]) -> float:
        """Largest difference of a score; infinite if the spans are not the same ones."""
        found = {(span.start, span.end, span.label): span.score for span in answer.spans}
        stored = {(one["start"], one["end"], one["label"]): float(one["score"]) for one in wanted["spans"]}
        if found.keys() != stored.keys():
            return math.inf
        return max((abs(found[place] - score) for place, score in stored.items()), default=0.0)

    def stored(self, answer: Spans) -> dict[str, Any]:
        return {"spans": [{**vars(span), "score": round(span.score, DIGITS)} for span in answer.spans]}


TASK = TokenClassification()
