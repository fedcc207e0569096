"""What a model's answer says: exactly one class, or nothing, with the reason.

Accepted are `{"label": …}` with a letter or a class's name, bare or in a code fence, and a letter or name alone. All
else is no answer: a class that is not on the list, two classes, words around it. What reads more into an answer lets
the row's own text choose its label.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.methods.data.endpoint.prompting import UNSURE

NO_ANSWER, NOT_A_CLASS, CUT_SHORT, REFUSED = "no answer", "not a class", "cut short", "refused by the endpoint"
SAID_UNSURE = "unsure"
FENCE = re.compile(r"\s*```(?:json)?\s*(.*?)\s*```\s*", re.DOTALL | re.IGNORECASE)
THOUGHT = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)
LONGEST = 100_000


@dataclass(frozen=True)
class Answer:
    """What came of one row: `label`, or None and the `reason`; `said` is the model's own words, cut."""

    label: str | None
    reason: str = ""
    said: str = ""


def read(content: str, letters: Mapping[str, str], unsure: bool) -> Answer:
    """The class an answer names.

    Args:
        letters: letter to class.
        unsure: whether UNSURE is an answer.
    """
    said = " ".join(content.split())[:200]
    named = _named(THOUGHT.sub("", content[:LONGEST], count=1))
    if named is None:
        return Answer(None, NO_ANSWER, said)
    if unsure and named.upper() == UNSURE:
        return Answer(None, SAID_UNSURE, said)
    if named in letters.values():
        return Answer(named, "", said)
    label = letters.get(named.upper())
    return Answer(label, "" if label else NOT_A_CLASS, said)


def _named(content: str) -> str | None:
    fenced = FENCE.fullmatch(content)
    text = (fenced.group(1) if fenced else content).strip()
    if text.startswith("{"):
        try:
            value = json.loads(text, object_pairs_hook=_once)
        except (ValueError, RecursionError):
            return None
        label = value.get("label") if isinstance(value, dict) and len(value) == 1 else None
        return label.strip() if isinstance(label, str) else None
    return text.strip(" .\"'`") if text and len(text) <= 200 and "\n" not in text else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a key appears twice")
    return dict(pairs)


@dataclass(frozen=True)
class Completion:
    """A chat completion: its content (`` if there is none), why it ended, tokens in and out (None if not told)."""

    content: str
    finish: str
    model: str
    tokens_in: int | None
    tokens_out: int | None


def completion(value: Any) -> Completion | None:
    """The parts of a response that matter; None if it is no chat completion."""
    try:
        choice = value["choices"][0]
        content = choice["message"].get("content")
        usage = value.get("usage") or {}
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    return Completion(
        content if isinstance(content, str) else "",
        str(choice.get("finish_reason") or ""),
        str(value.get("model") or ""),
        _count(usage, "prompt_tokens"),
        _count(usage, "completion_tokens"),
    )


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
