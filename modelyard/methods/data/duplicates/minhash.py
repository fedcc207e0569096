"""MinHash signatures of a batch of texts, by one-permutation hashing.

Li, Owen & Zhang 2012, "One Permutation Hashing": one hash function gives the minima of all bins at once. Bins that
stay empty borrow from others by optimal densification (Shrivastava 2017), which keeps the estimate unbiased. There
is one such pass for each minimum of a band, and a band takes its minima from the same bin of every pass, so that
they are independent of each other and the closed form of banding holds for short texts too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.duplicates.banding import Banding
from modelyard.methods.data.duplicates.shingles import Shingles

_NONE = np.uint32(0xFFFFFFFF)
_PIECE = 1 << 16
"""Shingles worked on at a time: what a pass touches stays in the processor's cache."""
_MANY = 0.05
"""While so large a share of the bins is empty, all are looked at; then only those that are."""


@dataclass(frozen=True)
class Sketcher:
    """Draws its hash functions from `seed` once.

    Attributes:
        banding: bands are bins (a power of two), rows are passes.
    """

    banding: Banding
    seed: int = 0

    def minima(self, found: Shingles) -> NDArray[np.uint32]:
        """[passes, bins, texts] minima; equal in two texts with the probability of their Jaccard similarity.

        A text without shingles has only the largest value.
        """
        bins, num_texts = self.banding.bands, len(found.starts) - 1
        shift = np.uint32(32 - (bins.bit_length() - 1))
        reduced = (found.hashes >> np.uint64(32)).astype(np.uint32)
        counts = np.diff(found.starts)
        text = np.repeat(np.arange(num_texts, dtype=np.int64), counts)
        result = np.empty((self.banding.rows, bins, num_texts), np.uint32)
        for number, (salt, factor, probes) in enumerate(_functions(self.banding, self.seed)):
            table = np.full(num_texts * bins, _NONE)
            for start in range(0, len(reduced), _PIECE):
                cut = slice(start, start + _PIECE)
                values = reduced[cut] ^ salt
                values *= factor
                places = (values >> shift).astype(np.int64)
                places *= num_texts
                places += text[cut]
                np.minimum.at(table, places, values)
            result[number] = table.reshape(bins, num_texts)
            _densify(result[number], counts > 0, probes)
        return result

    def keys(self, found: Shingles) -> NDArray[np.uint32]:
        """[bands, texts] one number for each band: equal if all its minima are (else up to a chance of 2^-32)."""
        minima = self.minima(found)
        keys = np.zeros(minima.shape[1:], np.uint64)
        for values in minima:
            keys *= np.uint64(0x9E3779B97F4A7C15)
            keys += values
            keys ^= keys >> np.uint64(29)
        keys *= np.uint64(0xBF58476D1CE4E5B9)
        result: NDArray[np.uint32] = (keys >> np.uint64(32)).astype(np.uint32)
        return result


@lru_cache(maxsize=4)
def _functions(banding: Banding, seed: int) -> list[tuple[np.uint32, np.uint32, NDArray[np.int64]]]:
    """(salt, odd factor, [bins, attempts] the bins that an empty one asks) for each pass."""
    bins = banding.bands
    name = hashlib.sha256(f"{seed}/minhash".encode()).digest()
    draw = np.random.Generator(np.random.Philox(key=int.from_bytes(name[:16], "little")))
    functions: list[Any] = []
    for _ in range(banding.rows):
        salt, factor = draw.integers(0, 1 << 32, 2, dtype=np.uint32)
        probes = np.stack([draw.permutation(np.delete(np.arange(bins), place)) for place in range(bins)])
        functions.append((salt, factor | np.uint32(1), probes))
    return functions


def _densify(table: NDArray[np.uint32], filled: NDArray[np.bool_], probes: NDArray[np.int64]) -> None:
    """Fill empty bins of [bins, texts], in place, from the first bin they ask that is not empty."""
    empty = table == _NONE
    num_empty = int(np.count_nonzero(empty))
    if not num_empty:
        return
    original = table.copy()
    attempt = 0
    while num_empty > _MANY * table.size and attempt < probes.shape[1]:
        np.copyto(table, original[probes[:, attempt]], where=empty)
        np.equal(table, _NONE, out=empty)
        before, num_empty = num_empty, int(np.count_nonzero(empty))
        attempt += 1
        if num_empty == before:  # only texts without any shingle are left
            break
    bins, texts = np.nonzero(empty & filled)
    while bins.size and attempt < probes.shape[1]:
        borrowed = original[probes[bins, attempt], texts]
        table[bins, texts] = borrowed
        left = borrowed == _NONE
        bins, texts = bins[left], texts[left]
        attempt += 1


def estimate(minima: NDArray[np.uint32], first: int, second: int) -> float:
    """Jaccard similarity of two texts as the share of their minima that are equal."""
    return float((minima[:, :, first] == minima[:, :, second]).mean())
