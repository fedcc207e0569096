"""Names of people in text of Latin, Greek and Cyrillic letters, without a model.

Capitalised words count by what is known about them (given names and surnames that are often borne, endings of
surnames) and by what stands around: a title, `my name is`, `Dear`, a signature. A name found surely is found again
where a part of it stands alone. Words in lower case count only after such a phrase.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.tables import words
from modelyard.methods.privacy.view import View

TYPES = ("person_name",)
_LETTERS = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0370-\u03ff\u0400-\u052f\u1e00-\u1eff"
_UPPER = "".join(
    chr(code)
    for low, high in ((0x41, 0x5B), (0xC0, 0x250), (0x370, 0x530), (0x1E00, 0x1F00))
    for code in range(low, high)
    if chr(code).isupper()
)
WORD = f"[{_UPPER}][{_LETTERS}'’\\-]{{1,24}}"
_PARTICLE = "(?:(?:van|von|der|den|de|da|del|dos|du|di|la|le|bin|al|el|ter|ibn|af|zu) ){1,2}"
SEQUENCE = re.compile(
    rf"(?<![{_LETTERS}0-9@/._\-]){WORD}(?: (?:[{_UPPER}]\.? )?(?:{_PARTICLE})?{WORD}){{0,3}}"
    rf"(?![{_LETTERS}0-9@/_]|\.[{_LETTERS}])"
)
TOKEN = re.compile(rf"[{_LETTERS}'’\-]+\.?")
_TITLES = "mr mrs ms miss mx dr prof professor sir madam mme herr frau rev sgt capt judge senator doctor"
_STRONG = (
    "name is|name's|names are|name|names|named|i'm|i am| dear|regards|sincerely|calls me|attn|patient|customer|"
    "name should be|name to|named him|named her"
)
_WEAK = (
    "this is|called| hi| hello| hey|yours|thanks|cheers|signed|signed by| from| to|contact| cc|speak to|speak with|"
    "follow up with|account of| under|written by|directed by|starring| said|sung by|on behalf of|in the name of|"
    "guardian|client|employee|author| by|change it to"
)
TITLES, STRONG, WEAK = frozenset(_TITLES.split()), tuple(_STRONG.split("|")), tuple(_WEAK.split("|"))
"""Titles before a name; what introduces one surely, and perhaps."""
FOLLOWED = re.compile(
    r"(?:'s\b|,? said\b| says\b| told\b| lives?\b| was born| wrote\b| asked\b|, can\b| and i\b| had\b| has\b|:)"
)
LOWER = re.compile(
    rf"(?:(?:my|his|her|full|maiden) name is|name:|follow up with|\bmrs?\.|\bms\.|\bdr\.|calls me|"
    rf"called) ([{_LETTERS}'’\-]{{2,20}}(?: [{_LETTERS}'’\-]{{2,20}})?)"
)
LOWER_WORDS = ("name is", "name:", "follow up with", "calls me", "called", "mr.", "mrs.", "ms.", "dr.")
_ENDINGS = (
    "son|sen|ssen|sson|ov|ova|ev|eva|ski|sky|ska|ská|ová|vić|vic|vich|dóttir|dottir|ez|ić|enko|yan|nen|ström|strom|berg|"
    "stein|mann|escu|ides|akis|opoulos|oğlu|elli|etti|ucci|szky|fia|quist|qvist|gaard|feld|bauer|maier|meyer"
)
ENDINGS = tuple(_ENDINGS.split("|"))
COMPANY = re.compile(
    r"(?:,? (?:inc|ltd|llc|corp|gmbh|plc|co|group|corporation|company|holdings|university|bank|street|road|"
    r"avenue|st)\b)"
)


@cache
def _known(key: str) -> frozenset[str]:
    return words("names_en", key)


def find(view: View) -> Iterator[Span]:
    """Names of a text."""
    text = view.text
    places = [place for match in SEQUENCE.finditer(text) for place in _parts(text, match.start(), match.end())]
    found = [span for start, end in places if (span := _judge(view, start, end)) is not None]
    if any(word in view.lower for word in LOWER_WORDS):
        found.extend(_lower(view))
    yield from found
    yield from _again(text, places, found)


def _parts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretches of a sequence between words that are no names."""
    if " " not in text[start:end] and text[end - 2 : end - 1] not in "'’":
        if text[start:end].lower() not in _known("stop"):
            yield start, end
        return
    first = last = -1
    for token in TOKEN.finditer(text, start, end):
        word = token.group().lower().rstrip(".")
        word = word.removesuffix("'s").removesuffix("’s")
        if word in _known("stop") and not (first >= 0 and len(word) == 1):
            if first >= 0:
                yield first, last
            first = -1
            continue
        if first < 0:
            if not token.group()[0].isupper():
                continue
            first = token.start()
        last = token.end() - (2 if token.group().lower().endswith(("'s", "’s")) else 0)
    if first >= 0:
        yield first, last


def _judge(view: View, start: int, end: int) -> Span | None:
    text = view.text
    tokens = text[start:end].split(" ")
    while tokens and tokens[-1].endswith((".", "-")) and len(tokens[-1]) < 3:
        end -= len(tokens.pop()) + 1
    if not tokens or (tokens == [tokens[0].upper()] and len(tokens[0]) < 4) or COMPANY.match(view.lower, end):
        return None
    score, evidence = _by_words([token.lower() for token in tokens if len(token.rstrip(".")) > 1])
    if text[start:end].isupper() and evidence != "given name, surname":
        score = 0.2
    around = _by_context(view, start, end, len(tokens))
    score = min(0.95, score + around)
    return Span(start, end, "person_name", round(score, 2), f"{evidence}{', context' if around > 0.1 else ''}")


def _by_words(tokens: list[str]) -> tuple[float, str]:
    given, surnames, ambiguous = _known("given"), _known("surnames"), _known("ambiguous")
    if not tokens:
        return 0.0, ""
    first, last = tokens[0], tokens[-1]
    if len(tokens) == 1:
        if first in given and first not in ambiguous:
            return 0.5, "given name"
        if (first in surnames and first not in ambiguous) or first.endswith(ENDINGS):
            return 0.3, "surname"
        return 0.15, "capitals"
    if first in given and (last in surnames or last.endswith(ENDINGS)):
        return 0.85, "given name, surname"
    if first in given:
        return (0.45 if first in ambiguous else 0.7), "given name"
    if last.endswith(ENDINGS) or last in surnames:
        return (0.5 if len(tokens) < 4 else 0.35), "surname"
    return (0.35 if all(map(str.isascii, tokens)) else 0.5), "capitals"


def _by_context(view: View, start: int, end: int, num_tokens: int) -> float:
    before = " " + view.before(start, 30).rstrip(" :,\n\t?.")
    if before[before.rfind(" ") + 1 :].strip("(\"'\n") in TITLES:
        return 0.6
    score = 0.45 if before.endswith(STRONG) else 0.25 if before.endswith(WEAK) else 0.0
    if FOLLOWED.match(view.lower, end):
        score += 0.15
    return score if num_tokens < 5 else 0.0


def _lower(view: View) -> Iterator[Span]:
    """Names in small letters after a phrase that introduces one."""
    given, surnames = _known("given"), _known("surnames")
    for match in LOWER.finditer(view.lower):
        start, end = match.span(1)
        if view.text[start].isupper():
            continue
        first, *rest = match[1].split(" ")
        if rest and (rest[0] in _known("stop") or (rest[0] not in surnames and first not in given)):
            end, rest = start + len(first), []
        if first in given - _known("stop") or (rest and rest[0] in surnames):
            yield Span(start, end, "person_name", 0.7, "names, context")


def _again(text: str, places: list[tuple[int, int]], found: list[Span]) -> Iterator[Span]:
    """Words that are part of a sure full name, where they stand alone."""
    whole = (text[span.start : span.end] for span in found if span.score >= 0.7)
    known = {part for name in whole if " " in name for part in name.split(" ") if len(part) > 2} - _known("stop")
    if known:
        for start, end in places:
            if text[start:end] in known:
                yield Span(start, end, "person_name", 0.6, "named elsewhere in the text")
