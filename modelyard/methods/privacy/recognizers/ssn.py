"""US social security numbers (area not 000, 666 or 9xx; group not 00; serial not 0000) and taxpayer numbers (9xx).

Source: Social Security Administration, "Social Security Number Randomization", and IRS on the ITIN (fourth and fifth
digit 50-65, 70-88, 90-92, 94-99). Numbers made public in advertisements count as nobody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.view import View

TYPES = ("ssn",)
WORDS = re.compile(r"\bssn\b|social|\bss ?#|\bitin\b|tax(?:payer)?|社会安全|社安")
NUMBER = re.compile(
    r"(?!000|666)(?:[0-8][0-9]{2}(?!00)[0-9]{2}|9[0-9]{2}(?:5[0-9]|6[0-5]|7[0-9]|8[0-8]|9[0-24-9]))(?!0000)[0-9]{4}"
)
PUBLIC = frozenset({"078051120", "219099999", "123456789"})


def find(view: View) -> Iterator[Span]:
    """Social security numbers of a text."""
    for number in view.numbers:
        if len(number.digits) != 9 or number.broken or not number.whole or number.digits in PUBLIC:
            continue
        if (
            not NUMBER.fullmatch(number.digits)
            or number.layout not in ((3, 2, 4), (9,))
            or _glued(view, number.start, number.end)
        ):
            continue
        named = WORDS.search(view.before(number.start, 40)) is not None
        score = (0.75 if "-" in view.text[number.start : number.end] else 0.55) if number.layout == (3, 2, 4) else 0.2
        if named or score >= 0.5:
            yield Span(number.start, number.end, "ssn", min(0.98, score + 0.45) if named else score,
                       "ranges, context" if named else "ranges, layout")  # fmt: skip


def _glued(view: View, start: int, end: int) -> bool:
    return any(
        side.isascii() and side.isalpha() for side in (view.text[max(0, start - 1) : start], view.text[end : end + 1])
    )
