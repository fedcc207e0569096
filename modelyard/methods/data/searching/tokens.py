"""How texts become terms, the same for what is indexed and for what is asked.

Texts are brought to NFKC and lower case. Chinese, Japanese and Korean have no spaces between words, so that every
character is a term of its own with its place; besides, each pair of neighbours is a term (the bigrams of Lucene's
CJKAnalyzer): two characters are found through one term, longer runs as a phrase of characters that the pairs narrow
down. What other letters and digits stand together is one word.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

_RANGES = (
    (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3041, 0x30FF), (0x3105, 0x312F), (0x3131, 0x318E),
    (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA960, 0xA97F), (0xAC00, 0xD7FF),
    (0xF900, 0xFAFF), (0x20000, 0x323AF),
)  # fmt: skip
_EMOJI = ((0x2600, 0x27BF), (0x1F300, 0x1FAFF))
_ENDS = np.array([end for first, last in _RANGES for end in (first, last + 1)], dtype=np.uint32)
_BETWEEN = "\0"
WORDS, PAIRS, NAMES = "modelyard_words", "modelyard_pairs", "raw"
LONGEST = 80
"""Longer words (base64, URLs run together) are cut into nothing: nobody asks for them."""


def normal(text: str) -> str:
    """NFKC, lower case; lone surrogates, which no index can hold, become U+FFFD."""
    text = text if unicodedata.is_normalized("NFKC", text) else unicodedata.normalize("NFKC", text)
    return text.lower().encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text.lower()


def normals(texts: Sequence[str]) -> list[str]:
    """`normal` of many texts: one call for all of them is several times as fast."""
    found = normal(_BETWEEN.join(texts)).split(_BETWEEN)
    return found if len(found) == len(texts) else [normal(text) for text in texts]


def pairs(text: str) -> str:
    """The neighbouring pairs of CJK characters of a normal text, each followed by a space."""
    return pairs_of([text])[0]


def pairs_of(texts: Sequence[str]) -> list[str]:
    """`pairs` of many normal texts, by array arithmetic on their code points."""
    joined = _BETWEEN.join(texts)
    if joined.count(_BETWEEN) != len(texts) - 1:
        return [pairs(text.replace(_BETWEEN, " ")) for text in texts]
    points = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32)
    alone = (np.searchsorted(_ENDS, points, "right") % 2 == 1).astype(np.int8)
    between = points == ord(_BETWEEN)
    first = np.zeros(len(points), dtype=bool)
    first[:-1] = (alone[:-1] & alone[1:]).astype(bool)
    width = np.where(first, 3, between.astype(np.int64))
    ends = np.cumsum(width)
    written = np.full(int(ends[-1]) if len(ends) else 0, ord(" "), dtype=np.uint32)
    at = ends[first] - 3
    written[at] = points[first]
    written[at + 1] = points[np.flatnonzero(first) + 1]
    written[ends[between] - 1] = ord(_BETWEEN)
    return written.tobytes().decode("utf-32-le").split(_BETWEEN)


@dataclass(frozen=True)
class Term:
    """A term of a text and where it stands in it (characters of the normal text)."""

    text: str
    start: int
    end: int


def terms(text: str) -> list[Term]:
    """The terms of a normal text in order, without pairs."""
    found = _analyzer().pre_tokenize(text).tokens
    return [Term(token.text, token.char_offset_from, token.char_offset_to) for token in found]


@cache
def _analyzer() -> Any:
    from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

    def rust(ranges: tuple[tuple[int, int], ...]) -> str:
        return "".join(f"\\x{{{first:X}}}-\\x{{{last:X}}}" for first, last in ranges)

    alone = rust(_RANGES + _EMOJI)
    pattern = rf"[{alone}]|[\p{{L}}\p{{N}}\p{{M}}_&&[^{alone}]]+"
    return TextAnalyzerBuilder(Tokenizer.regex(pattern)).filter(Filter.remove_long(LONGEST)).build()


@cache
def _spaces() -> Any:
    from tantivy import TextAnalyzerBuilder, Tokenizer

    return TextAnalyzerBuilder(Tokenizer.whitespace()).build()


def register(index: Any) -> None:
    """Make the analyzers known to an opened index."""
    index.register_tokenizer(WORDS, _analyzer())
    index.register_tokenizer(PAIRS, _spaces())
