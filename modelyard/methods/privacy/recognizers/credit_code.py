"""Unified social credit codes of organizations and sole traders (GB 32100-2015), with their MOD 31 check character."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.methods.privacy.checksums import credit_check, known_provinces
from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.view import View

TYPES = ("credit_code",)
SYMBOL = "[0-9A-HJ-NPQRTUWXY]"
KIND = "(?:1[ -]?[1239]|2[ -]?[19]|3[ -]?[1-59]|[48A][ -]?[19]|[5N][ -]?[1239]|[67][ -]?[129]|9[ -]?[123]|Y[ -]?1)"
"""Registering department and kind of organization: the pairs that GB 32100 lists."""
CODE = re.compile(
    rf"(?<![0-9A-Z])(?=({KIND}[ -]?(?:[0-9][ -]?){{6}}(?:{SYMBOL}[ -]?){{9}}{SYMBOL})(?![0-9A-Z]))",
    re.IGNORECASE,
)
WORDS = re.compile(r"信用代码|信用代碼|税号|稅號|纳税人|识别号|营业执照|注册号|uscc|credit code|tax")


def find(view: View) -> Iterator[Span]:
    """Credit codes of a text."""
    for match in CODE.finditer(view.text):
        code = re.sub("[ -]", "", match[1]).upper()
        if code[2:4] not in known_provinces() and code[2:4] != "10":
            continue
        named = WORDS.search(view.before(match.start(), 20)) is not None
        if credit_check(code[:17]) == code[17]:
            score, evidence = (0.98, "checksum, region, context") if named else (0.93, "checksum, region")
            yield Span(match.start(1), match.end(1), "credit_code", score, evidence)
        elif named:
            yield Span(match.start(1), match.end(1), "credit_code", 0.6, "region, context, wrong check character")
