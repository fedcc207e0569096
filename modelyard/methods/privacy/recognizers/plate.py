"""Chinese number plates (GA 36-2018): province, letter, five characters; six for new energy."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.view import View

TYPES = ("plate",)
PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_GAP = r"[ ·•.\-]?"
_SIGN = "[A-HJ-NP-Z0-9]"
PLATE = re.compile(
    rf"[{PROVINCES}]{_GAP}[A-Z]{_GAP}(?:"
    rf"(?:[DFABCEGHJK]{_GAP}{_SIGN}(?:{_GAP}[0-9]){{4}}|[0-9](?:{_GAP}[0-9]){{4}}{_GAP}[DFABCEGHJK])(?![A-Z0-9])"
    rf"|{_SIGN}(?:{_GAP}{_SIGN}){{4}}(?![A-Z0-9])"
    rf"|{_SIGN}(?:{_GAP}{_SIGN}){{3}}[挂学警港澳领](?![A-Z0-9]))",
    re.IGNORECASE,
)
EMBASSY = re.compile(r"(?<![0-9])[0-9]{6}使|使[0-9]{6}(?![0-9])")


def find(view: View) -> Iterator[Span]:
    """Number plates of a text."""
    if view.text.isascii():
        return
    for match in PLATE.finditer(view.text):
        signs = re.sub(r"[^0-9A-Z]", "", match.group().upper())[1:]
        if sum(map(str.isdigit, signs)) >= 2:
            yield Span(match.start(), match.end(), "plate", 0.95, "province, layout")
    for match in EMBASSY.finditer(view.text):
        yield Span(match.start(), match.end(), "plate", 0.7, "embassy")
