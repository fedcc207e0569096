"""Text repair, and the key under which two texts count as the same.

Repair changes only what is damage: text decoded in the wrong encoding (ftfy), characters nobody can see, composition
(NFC), runs of white space. Width, quotes and ligatures stay: in Chinese they carry meaning.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

# Text decoded in the wrong encoding always shows letters or signs of these blocks (Latin-1 to Cyrillic and beyond,
# mathematical signs, box drawing): only such texts are worth ftfy's 15 microseconds. Common punctuation is not in it.
_SUSPECT = re.compile("[\x80-\u05ff\u2200-\u22ff\u2500-\u25ff]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
# Seen by nobody, meaning nothing between these characters: zero-width space and joiners, soft hyphen, directions, tags.
_INVISIBLE = re.compile("[\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
# Joiners mean something between emoji and in scripts that join letters (Arabic, Persian, Indic): only there they stay.
_JOINS = "\u0600-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u17ff\u1800-\u18af\u2600-\u27bf\ufe0f\U0001f000-\U0001faff"
_JOINER = re.compile(f"(?<![{_JOINS}])[\u200c\u200d]+|[\u200c\u200d]+(?![{_JOINS}])")
_MOST_ROUNDS = 8

Form = Literal["NFC", "NFKC", "none"]


@dataclass(frozen=True)
class Repair:
    """Which repairs are made, in this order.

    Attributes:
        encoding: undo text that was decoded in the wrong encoding (`schÃ¶n` for `schön`).
        control: remove control characters other than white space.
        invisible: remove zero-width and direction characters where they mean nothing.
        form: Unicode normalization form.
        whitespace: every run of white space becomes one space, none at the ends.
    """

    encoding: bool = True
    control: bool = True
    invisible: bool = True
    form: Form = "NFC"
    whitespace: bool = True

    def __call__(self, text: str) -> str:
        """The repaired text; repairing it again changes nothing."""
        for _ in range(_MOST_ROUNDS):
            repaired = self._once(text)
            if repaired == text:
                break
            text = repaired
        return text

    def _once(self, text: str) -> str:
        ascii_only = text.isascii()
        if self.encoding and not ascii_only and _SUSPECT.search(text):
            text = _fix_encoding()(text)
        if self.control:
            text = _CONTROL.sub("", text)
        if self.invisible and not ascii_only:
            text = _JOINER.sub("", _INVISIBLE.sub("", text))
        if self.form != "none" and not ascii_only:
            text = unicodedata.normalize(self.form, text)
        return " ".join(text.split()) if self.whitespace else text


@cache
def _fix_encoding() -> Callable[[str], str]:
    import ftfy

    def fix(text: str) -> str:
        # ftfy may replace bytes it cannot restore by U+FFFD; a text that would lose characters stays as it is.
        fixed: str = ftfy.fix_encoding(text)
        return text if fixed.count("\ufffd") > text.count("\ufffd") else fixed

    return fix


def normalized(text: str) -> str:
    """What two texts must share to be the same: compatibility form, no case, single spaces."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def text_key(text: str) -> bytes:
    """16 bytes that are equal for texts that are the same (BLAKE2b of `normalized`)."""
    return hashlib.blake2b(normalized(text).encode("utf-8", "surrogatepass"), digest_size=16).digest()
