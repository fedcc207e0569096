"""Where words begin, so that all tokens of one are hidden together (whole-word masking: Devlin et al. 2019's later
release; Cui et al. 2021, "Pre-Training with Whole Word Masking for Chinese BERT").

Words of scripts with spaces are what stands between spaces and punctuation. Chinese has no spaces: its words are
learned from the training texts, as runs of characters that byte-pair encoding merges. No dictionary is needed, and the
words are those of the domain.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.preprocessing import bpe
from modelyard.methods.preprocessing.scripts import HAN

_HAN = re.compile(f"[{HAN}]")


class LearnedWords:
    """Words learned from texts; the list's size says how long runs of Han characters become."""

    def __init__(self, texts: Sequence[str], size: int) -> None:
        self._tokenizer: Any = bpe.learn(texts, size, han="words")
        self.spec: str = self._tokenizer.to_str()

    def begins(self, texts: Sequence[str]) -> list[NDArray[np.bool_]]:
        """Of each text [characters + 1]: whether a word begins at the character."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [_begins(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]


def _begins(text: str, encoding: Any) -> NDArray[np.bool_]:
    found = np.zeros(len(text) + 1, np.bool_)
    before = -1
    for (start, _), word in zip(encoding.offsets, encoding.word_ids, strict=True):
        # Merges inside a word between spaces are no words; those of Han characters are.
        if word != before or _HAN.match(text[start]):
            found[start] = True
        before = word
    return found


class EachToken:
    """Every token by itself."""

    spec = "tokens"

    def begins(self, texts: Sequence[str]) -> list[NDArray[np.bool_]]:
        return [np.ones(len(text) + 1, np.bool_) for text in texts]


Words = LearnedWords | EachToken


def of_tokens(offsets: Sequence[tuple[int, int]], begins: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[tokens] whether a word begins with the token. Bytes of one character share its place: only the first begins.

    Args:
        offsets: of each token, the characters it stands for.
        begins: of `Words`.
    """
    if not offsets:
        return np.zeros(0, np.bool_)
    starts = np.array([start for start, _ in offsets], np.int64)
    found: NDArray[np.bool_] = begins[starts]
    found[1:] &= starts[1:] != starts[:-1]
    found[0] = True
    return found
