"""Finds personal data in texts: every recogniser, one answer without overlaps, in offsets of the text as it came."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from modelyard.methods.privacy.recognizers import RECOGNIZERS, Recognizer
from modelyard.methods.privacy.reserved import forms_in, is_reserved, without_labels
from modelyard.methods.privacy.spans import DEFAULT_TYPES, Span, settle
from modelyard.methods.privacy.view import View


class EntityModel(Protocol):
    """A named-entity model as a further recogniser: spans of the text as it came, scores as the model gives them."""

    def entities(self, text: str) -> Iterable[Span]: ...


@dataclass(frozen=True)
class Scanner:
    """What is looked for.

    Attributes:
        types: of `spans.TYPES`.
        min_score: finds below it are dropped.
        allow: values that are nobody's (a hotline), compared without case, width and separators.
        model: asked beside the recognisers, if there is one.
    """

    types: Collection[str] = DEFAULT_TYPES
    min_score: float = 0.5
    allow: Collection[str] = ()
    model: EntityModel | None = field(default=None, compare=False)

    def scan(self, text: str) -> list[Span]:
        """Spans of a text in order, without overlaps; what our own replacements left is none."""
        if not text:
            return []
        view = View(without_labels(text))
        found = settle(self._found(view))
        if not found:
            return found
        forms = forms_in(text)
        spans = (_trimmed(text, span) for span in found)
        return [
            span
            for span in spans
            if span.end > span.start and not self._allowed(text, span) and not is_reserved(text, span, forms)
        ]

    def scan_all(self, texts: Sequence[str]) -> list[list[Span]]:
        """`scan` for each text."""
        return [self.scan(text) for text in texts]

    @cached_property
    def _families(self) -> list[tuple[Recognizer, int]]:
        wanted = set(self.types)
        return [(family.find, family.digits) for family in RECOGNIZERS if wanted & set(family.types)]

    @cached_property
    def _wanted(self) -> frozenset[str]:
        return frozenset(self.types)

    @cached_property
    def _allow(self) -> frozenset[str]:
        return frozenset(plain_value(value) for value in self.allow)

    def _found(self, view: View) -> Iterator[Span]:
        num_digits = view.num_digits
        for find, least in self._families:
            for span in find(view) if num_digits >= least else ():
                if span.score >= self.min_score and span.type in self._wanted:
                    start, end = view.origin(span.start, span.end)
                    yield Span(start, end, span.type, span.score, span.evidence)
        if self.model is not None:
            for span in self.model.entities(view.original):
                if span.score >= self.min_score and span.type in self._wanted:
                    yield span

    def _allowed(self, text: str, span: Span) -> bool:
        return bool(self._allow) and plain_value(text[span.start : span.end]) in self._allow


def plain_value(value: str) -> str:
    """A value as it is compared: plain form, small letters, letters and digits only (all if it has none)."""
    plain = View(value).lower
    return "".join(char for char in plain if char.isalnum()) or plain


def _trimmed(text: str, span: Span) -> Span:
    start, end = span.start, span.end
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return span if (start, end) == (span.start, span.end) else Span(start, end, span.type, span.score, span.evidence)
