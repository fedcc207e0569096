"""How much of the personal data in an annotated set is found, and how much of what is found is personal.

Only letters and digits count: whether a bracket or a space is hidden says nothing about a person.

- An annotated span is found if at least `coverage` of its letters and digits are hidden, by finds of whatever type.
- A find is right if at least half of its letters and digits are annotated, under whatever type.
- A strict hit has the same start, end and type.
- The leak is the share of annotated letters and digits that are not hidden.
- Finds that mostly lie in annotations of types that are not measured count neither as right nor as wrong.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from modelyard.methods.privacy.spans import TYPES, Span

RIGHT = 0.5


@dataclass(frozen=True)
class Annotated:
    """A person's mark: characters of the text, half open, and the type under its own name."""

    start: int
    end: int
    type: str


@dataclass
class Measured:
    """Counts over an annotated set, by type.

    Attributes:
        num_texts: texts looked at.
        spans, found, strict: annotated spans; those found; those hit exactly.
        finds, right: finds that count; those that are right.
        letters, left: annotated letters and digits; those not hidden.
    """

    num_texts: int = 0
    spans: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    strict: Counter[str] = field(default_factory=Counter)
    finds: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    letters: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)

    def add(
        self,
        text: str,
        annotated: Sequence[Annotated],
        finds: Sequence[Span],
        names: Mapping[str, str],
        coverage: float,
    ) -> None:
        """Count one text. `names` maps the annotation's types to ours; those it does not name are not measured."""
        self.num_texts += 1
        hidden = _letters(text, ((find.start, find.end) for find in finds))
        measured = _letters(text, ((mark.start, mark.end) for mark in annotated if mark.type in names))
        other = _letters(text, ((mark.start, mark.end) for mark in annotated if mark.type not in names))
        exact = {(find.start, find.end, find.type) for find in finds}
        for mark in annotated:
            if mark.type in names:
                self._mark(text, mark, names[mark.type], hidden, exact, coverage)
        for find in finds:
            self._find(_letters(text, ((find.start, find.end),)), find.type, measured, other)

    def _mark(
        self,
        text: str,
        mark: Annotated,
        kind: str,
        hidden: set[int],
        exact: set[tuple[int, int, str]],
        coverage: float,
    ) -> None:
        letters = _letters(text, ((mark.start, mark.end),))
        left = len(letters - hidden)
        self.spans[kind] += 1
        self.letters[kind] += len(letters)
        self.left[kind] += left
        self.found[kind] += bool(letters) and len(letters) - left >= coverage * len(letters)
        self.strict[kind] += (mark.start, mark.end, kind) in exact

    def _find(self, letters: set[int], kind: str, measured: set[int], other: set[int]) -> None:
        right = len(letters & measured) >= RIGHT * len(letters)
        if right or len(letters & other) < RIGHT * len(letters):
            self.finds[kind] += 1
            self.right[kind] += right


def _letters(text: str, places: Iterable[tuple[int, int]]) -> set[int]:
    return {place for start, end in places for place in range(start, end) if text[place].isalnum()}


def annotations_of(value: str | None, length: int) -> list[Annotated]:
    """Annotations from JSON: a list of `{"start", "end", "type"}`.

    Raises:
        ValueError: it is no such list, or a span lies outside the text; the message holds no text.
    """
    try:
        found = [
            Annotated(int(item["start"]), int(item["end"]), str(item["type"])) for item in json.loads(value or "[]")
        ]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError('spans are no list of {"start", "end", "type"}') from error
    if any(not 0 <= mark.start < mark.end <= length for mark in found):
        raise ValueError("a span lies outside its text")
    return found


def names_of(marks: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
    """Annotated types to ours: as given, else the type itself if it is one of ours (whatever its case)."""
    known = {name: name.lower() for name in marks if name.lower() in TYPES}
    return known | {name: kind for name, kind in given.items() if kind in TYPES}
