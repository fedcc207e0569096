"""What a recogniser finds: a stretch of text that is personal, of which type, how sure, and why."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

STRUCTURED = (
    "phone",
    "email",
    "resident_id",
    "hk_id",
    "macau_id",
    "taiwan_id",
    "credit_code",
    "bank_card",
    "iban",
    "ssn",
    "plate",
    "passport",
    "ip_address",
    "mac_address",
    "url_secret",
    "api_key",
    "birth_date",
    "wechat",
    "qq",
)
"""Types whose form can be checked: digits, letters, checksums, or a word that names them."""
FREE_TEXT = ("person_name", "address")
OPTIONAL = ("company", "place")
"""Not personal by themselves; found only when asked for."""
TYPES = (*STRUCTURED, *FREE_TEXT, *OPTIONAL)
DEFAULT_TYPES = (*STRUCTURED, *FREE_TEXT)


@dataclass(frozen=True, slots=True)
class Span:
    """A find. It never holds the value itself, so that it can be logged and stored.

    Attributes:
        start, end: characters of the text as it came, half open.
        type: one of TYPES.
        score: between 0 and 1; how sure the recogniser is. 0.5 and more is hidden unless told otherwise.
        evidence: why, in a few words: `checksum`, `context`, `layout`, …
    """

    start: int
    end: int
    type: str
    score: float
    evidence: str

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end


def settle(spans: Iterable[Span]) -> list[Span]:
    """Spans without overlaps, in the order of the text: the surer wins, then the longer, then the first.

    What loses is not always covered by what wins; the rest of a name or an address stays (a name beside the e-mail
    address that took part of it is still a name), unless only one character is left.
    """
    found = sorted(spans, key=lambda span: span.start)
    kept: list[Span] = []
    for group in _touching(found):
        kept += group if len(group) == 1 else _settled(group)
    return kept


def _touching(spans: list[Span]) -> Iterator[list[Span]]:
    """Spans by start, cut where none reaches over."""
    group: list[Span] = []
    end = -1
    for span in spans:
        if group and span.start >= end:
            yield group
            group = []
        group.append(span)
        end = max(end, span.end)
    if group:
        yield group


def _settled(group: list[Span]) -> list[Span]:
    kept: list[Span] = []
    starts: list[int] = []
    for span in sorted(group, key=lambda span: (-span.score, span.start - span.end, span.start, span.type)):
        rest = [span]
        place = max(0, bisect_right(starts, span.start) - 1)
        while place < len(kept) and kept[place].start < span.end:
            rest = [part for one in rest for part in _without(one, kept[place])]
            place += 1
        for part in rest:
            if part is span or part.end - part.start > 1:
                place = bisect_right(starts, part.start)
                starts.insert(place, part.start)
                kept.insert(place, part)
    return kept


def _without(span: Span, winner: Span) -> list[Span]:
    if not span.overlaps(winner):
        return [span]
    if span.type not in FREE_TEXT:
        return []
    ends = ((span.start, winner.start), (winner.end, span.end))
    return [Span(start, end, span.type, span.score, span.evidence) for start, end in ends if end > start]
