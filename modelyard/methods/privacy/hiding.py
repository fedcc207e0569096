"""Hides personal data in one text until a scan finds no more, and keeps the places of what it hid.

What is put in place of a value changes what stands beside it: digits left and right of a removed word may join. So the
result is scanned again, a few times. What is found in the last round gets a label whatever its action.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.methods.privacy.actions import Actions, hide
from modelyard.methods.privacy.scanning import Scanner
from modelyard.methods.privacy.spans import Span

ROUNDS = 4


@dataclass(frozen=True)
class Hidden:
    """A text after de-identification.

    Attributes:
        text: with every find replaced.
        spans: the finds of the first round, in the text as it came, then those of later rounds, placed in the text as
            it stood then.
        num_later: how many of the spans are of later rounds.
        num_left: finds of the last scan: 0, or the rounds were not enough.
    """

    text: str
    spans: tuple[Span, ...]
    num_later: int
    num_left: int


def hide_all(text: str, scanner: Scanner, actions: Actions) -> Hidden:
    """Hide what the scanner finds, again and again until it finds nothing, at most ROUNDS times."""
    spans = _active(scanner.scan(text), actions)
    if not spans:
        return Hidden(text, (), 0, 0)
    every, first = list(spans), len(spans)
    for count in range(ROUNDS):
        text = hide(text, spans, actions if count < ROUNDS - 1 else Actions())
        spans = _active(scanner.scan(text), actions)
        if not spans:
            break
        every += spans
    return Hidden(text, tuple(every), len(every) - first, len(spans))


def _active(spans: list[Span], actions: Actions) -> list[Span]:
    return [span for span in spans if actions.of(span.type) != "keep"]
