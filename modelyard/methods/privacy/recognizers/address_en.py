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
    rf"(?<![\w.,\-])(?:[0-9]{{1,6}}[A-Za-z]?(?:[-/][0-9]{{1,5}})? ){{1,2}}(?:[NSEWnsew]\.? )?(?:{_WORD} ){{1,5}}?"
    rf"(?i:{STREETS})\b\.?"
)
LOWER_STREET = re.compile(rf"(?<![\w.,\-])[0-9]{{1,6}} (?:[a-z'’.\-]{{2,24}} ){{1,3}}?(?:{STREETS})\b\.?")
_LOCAL = (
    "[\\w'’.\\-]{1,30}(?:gata|gatan|gade|vej|veien|vegen|katu|tie|kuja|strasse|straße|straat|laan|weg|gasse|allee|ulica|"
    "utca|plein|väg|vägen|stræde|stígur|tänav)"
)
FOREIGN = re.compile(
    rf"(?:(?<![\w.,\-])[0-9]{{1,6}} )?(?:(?i:{_LOCAL})|(?<!\w)(?i:via|rua|calle|rue|avenida|av\.|ul\.|ulica|"
    rf"viale|piazza|plaza|carrer|travessa|rúa|strada|u\.|náměstí|avenue|c/|paseo|"
    rf"boulevard) (?:[\w'’.\-]{{1,24}} ?){{1,4}}?) ?,? ?[0-9]{{1,5}}[A-Za-z]?(?![\w])"
)
NUMBER_LAST = re.compile(
    rf"(?<![\w.,\-])(?:[0-9]{{4,6}} )?(?:{_WORD} ){{1,4}}?[0-9]{{1,4}}[A-Za-z]?(?=[,.\n]|$| Apt| Suite| (?:and|for) )"
)
UNIT = re.compile(
    r"\b(?i:apt|apartment|suite|ste|unit|flat|room|rm|floor|bldg|building)\.? ?#?(?:[0-9]{1,5}[A-Za-z]?|[A-Z])\b"
)
BOX = re.compile(
    r"\b(?i:(?:p\.? ?o\.? ?box|post(?:al )?box|postbox|pmb) [0-9]{1,7}|(?:psc|unit|"
    r"cmr) [0-9]{1,6},? box [0-9]{1,6})(?:,?\s{0,3}\b(?i:apo|fpo|dpo) (?i:aa|ae|ap)\b(?: [0-9]{5}(?:-[0-9]{4})?)?)?"
)
FORCES = re.compile(r"\b(?i:usns|usnv|uss|uscgc) [\w'’\-]{2,24}\s{1,3}(?i:apo|fpo|dpo) (?i:aa|ae|ap) [0-9]{5}\b")
STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|SC|SD|TN|TX|UT|"
    "VT|VA|WA|WV|WI|WY|DC|PR|AB|BC|MB|NB|NL|NS|ON|PE|QC|SK"
)
CITY = re.compile(
    rf"(?<!\w)(?:{_WORD} ){{0,3}}?{_WORD}\s?, (?:{STATES})\.? (?:[0-9]{{5}}(?:-[0-9]{{4}})?|"
    rf"[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9])\b"
)
POSTCODE = re.compile(r"\b(?:GIR 0AA|[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][ABD-HJLNP-UW-Z]{2})\b")
_NAME = "[A-Z\u00c0-\u00de\u0100-\u024f][A-Za-z\u00c0-\u024f'’()\\-]{0,24}"
REST = re.compile(
    rf"[ \t]{{0,2}}[,\n]?[ \t\n?]{{0,3}}{_NAME}(?: {_NAME}){{0,2}}(?:\n? ?, ?(?:[A-Z]{{2}}|"
    rf"nan)\b)?[,\n]?[ ?]{{0,4}}(?:{_NAME} ?){{0,3}}[0-9]{{4,6}}\b"
)
WORDS = re.compile(
    r"address|\blive[sd]?\b|living|reside|located|office is|restaurant is|meet|moved|ship|deliver|corner of|"
    r"mail|\bsend|\bcome to|lives|home|drops you|taxi|\bto\b|side of|at\b|street"
)
JOINT = re.compile(r"[\s,?.]{0,4}(?:and )?")


def find(view: View) -> Iterator[Span]:
    """Addresses of a text."""
    if not view.has_digit:
        return
    text = view.text
    pieces = sorted(_pieces(view), key=lambda span: (span.start, -span.end))
    whole: Span | None = None
    for piece in pieces:
        if whole is None:
            whole = piece
        elif piece.start <= whole.end or JOINT.fullmatch(text, whole.end, piece.start):
            end, score = max(whole.end, piece.end), max(whole.score, piece.score)
            more = 0.1 if piece.start >= whole.end else 0.0
            whole = Span(whole.start, end, "address", min(0.95, score + more), whole.evidence)
        else:
            yield _rest(text, whole)
            whole = piece
    if whole is not None:
        yield _rest(text, whole)


def _pieces(view: View) -> Iterator[Span]:
    text = view.text
    for match in STREET.finditer(text):
        yield Span(match.start(), match.end(), "address", 0.8, "number and street")
    for pattern, score, evidence in ((UNIT, 0.5, "unit"), (BOX, 0.8, "box"), (FORCES, 0.8, "forces")):
        for match in pattern.finditer(text):
            yield Span(match.start(), match.end(), "address", score, evidence)
    for match in CITY.finditer(text):
        yield Span(match.start(), match.end(), "address", 0.75, "city, state, code")
    for match in POSTCODE.finditer(text):
        yield Span(match.start(), match.end(), "address", 0.6, "UK postcode")
    yield from _foreign(view)


def _foreign(view: View) -> Iterator[Span]:
    text = view.text
    for match in FOREIGN.finditer(text):
        yield Span(match.start(), match.end(), "address", 0.6, "street and number")
    for pattern in (NUMBER_LAST, LOWER_STREET):
        for match in pattern.finditer(text):
            if WORDS.search(view.before(match.start(), 24)):
                yield Span(match.start(), match.end(), "address", 0.5, "number, context")


def _rest(text: str, span: Span) -> Span:
    """With the town and code that follow."""
    rest = REST.match(text, span.end) if span.score >= 0.6 else None
    return Span(span.start, rest.end(), "address", span.score, span.evidence) if rest else span
