"""How a record becomes a request and a reply an answer: a chat in OpenAI's form, or any HTTP service by a template."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from modelyard.methods.data.endpoint import answering, prompting
from modelyard.methods.data.endpoint.prompting import Question
from modelyard.methods.runtimes.predictor import Record
from modelyard.methods.runtimes.recorded import CLASSES, NUMBERS

FIELD = re.compile(r"\{([A-Za-z_][\w .-]*)\}")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Said:
    """What a reply says: `answer` as `recorded.Kept` has it, None with the `reason` if it is none."""

    answer: Mapping[str, Any] | None
    reason: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None


class Form(Protocol):
    """The seam: a request's address and body for a record, and what a reply says."""

    def request(self, record: Record) -> tuple[str, Any]: ...

    def read(self, reply: Any) -> Said: ...


@dataclass(frozen=True)
class Chat:
    """A chat completion. Classes are asked for by letter, numbers as JSON, texts as they come.

    Attributes:
        url: of the API, without `/chat/completions`.
        question: the classes; None for other tasks, which `instruction` (may be empty) explains.
    """

    url: str
    model: str
    task: str
    question: Question | None = None
    instruction: str = ""
    max_tokens: int = 256
    seed: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)

    def request(self, record: Record) -> tuple[str, Any]:
        body = prompting.request(self.model, self._messages(record), self.seed, self.max_tokens, self.extra)
        return f"{self.url.rstrip('/')}/chat/completions", body

    def _messages(self, record: Record) -> list[dict[str, str]]:
        if self.question is not None:
            return self.question.messages(told(record))
        system = [{"role": "system", "content": self.instruction}] if self.instruction else []
        if isinstance(record.get("messages"), list):
            return [*system, *record["messages"]]
        if self.task in NUMBERS:
            mark = prompting.mark_for(told(record))
            asked = f'{mark}\n{told(record)}\n{mark}\nAnswer with JSON and nothing else: {{"value": <number>}}'
            return [*system, {"role": "user", "content": asked}]
        return [*system, {"role": "user", "content": told(record)}]

    def read(self, reply: Any) -> Said:
        found = answering.completion(reply)
        if found is None:
            return Said(None, answering.NO_ANSWER)
        tokens = found.tokens_in, found.tokens_out
        if found.finish == "content_filter":
            return Said(None, answering.REFUSED, *tokens)
        if self.task in CLASSES and self.question is not None:
            if found.finish == "length":
                return Said(None, answering.CUT_SHORT, *tokens)
            answer = answering.read(found.content, self.question.letters(), self.question.unsure)
            return Said({"label": answer.label} if answer.label else None, answer.reason, *tokens)
        if self.task in NUMBERS:
            value = number(found.content)
            return Said(None if value is None else {"value": value}, answering.NO_ANSWER, *tokens)
        return Said({"text": found.content}, "", *tokens)


@dataclass(frozen=True)
class Template:
    """Any service that takes and gives JSON.

    Attributes:
        body: JSON in which `{field}` stands for a field of the record and `{record}` for all of it; a string that is
            one such name alone becomes the value itself.
        answer: path to the answer in the reply, `data.0.label`.
        scores: path to `{label: probability}`, empty if there are none.
        names: what the service calls a class, to its name here.
    """

    url: str
    body: Any
    answer: str
    task: str
    labels: Sequence[str] = ()
    scores: str = ""
    names: Mapping[str, str] = field(default_factory=dict)

    def request(self, record: Record) -> tuple[str, Any]:
        return self.url, filled(self.body, record)

    def read(self, reply: Any) -> Said:
        value = at(reply, self.answer)
        if value is None:
            return Said(None, answering.NO_ANSWER)
        if self.task in NUMBERS:
            found = number(str(value))
            return Said(None if found is None else {"value": found}, answering.NO_ANSWER)
        if self.task not in CLASSES:
            return Said({"text": str(value)})
        label = self.names.get(str(value), str(value))
        if label not in self.labels:
            return Said(None, answering.NOT_A_CLASS)
        return Said({"label": label, **self._scores(reply)})

    def _scores(self, reply: Any) -> dict[str, Any]:
        given = at(reply, self.scores) if self.scores else None
        if not isinstance(given, Mapping):
            return {}
        named = {self.names.get(str(name), str(name)): value for name, value in given.items()}
        sound = all(isinstance(value, int | float) and math.isfinite(value) for value in named.values())
        return {"scores": named} if sound and set(named) <= set(self.labels) else {}


def told(record: Record) -> str:
    """A record as text: its text, or its fields a line each."""
    for name in ("text", "prompt"):
        if isinstance(record.get(name), str):
            return str(record[name])
    return "\n".join(f"{name}: {value}" for name, value in record.items() if value is not None)


def filled(body: Any, record: Record) -> Any:
    """`body` with the record in its places. A field the record does not have becomes null or an empty text."""
    if isinstance(body, Mapping):
        return {name: filled(value, record) for name, value in body.items()}
    if isinstance(body, list | tuple):
        return [filled(value, record) for value in body]
    if not isinstance(body, str):
        return body
    alone = FIELD.fullmatch(body)
    if alone:
        return dict(record) if alone.group(1) == "record" else record.get(alone.group(1))
    return FIELD.sub(lambda found: _written(record, found.group(1)), body)


def _written(record: Record, name: str) -> str:
    value = dict(record) if name == "record" else record.get(name)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def at(value: Any, path: str) -> Any:
    """What stands at `a.0.b`; None if nothing does."""
    for part in path.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def number(text: str) -> float | None:
    """`{"value": 3.5}` or a number alone; None for anything else, two numbers among it."""
    stripped = text.strip()
    try:
        value = json.loads(stripped)
        value = value.get("value") if isinstance(value, dict) else value
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value) if math.isfinite(value) else None
    except (ValueError, OverflowError):
        return float(stripped) if NUMBER.fullmatch(stripped) else None
