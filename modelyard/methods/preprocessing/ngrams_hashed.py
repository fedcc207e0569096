"""`ngrams_hashed`: a text as weighted n-grams in a table of fixed size. Nothing is learned, so a stream can be read
with it from the first row on.

Which n-grams a text has depends on its own script: characters where words are not separated, words and what is inside
them elsewhere (see ngrams.py). A weight is 1 + ln count, each text scaled to length 1.

Spec: `{"kind": "ngrams_hashed", "bits": 18, "max_chars": 20000}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.preprocessing import hashing
from modelyard.methods.preprocessing.ngrams import MAX_CHARS, WORD, Family, families_for, normalise, pad_rows

LEAST_BITS, MOST_BITS = 8, 24


@dataclass(frozen=True)
class HashedNgrams:
    """Attributes:
    bits: the table has 2^bits places, of which 0 is padding.
    max_chars: characters of a text that are read.
    """

    bits: int = 18
    max_chars: int = MAX_CHARS

    input_names = ("ngram_ids", "ngram_weights")

    @property
    def num_features(self) -> int:
        """Rows a weight table needs."""
        return 1 << self.bits

    def sparse(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Rows, ids and weights: one entry for each distinct place of a row, sorted by row, then id."""
        normal = [normalise(text, self.max_chars) for text in texts]
        by_family: dict[Family, list[int]] = {}
        for row, text in enumerate(normal):
            for family in families_for([text]):
                by_family.setdefault(family, []).append(row)
        parts = [self._keys(family, rows, normal) for family, rows in by_family.items()]
        keys, counts = np.unique(np.concatenate(parts) if parts else np.zeros(0, np.int64), return_counts=True)
        rows, ids = keys >> self.bits, keys & (self.num_features - 1)
        weights = 1.0 + np.log(counts)
        norms = np.sqrt(np.bincount(rows, weights * weights, minlength=len(texts)))
        return rows, ids, (weights / norms[rows]).astype(np.float32)

    def _keys(self, family: Family, rows: Sequence[int], normal: Sequence[str]) -> NDArray[np.int64]:
        """Row and place, as one number, of every n-gram of these rows."""
        symbols, breaks, lengths = _symbols(family, [normal[row] for row in rows])
        row_of = np.repeat(np.array(rows, np.int64), lengths)
        salt = np.uint64(hashing.name_hash(family.unit) << 32)
        found = [
            (row_of[starts] << self.bits) | hashing.places(hashes ^ salt, self.bits)
            for starts, hashes in hashing.runs(symbols, breaks, family.low, family.high)
        ]
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        """`ngram_ids` [texts, longest] int64 and `ngram_weights` [texts, longest] float32, padded with 0."""
        rows, ids, weights = self.sparse(texts)
        return pad_rows(rows, ids, weights, len(texts))

    def save(self, folder: Path) -> dict[str, Any]:
        """Needs no file; returns the spec for `model.json`."""
        return {"kind": "ngrams_hashed", "bits": self.bits, "max_chars": self.max_chars}


def _symbols(family: Family, texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.bool_], NDArray[np.int64]]:
    """Symbols of all texts, where runs must end, and how many symbols each text has."""
    if family.unit == "word":
        words = [[hashing.name_hash(word) for word in WORD.findall(text)] for text in texts]
        lengths = np.array([len(some) for some in words], np.int64)
        symbols = np.fromiter((one for some in words for one in some), np.uint64, int(lengths.sum()))
        breaks = np.zeros(len(symbols), np.bool_)
    else:
        spread = [family.spread(text) for text in texts]
        lengths = np.array([len(text) for text in spread], np.int64)
        joined = "".join(spread).encode("utf-32-le", "surrogatepass")
        symbols = np.frombuffer(joined, np.uint32).astype(np.uint64)
        breaks = np.zeros(len(symbols), np.bool_)
        if family.unit == "inword":
            # Two spaces side by side stand between words, which no n-gram holds.
            breaks[:-1] = (symbols[:-1] == ord(" ")) & (symbols[1:] == ord(" "))
    ends = np.cumsum(lengths) - 1
    breaks[ends[lengths > 0]] = True
    return symbols, breaks, lengths


def load(folder: Path, spec: Mapping[str, Any]) -> HashedNgrams:
    """Raises InputError if the table would have another size than a model may have."""
    bits, max_chars = spec["bits"], spec.get("max_chars", MAX_CHARS)
    if not isinstance(bits, int) or not LEAST_BITS <= bits <= MOST_BITS or not isinstance(max_chars, int):
        raise InputError(
            t("`bits` is {found}", found=str(bits)[:20]),
            where=str(folder),
            expected=f"{LEAST_BITS} … {MOST_BITS}",
        )
    return HashedNgrams(bits, max_chars)
