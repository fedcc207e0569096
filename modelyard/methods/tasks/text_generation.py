"""Text generation: a record is a prompt or a chat, an answer the text that follows.

A record has `prompt` (continued as it stands) or `messages` (a chat: `[{"role": "user", "content": "…"}]`, written out
by the model's chat template), or `text`: a user's message where the model knows chats, else a prompt. Beside it may
stand `max_new_tokens`, `temperature`, `top_p`, `stop` (a text or several) and `seed`, instead of the model's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError

NAME = "text-generation"
PROMPT, MESSAGES, TEXT = "prompt", "messages", "text"
LIMITS: Mapping[str, tuple[type, float, float]] = {
    "max_new_tokens": (int, 1, 100_000),
    "temperature": (float, 0, 10),
    "top_p": (float, 1e-9, 1),
    "seed": (int, 0, 2**63 - 1),
}
"""Type and both limits of the numbers a record may set."""
MAX_STOPS = 16


@dataclass(frozen=True)
class Request:
    """What a record asks for; None: as the model does by default.

    Attributes:
        kind: `prompt`, `messages` or `text`.
        content: the text, or the turns of the chat.
        stop: texts before which writing ends.
    """

    kind: str
    content: Any
    max_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Generated:
    """One answer.

    Attributes:
        text: what follows, without marks.
        finish: `stop` (the model ended, or a stop text came) or `length` (no more tokens were allowed or fit).
        tokens: written, the mark of the end not counted.
        unread: tokens at the beginning of the prompt that the model has no room for.
        read: the other tokens of the prompt; counted for a bill, no part of the answer.
    """

    text: str
    finish: str
    tokens: int
    unread: int = 0
    read: int = field(default=0, compare=False)

    def to_json(self) -> dict[str, Any]:
        return {"text": self.text, "finish": self.finish, "tokens": self.tokens, "unread": self.unread}


class TextGeneration:
    """The task's face to runtimes, golden answers and serving."""

    name = NAME
    opener = "generation"
    inputs: Mapping[str, Any] = {TEXT: {"type": "string", "shape": []}}

    def values(self, records: Sequence[Mapping[str, Any]]) -> list[Any]:
        return [request(record, f"records[{position}]") for position, record in enumerate(records)]

    def sample(self) -> Mapping[str, Any]:
        return {PROMPT: "a", "max_new_tokens": 1}

    def answers(self, outputs: NDArray[Any], labels: Sequence[str]) -> list[Any]:
        raise NotImplementedError("text is written a token at a time: see runtimes/generation.py")

    def labels_problem(self, labels: Sequence[str]) -> str:
        return t("a model that writes text has no labels") if labels else ""

    def width_problem(self, shape: tuple[int, ...], labels: Sequence[str]) -> str:
        return ""

    def distance(self, answer: Generated, wanted: Mapping[str, Any]) -> float:
        """0 for the same text, else infinite."""
        return 0.0 if self.stored(answer) == dict(wanted) else math.inf

    def stored(self, answer: Generated) -> dict[str, Any]:
        return answer.to_json()


TASK = TextGeneration()


def request(record: Mapping[str, Any], where: str) -> Request:
    """What a record asks for. Raises InputError if it cannot be read."""
    kinds = [kind for kind in (PROMPT, MESSAGES, TEXT) if isinstance(record, Mapping) and kind in record]
    if len(kinds) != 1:
        raise _bad(where, t("a record has one of prompt, messages and text"))
    strange = sorted(record.keys() - {kinds[0], "stop", *LIMITS})
    if strange:
        raise _bad(f"{where}.{strange[0]}", t("no such field"))
    content = record[kinds[0]]
    if kinds[0] == MESSAGES:
        content = turns(content, f"{where}.{MESSAGES}")
    elif not isinstance(content, str):
        raise _bad(f"{where}.{kinds[0]}", t("a string is needed"))
    numbers = {name: _number(record[name], name, f"{where}.{name}") for name in LIMITS if record.get(name) is not None}
    return Request(kinds[0], content, stop=_stops(record.get("stop"), f"{where}.stop"), **numbers)


def turns(value: Any, where: str) -> list[dict[str, str]]:
    """The turns of a chat. Raises InputError if one has no role or no text."""
    if not isinstance(value, list | tuple) or not value:
        raise _bad(where, t("a chat is a list of turns"))
    for position, turn in enumerate(value):
        if not isinstance(turn, Mapping) or not all(isinstance(turn.get(key), str) for key in ("role", "content")):
            raise _bad(f"{where}[{position}]", t("a turn has a role and a content, both texts"))
    return [{"role": turn["role"], "content": turn["content"]} for turn in value]


def _number(value: Any, name: str, where: str) -> Any:
    kind, low, high = LIMITS[name]
    fits = isinstance(value, int | float if kind is float else int) and not isinstance(value, bool)
    if not fits or not low <= value <= high:
        raise InputError(
            t("{found} is out of its limits", found=value), where=where, expected=f"{kind.__name__} {low:g}..{high:g}"
        )
    return kind(value)


def _stops(value: Any, where: str) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else [] if value is None else value
    good = isinstance(found, list | tuple) and len(found) <= MAX_STOPS
    if not good or not all(isinstance(one, str) and one for one in found):
        raise _bad(where, t("stop is a text, or at most {count} of them", count=MAX_STOPS))
    return tuple(found)


def _bad(where: str, found: str) -> InputError:
    return InputError(found, where=where, expected='{"prompt": "…"}, {"messages": [{"role": "user", "content": "…"}]}')
