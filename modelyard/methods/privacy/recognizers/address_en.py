"""Postal addresses written in Latin letters: house number and street, flats, boxes, US and UK ends.

Found piece by piece; pieces that stand beside each other, parted by commas and line breaks, are one address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.view import View

TYPES = ("address",)
STREETS = (
    "street|st|road|rd|avenue|ave|av|lane|ln|drive|dr|court|ct|place|pl|square|sq|boulevard|blvd|way|terrace|ter|close|crescent|cres|"
    "circle|cir|highway|hwy|parkway|pkwy|trail|trl|row|walk|mews|gardens|grove|park|alley|plaza|quay|hill|rise|view|wharf|green|str"
)
_WORD = "[A-Z0-9\u00c0-\u00de\u0100-\u024f][\\w'’.\\-]{0,24}"
STREET = re.compile(
    rf"(?:[0-9]{{1,6}}[A-Za-z]?(?:[-/][0-9]{{1,5}})? ){{1,2}}(?:[NSEWnsew]\.? )?(?:{_WORD} ){{1,5}}?(?i:{STREETS})\b\.?"
)
LOWER_STREET = re.compile(rf"[0-9]{{1,6}} (?:[a-z'’.\-]{{2,24}} ){{1,3}}?(?:{STREETS})\b\.?")
_LOCALS = (
    "gata|gatan|gade|vej|veien|vegen|katu|tie|kuja|strasse|straße|straat|laan|weg|gasse|allee|ulica|utca|plein|väg|"
    "vägen|stræde|stígur|tänav"
)
_PREFIXES = (
    "via|rua|calle|rue|avenida|av.|ul.|ulica|viale|piazza|plaza|carrer|travessa|rúa|strada|u.|náměstí|avenue|c/|paseo|"
    "boulevard"
)
LOCAL = re.compile(rf"(?:{_LOCALS}) ?,? ?[0-9]{{1,5}}[a-z]?(?!\w)")
PREFIXED = re.compile(
    rf"(?<!\w)(?:{_PREFIXES.replace('.', '[.]')}) (?:[\w'’.\-]{{1,24}} ){{1,4}}?,? ?[0-9]{{1,5}}[a-z]?(?!\w)"
)
LOCALS, PREFIXES = tuple(_LOCALS.split("|")), tuple(word + " " for word in _PREFIXES.split("|"))
NUMBER_END = re.compile(r"[A-Za-z]?(?=[,.\n]|$| Apt| Suite| and | for )")
CAPITALS_END = re.compile(rf"(?<!\w)(?:[0-9]{{4,6}} )?(?:{_WORD} ){{1,4}}\Z")
UNIT = re.compile(
    r"\b(?:apt|apartment|suite|ste|unit|flat|room|rm|floor|bldg|building)\.? ?#?(?:[0-9]{1,5}[a-z]?|[a-z])\b"
)
UNITS = ("apt", "apartment", "suite", "ste", "unit", "flat", "room", "rm", "floor", "bldg", "building")
FORCE = r"(?:apo|fpo|dpo) (?:aa|ae|ap)\b(?: [0-9]{5}(?:-[0-9]{4})?)?"
BOX = re.compile(
    r"\b(?:(?:p\.? ?o\.? ?box|post(?:al )?box|postbox|pmb) [0-9]{1,7}|(?:psc|unit|cmr) [0-9]{1,6},? box [0-9]{1,6})"
    rf"(?:,?\s{{0,3}}\b{FORCE})?"
)
FORCES = re.compile(rf"\b(?:usns|usnv|uss|uscgc) [\w'’\-]{{2,24}}\s{{1,3}}{FORCE}")
STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|"
    "RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|DC|PR|AB|BC|MB|NB|NL|NS|ON|PE|QC|SK"
)
STATE = re.compile(
    rf"\s?, (?:{STATES})\.? (?:[0-9]{{5}}(?:-[0-9]{{4}})?|[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9])(?![0-9A-Za-z])"
)
TOWN_END = re.compile(rf"(?<!\w)(?:{_WORD} ){{0,3}}{_WORD}\Z")
POSTCODE = re.compile(r"\b(?:GIR 0AA|[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][ABD-HJLNP-UW-Z]{2})\b")
_NAME = "[A-Z\u00c0-\u00de\u0100-\u024f][A-Za-z\u00c0-\u024f'’()\\-]{0,24}"
REST = re.compile(
    rf"[ \t]{{0,2}}[,\n]?[ \t\n?]{{0,3}}{_NAME}(?: {_NAME}){{0,2}}(?:\n? ?, ?(?:[A-Z]{{2}}|nan)\b)?"
    rf"[,\n]?[ ?]{{0,4}}(?:{_NAME} ?){{0,3}}[0-9]{{4,6}}\b"
)
WORDS = re.compile(
    r"address|\blive[sd]?\b|living|reside|located|office is|restaurant is|meet|moved|ship|deliver|corner of|"
    r"mail|\bsend|"
    r"\bcome to|lives|home|drops you|taxi|\bto\b|side of|at\b|street"
)
JOINT = re.compile(rf"[\s,?.]{{0,4}}(?:and )?(?:{_NAME}\s{{1,2}}){{0,3}}")
REACH = 110


def find(view: View) -> Iterator[Span]:
    """Addresses of a text."""
    text = view.text
    pieces = sorted(_pieces(view), key=lambda span: (span.start, -span.end))
    whole: Span | None = None
    for piece in pieces:
        if whole is None:
            whole = piece
        elif piece.start <= whole.end or JOINT.fullmatch(text, whole.end, piece.start):
            end, score = max(whole.end, piece.end), max(whole.score, piece.score)
            more = 0.15 if piece.start >= whole.end else 0.0
            whole = Span(whole.start, end, "address", min(0.95, score + more), whole.evidence)
        else:
            yield _rest(text, whole)
            whole = piece
    if whole is not None:
        yield _rest(text, whole)


def _pieces(view: View) -> Iterator[Span]:
    text, lower = view.text, view.lower
    for start, end in view.groups:
        if end - start < 7 and (start == 0 or not (text[start - 1].isalnum() or text[start - 1] in "_.,-")):
            yield from _street(view, start)
    if any(word in lower for word in UNITS):
        yield from _all(UNIT, lower, 0.5, "unit")
    if "box" in lower:
        yield from _all(BOX, lower, 0.8, "box")
    if "po a" in lower:
        yield from _all(FORCES, lower, 0.8, "forces")
    if ", " in text and view.num_digits > 4:
        for match in STATE.finditer(text):
            town = TOWN_END.search(text, max(0, match.start() - REACH), match.start())
            if town:
                yield Span(town.start(), match.end(), "address", 0.75, "city, state, code")
    if any(start and text[start - 1].isupper() for start, _ in view.groups):
        yield from _all(POSTCODE, text, 0.6, "UK postcode")
    yield from _foreign(view)


def _street(view: View, start: int) -> Iterator[Span]:
    match = STREET.match(view.text, start)
    if match:
        yield Span(start, match.end(), "address", 0.8, "number and street")
        return
    match = LOWER_STREET.match(view.text, start)
    if match and WORDS.search(view.before(start, 24)):
        yield Span(start, match.end(), "address", 0.5, "number and street, context")


def _all(pattern: re.Pattern[str], text: str, score: float, evidence: str) -> Iterator[Span]:
    for match in pattern.finditer(text):
        yield Span(match.start(), match.end(), "address", score, evidence)


def _foreign(view: View) -> Iterator[Span]:
    """Street before number, as most of Europe writes it."""
    text = view.text
    if any(word in view.lower for word in PREFIXES):
        yield from _all(PREFIXED, view.lower, 0.6, "street and number")
    for match in LOCAL.finditer(view.lower) if any(word in view.lower for word in LOCALS) else ():
        start = match.start()
        while start and match.start() - start < 30 and (text[start - 1].isalnum() or text[start - 1] in "'’.-"):
            start -= 1
        if start < match.start():
            yield Span(start, match.end(), "address", 0.6, "street and number")
    for start, stop in view.groups:
        number = NUMBER_END.match(text, stop) if stop - start < 5 and text[start - 1 : start] == " " else None
        words = CAPITALS_END.search(text, max(0, start - REACH), start) if number else None
        if number and words and (WORDS.search(view.before(words.start(), 24)) or _own_line(text, words, number.end())):
            yield Span(words.start(), number.end(), "address", 0.5, "number, context")


def _own_line(text: str, words: re.Match[str], end: int) -> bool:
    """A line of its own that begins with a number: 20789 Allika 46."""
    before = text[max(0, words.start() - 8) : words.start()].rstrip(" ?\t")
    return (
        words.group()[0].isdigit()
        and (words.start() == 0 or before.endswith("\n"))
        and text[end : end + 1] in ("", "\n", ",", ".")
    )


def _rest(text: str, span: Span) -> Span:
    """With the town and code that follow."""
    rest = REST.match(text, span.end) if span.score >= 0.6 else None
    return Span(span.start, rest.end(), "address", span.score, span.evidence) if rest else span
