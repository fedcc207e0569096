"""Text to text: a record is a text, an answer the text that an encoder with a decoder makes of it.

Beside `text` may stand `max_new_tokens` and `beams` (how many beginnings are followed at once; 1 is greedy), instead of
the model's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.tasks.text_generation import Generated

NAME = "text-to-text"
FIELD = "text"
LIMITS: Mapping[str, tuple[int, int]] = {"max_new_tokens": (1, 100_000), "beams": (1, 64)}
"""Both limits of the numbers a record may set."""


@dataclass(frozen=True)
class Request:
    """What a record asks for; None: as the model does by default."""

    text: str
    max_new_tokens: int | None = None
    beams: int | None = None


class TextToText:
    """The task's face to runtimes, golden answers and serving."""

    name = NAME
    opener = "text_to_text"
    inputs: Mapping[str, Any] = {FIELD: {"type": "string", "shape": []}}

    def values(self, records: Sequence[Mapping[str, Any]]) -> list[Any]:
        return [request(record, f"records[{position}]") for position, record in enumerate(records)]

    def sample(self) -> Mapping[str, Any]:
        return {FIELD: "a", "max_new_tokens": 1}

    def answers(self, outputs: NDArray[Any], labels: Sequence[str]) -> list[Any]:
        raise NotImplementedError("text is written a token at a time: see runtimes/text_to_text.py")

    def labels_problem(self, labels: Sequence[str]) -> str:
        return t("a model that writes text has no labels") if labels else ""

    def width_problem(self, shape: tuple[int, ...], labels: Sequence[str]) -> str:
        return ""

    def distance(self, answer: Generated, wanted: Mapping[str, Any]) -> float:
        """0 for the same text, else infinite."""
        return 0.0 if self.stored(answer) == dict(wanted) else float("inf")

    def stored(self, answer: Generated) -> dict[str, Any]:
        return answer.to_json()


TASK = TextToText()


def request(record: Mapping[str, Any], where: str) -> Request:
    """What a record asks for. Raises InputError if it cannot be read."""
    expected = '{"text": "…"}'
    text = record.get(FIELD) if isinstance(record, Mapping) else None
    if not isinstance(text, str):
        raise InputError(t("a string is needed"), where=f"{where}.{FIELD}", expected=expected)
    strange = sorted(record.keys() - {FIELD, *LIMITS})
    if strange:
        raise InputError(t("no such field"), where=f"{where}.{strange[0]}", expected=expected)
    numbers = {name: _number(record[name], name, where) for name in LIMITS if record.get(name) is not None}
    return Request(text, **numbers)


def _number(value: Any, name: str, where: str) -> int:
    low, high = LIMITS[name]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(
            t("{found} is out of its limits", found=value), where=f"{where}.{name}", expected=f"int {low}..{high}"
        )
    return value
