"""A text as tokens that know their place in it, whatever its length: read in overlapping windows of what a network
takes at once. Each token's scores come from the window in which it stands furthest from a cut.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from modelyard.methods.preprocessing.tokens import Tokens

LONE = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
"""Halves of an emoji have no UTF-8; each is replaced by one character, so that places stay."""


@dataclass(frozen=True)
class Placed:
    """The tokens of one text, without special ones.

    Attributes:
        ids: of the tokens.
        offsets: characters [start, end) of each; white space at their ends is cut off.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]


@dataclass(frozen=True)
class Windows:
    """Cuts texts for a network that takes so many tokens.

    Attributes:
        tokenizer: neither pads nor truncates.
        prefix, suffix: special tokens around every window.
        content: tokens of the text in a window.
        overlap: tokens that a window shares with the one before.
    """

    tokenizer: Any
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    content: int
    overlap: int

    @classmethod
    def of(cls, tokens: Tokens, overlap: int | None = None) -> Windows:
        """Windows of a preprocessor's `max_length` tokens; by default a quarter of each overlaps."""
        tokenizer = Tokenizer.from_str(tokens.tokenizer.to_str())
        tokenizer.no_truncation()
        tokenizer.no_padding()
        prefix, suffix = _specials(tokenizer)
        content = max(1, tokens.max_length - len(prefix) - len(suffix))
        wanted = content // 4 if overlap is None else overlap
        return cls(tokenizer, prefix, suffix, content, max(0, min(wanted, content - 1)))

    def read(self, texts: Sequence[str]) -> list[Placed]:
        """The tokens of each text."""
        sound = [text.translate(LONE) for text in texts]
        encoded = self.tokenizer.encode_batch(sound, add_special_tokens=False)
        return [
            Placed(one.ids, [_trimmed(offset, text) for offset in one.offsets])
            for one, text in zip(encoded, sound, strict=True)
        ]

    def cuts(self, num_tokens: int) -> list[tuple[int, int]]:
        """Windows [start, stop) that cover so many tokens; none for none."""
        step = self.content - self.overlap
        starts = range(0, max(1, num_tokens - self.overlap), step) if num_tokens else ()
        return [(start, min(start + self.content, num_tokens)) for start in starts]

    def owner(self, cuts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Of each window the tokens [start, stop) it answers for: neighbours meet in the middle of an overlap."""
        meet = [(before[1] + after[0]) // 2 for before, after in itertools.pairwise(cuts)]
        starts, stops = [0, *meet], [*meet, cuts[-1][1] if cuts else 0]
        return list(zip(starts, stops, strict=True)) if cuts else []

    def pieces(self, num_tokens: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """(window, the tokens it answers for) that cover so many tokens."""
        cuts = self.cuts(num_tokens)
        return list(zip(cuts, self.owner(cuts), strict=True))

    def row(self, ids: Sequence[int]) -> list[int]:
        """A window's tokens as the network reads them."""
        return [*self.prefix, *ids, *self.suffix]

    def inside(self, outputs: NDArray[np.float32], num_tokens: int) -> NDArray[np.float32]:
        """Of a network's outputs [positions, …] those of the text's own tokens."""
        first = len(self.prefix)
        return outputs[first : first + num_tokens]


def _specials(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the tokenizer puts before and behind a text."""
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a").ids
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return tuple(whole[:start]), tuple(whole[start + len(plain) :])
    return (), ()


def _trimmed(offset: tuple[int, int], text: str) -> tuple[int, int]:
    start, end = offset
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
