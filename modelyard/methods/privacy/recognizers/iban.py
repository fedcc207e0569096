"""International bank account numbers (ISO 13616): length by country and the MOD 97 check."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.methods.privacy.checksums import IBAN_LENGTHS, iban
from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.view import View

TYPES = ("iban",)
START = re.compile(r"(?<![0-9A-Za-z\-])(?:[A-Z]{2}|[a-z]{2}) ?-?[0-9]{2}")
NEXT = re.compile(r"[ -]{0,2}([0-9A-Za-z])")


def find(view: View) -> Iterator[Span]:
    """IBANs of a text."""
    for match in START.finditer(view.text):
        code = match.group()[:2].upper() + match.group()[-2:]
        length = IBAN_LENGTHS.get(code[:2])
        if length is None:
            continue
        end = match.end()
        while len(code) < length and (step := NEXT.match(view.text, end)):
            code, end = code + step[1].upper(), step.end()
        if len(code) < length or (view.text[end : end + 1].isascii() and view.text[end : end + 1].isalnum()):
            continue
        if iban(code):
            yield Span(match.start(), end, "iban", 0.98, "checksum, country")
        elif "iban" in view.before(match.start(), 20) and sum(map(str.isdigit, code)) >= 10:
            yield Span(match.start(), end, "iban", 0.6, "country, context, wrong check digits")
