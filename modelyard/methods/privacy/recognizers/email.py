"""E-mail addresses (the part of RFC 5322 that people use), also written with `(at)` and `[dot]`.

Each @ is looked at once: the domain forwards, the name backwards. So the time stays linear whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.view import View

TYPES = ("email",)
AT = re.compile(
    r" {0,2}(?:@|[\[({<] ?(?:at|@) ?[\])}>]|(?<=[a-z0-9]) at (?=[a-z0-9-]{1,63} dot ))#? {0,2}", re.IGNORECASE
)
DOT = r"(?: {0,2}(?:\.|[\[({<] ?(?:dot|\.) ?[\])}>]| dot (?=[A-Za-z]{2})) {0,2})"
LABEL = "[A-Za-z0-9\u00c0-\u024f](?:[A-Za-z0-9\u00c0-\u024f-]{0,62})"
DOMAIN = re.compile(rf"{LABEL}(?:\.{LABEL}){{0,8}}\.[A-Za-z\u00c0-\u024f]{{2,24}}(?![A-Za-z0-9])")
LOOSE_DOMAIN = re.compile(rf"{LABEL}(?:{DOT}{LABEL}){{0,4}}{DOT}[A-Za-z]{{2,24}}(?![A-Za-z0-9])", re.IGNORECASE)
LOCAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+^_`{|}~.-")
LONGEST = 64


def find(view: View) -> Iterator[Span]:
    """E-mail addresses of a text."""
    text = view.text
    if "@" not in text and " at" not in view.lower and "at" + "]" not in view.lower and "(at" not in view.lower:
        return
    for match in AT.finditer(text):
        plain = match.group() == "@"
        domain = (DOMAIN if plain else LOOSE_DOMAIN).match(text, match.end())
        if domain is None and plain:
            domain = LOOSE_DOMAIN.match(text, match.end())
        start = _local(text, match.start())
        if domain is None or start == match.start():
            continue
        sure = plain and domain.re is DOMAIN
        yield Span(start, domain.end(), "email", 0.99 if sure else 0.8, "address" if sure else "spelled out")


def _local(text: str, end: int) -> int:
    """Where the name before the @ begins."""
    start = end
    while start > 0 and end - start < LONGEST and (text[start - 1] in LOCAL or "\u00c0" <= text[start - 1] <= "\u024f"):
        start -= 1
    while start < end and text[start] in ".'`{|&!*":
        start += 1
    return start
