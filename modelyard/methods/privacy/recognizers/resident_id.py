"""Identity numbers of mainland China, Hong Kong, Macau and Taiwan.

Mainland (GB 11643-1999): region of GB/T 2260, date of birth, order, check character by ISO 7064 MOD 11-2. One random
number in eleven passes the check, so region and date must hold too. The form of 15 digits, in use until 2013, has no
check: there all six digits of the region must be known. In numbers that pass the check, the letters O, o, l and I
count as 0 and 1. Hong Kong and Taiwan have check digits; Macau publishes none, so its brackets or a word must say
what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.methods.privacy.checksums import (
    hong_kong,
    known_provinces,
    known_regions,
    plausible_date,
    resident_check,
    taiwan,
)
from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.view import AS_DIGITS, View

TYPES = ("resident_id", "hk_id", "macau_id", "taiwan_id")
REACH = 20
WORDS = re.compile(r"身份|身分|证件|證件|公民|证号|居住证|居民证|\bid\b|\bidentity|\bidentification|id card|citizen")
HONG_KONG_WORDS = re.compile(r"hkid|hong kong|香港|身份|身分|identity")
MACAU_WORDS = re.compile(r"macau|macao|澳门|澳門|\bbir\b")
TAIWAN_WORDS = re.compile(r"taiwan|台湾|台灣|臺灣|身份|身分|居留|統一編號|统一编号|identity|\bid\b")
HONG_KONG = re.compile(
    r"(?<![0-9A-Za-z\-])([A-Za-z]{1,2}) ?-?([0-9]{3}[ -]?[0-9]{3}) ?([(\[] ?[0-9Aa] ?[)\]]|-?[0-9Aa])(?![0-9A-Za-z\-])"
)
MACAU = re.compile(
    r"(?<![0-9A-Za-z/.-])[1578](?:/[0-9]{6}/[0-9]|[0-9]{6} ?\( ?[0-9] ?\)|[0-9]{6}-[0-9]|[0-9]{7})(?![0-9A-Za-z/\-])"
)
TAIWAN = re.compile(r"(?<![0-9A-Za-z])[A-Za-z][ -]?[1289A-Da-d][ -]?(?:[0-9][ -]?){7}[0-9](?![0-9A-Za-z])")


def find(view: View) -> Iterator[Span]:
    """Identity numbers of a text."""
    for number in view.numbers:
        length = len(number.digits)
        if length in (15, 17, 18):
            yield from _mainland(view, number.digits, number.start, number.end, number.whole)
    for start, end in view.mixed:
        digits = view.text[start:end].translate(AS_DIGITS).upper()
        if len(digits) == 18 and _valid(digits):
            yield Span(start, end, "resident_id", 0.9, "checksum, date, region, letters for digits")
    yield from _hong_kong(view)
    if view.num_digits >= 8:
        yield from _macau(view)
        yield from _taiwan(view)


def _mainland(view: View, digits: str, start: int, end: int, whole: bool) -> Iterator[Span]:
    text = view.text
    if start and text[start - 1].isascii() and text[start - 1].isalpha():
        return
    if len(digits) == 17:
        mark = re.compile(r"[ \-]?[Xx]").match(text, end)
        if mark is None:
            return
        digits, end = digits + "X", mark.end()
    if end < len(text) and text[end].isascii() and text[end].isalnum():
        return
    found = _judge(digits, WORDS.search(view.before(start, REACH)) is not None)
    if found and (whole or len(digits) == 18):
        yield Span(start, end, "resident_id", *found)


def _judge(digits: str, named: bool) -> tuple[float, str] | None:
    if len(digits) == 15:
        if digits[:6] not in known_regions() or not plausible_date("19" + digits[6:12]):
            return None
        return (0.9, "region, date, context") if named else (0.6, "region, date")
    if digits[:2] not in known_provinces() or not plausible_date(digits[6:14]):
        return None
    if resident_check(digits[:17]) == digits[17]:
        known = digits[:6] in known_regions()
        return (0.99, "checksum, date, region") if known else (0.95, "checksum, date, province")
    return (0.6, "date, context, wrong check digit") if named else None


def _valid(digits: str) -> bool:
    return (
        digits[:17].isdigit()
        and digits[:2] in known_provinces()
        and plausible_date(digits[6:14])
        and resident_check(digits[:17]) == digits[17]
    )


def _hong_kong(view: View) -> Iterator[Span]:
    for match in HONG_KONG.finditer(view.text):
        check = re.sub(r"[^0-9A-Z]", "", match[3].upper())
        if not hong_kong(match[1].upper() + re.sub("[ -]", "", match[2]) + check):
            continue
        bracket = match[3][0] in "(["
        named = HONG_KONG_WORDS.search(view.before(match.start(), REACH)) is not None
        score = 0.6 + 0.25 * bracket + 0.1 * named - 0.2 * (not bracket and not named)
        yield Span(match.start(), match.end(), "hk_id", score, "checksum, context" if named else "checksum")


def _macau(view: View) -> Iterator[Span]:
    for match in MACAU.finditer(view.text):
        marked = not match.group().isdigit() and "-" not in match.group()
        named = MACAU_WORDS.search(view.before(match.start(), REACH)) is not None
        if marked or named:
            yield Span(match.start(), match.end(), "macau_id", 0.55 + 0.3 * named, "form, context" if named else "form")


def _taiwan(view: View) -> Iterator[Span]:
    for match in TAIWAN.finditer(view.text):
        code = re.sub("[ -]", "", match.group()).upper()
        if taiwan(code):
            named = TAIWAN_WORDS.search(view.before(match.start(), REACH)) is not None
            loose = len(code) < match.end() - match.start() and not named
            score = 0.4 if loose else 0.6 + 0.3 * named - 0.2 * code[1].isalpha()
            yield Span(match.start(), match.end(), "taiwan_id", score, "checksum, context" if named else "checksum")
