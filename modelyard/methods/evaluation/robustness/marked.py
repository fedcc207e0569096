"""Changes of texts whose spans are known: the spans move with the edits.

Both ends of every span are marked in the text by private characters, which no change touches: they are no letters, no
digits, no punctuation. After the change the marks say where the spans are. A change that loses a mark, puts one before
another or leaves a span empty is not made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from modelyard.methods.data.augmentation.lexicon import Lexicon
from modelyard.methods.evaluation.robustness import texts
from modelyard.methods.evaluation.robustness.perturbation import Draw, Pair, Perturbation
from modelyard.methods.runtimes.predictor import Record

FIRST, LAST = 0xE000, 0xF8FF
"""Unicode's private use area."""
Span = tuple[int, int, str]


def perturbations(
    lexicon: Lexicon | None = None, entities: Sequence[tuple[str, ...]] | None = None
) -> list[Perturbation]:
    """Those of texts that leave a span what it is: all but negation. A name for another of its kind is one of them."""
    every = [one for one in texts.perturbations(lexicon, entities) if one.check != "falls"]
    return [replace(one, check="", with_truth=_moving(one)) for one in every]


def _moving(one: Perturbation) -> Any:
    def change(record: Record, truth: Sequence[Span], draw: Draw) -> Pair | None:
        places = sorted({place for start, end, _ in truth for place in (start, end)})
        marked = mark(record["text"], places)
        if marked is None:
            return None
        text, marks = marked
        after = one.change({**record, "text": text}, draw)
        if after is None:
            return None
        plain, moved = unmark(after["text"], marks)
        if moved is None or plain == record["text"]:
            return None
        to = dict(zip(places, moved, strict=True))
        spans = tuple((to[start], to[end], label) for start, end, label in truth)
        if any(start >= end for start, end, _ in spans):
            return None
        return {**after, "text": plain}, spans

    return change


def mark(text: str, places: Sequence[int]) -> tuple[str, str] | None:
    """The text with a private character of its own at each place (rising), and these characters; None if too few are
    free."""
    used = set(text)
    free = (chr(code) for code in range(FIRST, LAST + 1) if chr(code) not in used)
    marks = "".join(character for character, _ in zip(free, places, strict=False))
    if len(marks) < len(places):
        return None
    parts, last = [], 0
    for place, character in zip(places, marks, strict=True):
        parts += [text[last:place], character]
        last = place
    return "".join([*parts, text[last:]]), marks


def unmark(text: str, marks: str) -> tuple[str, list[int] | None]:
    """The text without marks, and the place of each; no places unless each stands there once, in order."""
    wanted, order, kept = set(marks), list[str](), list[str]()
    places: list[int] = []
    for character in text:
        if character in wanted:
            order.append(character)
            places.append(len(kept))
        else:
            kept.append(character)
    return "".join(kept), places if "".join(order) == marks else None
