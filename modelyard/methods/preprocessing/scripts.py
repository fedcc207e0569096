"""Which script a text is in, as far as cutting it into units needs to know."""

from __future__ import annotations

import re
from collections.abc import Iterable

HAN = "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
KANA_HANGUL_THAI = "\u0e00-\u0e7f\u3040-\u30ff\u31f0-\u31ff\u1100-\u11ff\uac00-\ud7af"
UNSPACED = HAN + KANA_HANGUL_THAI
"""Scripts written without spaces between words (Hangul has spaces, but its words inflect so much that characters
serve better), as the inside of a regular-expression class."""

_UNSPACED = re.compile(f"[{UNSPACED}]")
_LETTER = re.compile(r"[^\W\d_]")


def unspaced_share(texts: Iterable[str]) -> float:
    """Share of letters that belong to scripts written without spaces; 0 if there are no letters."""
    unspaced = letters = 0
    for text in texts:
        letters += len(_LETTER.findall(text))
        unspaced += len(_UNSPACED.findall(text))
    return unspaced / letters if letters else 0.0
