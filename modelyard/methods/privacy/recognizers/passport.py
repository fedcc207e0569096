"""Passports and travel permits. The form alone (E12345678) is that of many article numbers, so a word decides.

China: E or G and 8 digits, E with a letter and 7 digits, D, S, P (official), H, M, C (permits for Hong Kong, Macau and
the mainland). United States: 9 digits, or a letter and 8. Elsewhere: 6 to 9 letters and digits after `passport`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.view import View

TYPES = ("passport",)
WORDS = re.compile(r"passport|护照|護照|通行证|通行證|travel document|回乡证|台胞证|旅行证")
FORM = re.compile(
    r"(?<![0-9A-Za-z])(?:[EGDSPHMCKT][ -]?(?:[0-9][ -]?){7}[0-9]|[EC][A-HJ-NP-Z][ -]?(?:[0-9][ -]?){6}[0-9]|"
    r"1[45][0-9]{7})"
    r"(?![0-9A-Za-z])",
    re.IGNORECASE,
)
ANY = re.compile(r"(?<![0-9A-Za-z])(?=[A-Za-z0-9]{0,5}[0-9]{3})[A-Za-z0-9]{6,11}(?![0-9A-Za-z])")
REACH = 26


def find(view: View) -> Iterator[Span]:
    """Passport numbers of a text."""
    words = [match.end() for match in WORDS.finditer(view.lower)]
    if not words:
        return
    for match in FORM.finditer(view.text):
        if any(0 <= match.start() - end <= REACH for end in words):
            yield Span(match.start(), match.end(), "passport", 0.9, "form, context")
    for end in words:
        near = ANY.search(view.text, end, end + REACH)
        if near and sum(map(str.isdigit, near.group())) >= 5:
            yield Span(near.start(), near.end(), "passport", 0.75, "context")
