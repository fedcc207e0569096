"""MinHash signatures of a batch of texts, by one-permutation hashing.

Li, Owen & Zhang 2012, "One Permutation Hashing": one hash function gives the minima of all bins at once. Bins that
stay empty borrow from others by optimal densification (Shrivastava 2017), which keeps the estimate unbiased. There
is one such pass for each minimum of a band, and a band takes its minima from the same bin of every pass, so that
they are independent of each other and the closed form of banding holds for short texts too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.duplicates.banding import Banding
from modelyard.methods.data.duplicates.shingles import Shingles

_NONE = np.uint32(0xFFFFFFFF)
_PIECE = 1 << 16
"""Shingles worked on at a time: what a pass touches stays in the processor's cache."""
_DENSE_ATTEMPTS = 3
"""So often all bins are looked at, before only those that are still empty."""


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
        base = np.repeat(np.arange(num_texts, dtype=np.int64) * bins, counts)
        result = np.empty((self.banding.rows, bins, num_texts), np.uint32)
        for number, (salt, factor, probes) in enumerate(self._functions()):
            table = np.full(num_texts * bins, _NONE)
            for start in range(0, len(reduced), _PIECE):
                cut = slice(start, start + _PIECE)
                values = reduced[cut] ^ salt
                values *= factor
                np.minimum.at(table, base[cut] + (values >> shift), values)
            result[number] = _densify(table.reshape(num_texts, bins).T, counts > 0, probes)
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

    def _functions(self) -> list[tuple[np.uint32, np.uint32, NDArray[np.int64]]]:
        """(salt, odd factor, [bins, attempts] the bins that an empty one asks) for each pass."""
        bins = self.banding.bands
        name = hashlib.sha256(f"{self.seed}/minhash".encode()).digest()
        draw = np.random.Generator(np.random.Philox(key=int.from_bytes(name[:16], "little")))
        functions: list[Any] = []
        for _ in range(self.banding.rows):
            salt, factor = draw.integers(0, 1 << 32, 2, dtype=np.uint32)
            probes = np.stack([draw.permutation(np.delete(np.arange(bins), place)) for place in range(bins)])
            functions.append((salt, factor | np.uint32(1), probes))
        return functions


def _densify(table: NDArray[np.uint32], filled: NDArray[np.bool_], probes: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Fill empty bins of [bins, texts] from the first bin they ask that is not empty."""
    original = np.ascontiguousarray(table)
    result = original.copy()
    for attempt in range(_DENSE_ATTEMPTS):
        np.copyto(result, original[probes[:, attempt]], where=result == _NONE)
    bins, texts = np.nonzero((result == _NONE) & filled)
    for attempt in range(_DENSE_ATTEMPTS, probes.shape[1]):
        if not bins.size:
            break
        borrowed = original[probes[bins, attempt], texts]
        result[bins, texts] = borrowed
        left = borrowed == _NONE
        bins, texts = bins[left], texts[left]
    return result


def estimate(minima: NDArray[np.uint32], first: int, second: int) -> float:
    """Jaccard similarity of two texts as the share of their minima that are equal."""
    return float((minima[:, :, first] == minima[:, :, second]).mean())
