"""Filling masks: a record is a text with the mask in it, an answer what could stand there.

The mask is written as the model's own tokenizer writes it, or as `[MASK]`. Beside `text` may stand `top_k`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError

NAME = "fill-mask"
FIELD, TOP_K = "text", "top_k"
USUAL, MOST = 5, 100
MASK = "[MASK]"
"""Understood by every model, whatever its own mask looks like."""
DIGITS = 6
"""Golden scores are kept to so many digits: the last bits differ from machine to machine."""


@dataclass(frozen=True)
class Request:
    """What a record asks for.

    Attributes:
        top_k: candidates for each mask.
    """

    text: str
    top_k: int = USUAL


@dataclass(frozen=True)
class Candidate:
    """One thing that could stand for a mask.

    Attributes:
        text: the whole text with it in the mask's place.
        token: what is filled in.
        score: its probability.
        mask: which of the text's masks, from 0.
    """

    text: str
    token: str
    score: float
    mask: int = 0


@dataclass(frozen=True)
class Filled:
    """One answer: the likeliest candidates of each mask, in the order of the masks, the likeliest first."""

    candidates: tuple[Candidate, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "candidates": [
                {"text": one.text, "token": one.token, "score": one.score, "mask": one.mask} for one in self.candidates
            ]
        }


class FillMask:
    """The task's face to runtimes, golden answers and serving."""

    name = NAME
    opener = "fill_mask"
    inputs: Mapping[str, Any] = {FIELD: {"type": "string", "shape": []}}

    def values(self, records: Sequence[Mapping[str, Any]]) -> list[Any]:
        return [request(record, f"records[{position}]") for position, record in enumerate(records)]

    def sample(self) -> Mapping[str, Any]:
        return {FIELD: MASK, TOP_K: 1}

    def answers(self, outputs: NDArray[Any], labels: Sequence[str]) -> list[Any]:
        raise NotImplementedError("a text has one row of scores for each mask: see runtimes/fill_mask.py")

    def labels_problem(self, labels: Sequence[str]) -> str:
        return t("a model that fills masks has no labels") if labels else ""

    def width_problem(self, shape: tuple[int, ...], labels: Sequence[str]) -> str:
        return ""

    def distance(self, answer: Filled, wanted: Mapping[str, Any]) -> float:
        """Largest difference of a score, candidates compared place by place; equally likely ones may change places."""
        found, expected = answer.candidates, wanted["candidates"]
        if [one.mask for one in found] != [one["mask"] for one in expected]:
            return math.inf
        scores = {(one.mask, one.token): one.score for one in found}
        off = [
            max(abs(one.score - float(other["score"])), abs(scores.get((one.mask, other["token"]), one.score)
                - float(other["score"])))
            for one, other in zip(found, expected, strict=True)
        ]  # fmt: skip
        return max(off, default=0.0)

    def stored(self, answer: Filled) -> dict[str, Any]:
        found = answer.to_json()["candidates"]
        return {"candidates": [{**one, "score": round(one["score"], DIGITS)} for one in found]}


TASK = FillMask()


def request(record: Mapping[str, Any], where: str) -> Request:
    """What a record asks for. Raises InputError if it cannot be read."""
    expected = '{"text": "…' + MASK + '…"}'
    text = record.get(FIELD) if isinstance(record, Mapping) else None
    if not isinstance(text, str):
        raise InputError(t("a string is needed"), where=f"{where}.{FIELD}", expected=expected)
    strange = sorted(record.keys() - {FIELD, TOP_K})
    if strange:
        raise InputError(t("no such field"), where=f"{where}.{strange[0]}", expected=expected)
    top_k = record.get(TOP_K, USUAL)
    if not isinstance(top_k, int) or isinstance(top_k, bool) or not 1 <= top_k <= MOST:
        raise InputError(
            t("{found} is out of its limits", found=top_k), where=f"{where}.{TOP_K}", expected=f"int 1..{MOST}"
        )
    return Request(text, top_k)
