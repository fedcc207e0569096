"""Spans of a text that carry a label, as a cell holds them: a JSON list of `{"start", "end", "label"}`.

`start` and `end` count characters, the end is exclusive. `type` is read as `label` where there is no `label`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

OUTSIDE, OVERLAPPING, BROKEN, BLANK = "outside the text", "overlapping", "not a span", "of white space only"
"""Why a span is left out."""


@dataclass(frozen=True, order=True)
class Span:
    """Characters [start, end) of a text and their label."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class Marked:
    """The spans of one text.

    Attributes:
        spans: in order, none overlapping another, none empty; white space at their ends is cut off.
        left_out: how many were left out, by reason.
    """

    spans: tuple[Span, ...]
    left_out: Counter[str]


def parse_spans(value: Any, text: str) -> Marked | None:
    """The spans of one text; None if the cell is empty or no list, so that nothing is known of the text.

    `[]` says that nothing is marked. Of spans that overlap, the one that begins first is kept, of those the longest.

    Args:
        value: the cell: JSON, or a list as Arrow gives it.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, list | tuple):
        return None
    left_out: Counter[str] = Counter()
    sound = []
    for one in value:
        span = _span(one)
        problem = BROKEN if span is None else _problem(span, text)
        if problem:
            left_out[problem] += 1
        elif span is not None:
            sound.append(trimmed(span, text))
    spans = without_overlaps(sound)
    left_out[OVERLAPPING] += len(sound) - len(spans)
    return Marked(tuple(spans), +left_out)


def trimmed(span: Span, text: str) -> Span:
    """Without white space at its ends."""
    found = text[span.start : span.end]
    start = span.start + len(found) - len(found.lstrip())
    return Span(start, start + len(found.strip()), span.label)


def without_overlaps(spans: Sequence[Span]) -> list[Span]:
    """In order; what overlaps one before it is left out, the longest of those that begin together stays."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start, -one.end, one.label)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def spans_json(spans: Sequence[Span]) -> str:
    """Spans as a cell holds them."""
    return json.dumps([vars(span) for span in spans], ensure_ascii=False)


def _span(one: Any) -> Span | None:
    if not isinstance(one, dict):
        return None
    start, end, label = one.get("start"), one.get("end"), one.get("label", one.get("type"))
    if not all(isinstance(place, int) and not isinstance(place, bool) for place in (start, end)):
        return None
    return Span(start, end, label.strip()) if isinstance(label, str) and label.strip() else None  # type: ignore[arg-type]


def _problem(span: Span, text: str) -> str:
    if not 0 <= span.start < span.end <= len(text):
        return OUTSIDE
    return "" if text[span.start : span.end].strip() else BLANK
