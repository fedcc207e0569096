"""Shingles of a whole batch of texts as hashes, without a step in Python for each text.

A shingle is n characters, or n words, in a row; a text with fewer has one shingle of what it has. Its hash is
multilinear in the values of its parts (Carter & Wegman 1979), finished by a multiply-xorshift mixer, modulo 2^64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.duplicates.folding import PART, SEPARATOR, WHOLE, Folded, collapse

Unit = Literal["characters", "words"]
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_ROOT = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Shingles:
    """Shingles of many texts, end to end; one that a text repeats stands as often.

    Attributes:
        hashes: [shingles] uint64.
        starts: [texts + 1] where each text begins.
        lengths: [texts] characters each text has after folding.
    """

    hashes: NDArray[np.uint64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]


def shingles(folded: Folded, unit: Unit, n: int) -> Shingles:
    """Hashes of all shingles of `n` units.

    Characters are those of the folded text with white space collapsed. Words are runs of letters, marks, numbers and
    `_`; characters of scripts without spaces and symbols are words of their own; the rest only divides.
    """
    if unit == "characters":
        text = collapse(folded)
        values, starts = text.points.astype(np.uint64), text.starts
    else:
        values, starts = _words(folded)
    hashes, places = _windows(values, starts, n)
    return Shingles(hashes, places, np.diff(folded.starts))


def fingerprints(found: Shingles) -> NDArray[np.uint64]:
    """[texts, 2] equal for texts with the same shingles equally often (up to one chance in 2^128)."""
    first = _sums(found.hashes, found.starts)
    again = found.hashes ^ (found.hashes >> np.uint64(31))
    again *= _SECOND
    return np.stack([first, _sums(again, found.starts)], axis=1)


def _words(folded: Folded) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """(hash of each word, where each text's words begin)."""
    kinds = folded.kinds
    num = len(kinds)
    if not num:
        return np.zeros(0, np.uint64), np.zeros(len(folded.starts), np.int64)
    goes_on = np.empty(num, dtype=bool)
    goes_on[0] = False
    goes_on[1:] = kinds[:-1] == PART
    goes_on[folded.starts[:-1][np.diff(folded.starts) > 0]] = False
    goes_on &= kinds != WHOLE
    begins = np.flatnonzero((kinds != SEPARATOR) & ~goes_on)
    powers, inverses = _powers(num)
    values = folded.points.astype(np.uint64)
    values *= powers[:num]
    values[kinds == SEPARATOR] = 0
    # Each word is a polynomial in the root, shifted by where it stands; the inverse power shifts it back.
    hashes = np.add.reduceat(values, begins) * inverses[begins] if begins.size else np.zeros(0, np.uint64)
    return _mixed(hashes), np.searchsorted(begins, folded.starts)


def _windows(
    values: NDArray[np.uint64], starts: NDArray[np.int64], n: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """(hash of every run of n values inside a text, where each text's runs begin)."""
    num = len(values)
    factors = _factors(n)
    hashes = values * factors[0]
    scratch = np.empty_like(hashes)
    for place in range(1, min(n, num)):
        np.multiply(values[place:], factors[place], out=scratch[: num - place])
        hashes[: num - place] += scratch[: num - place]
    lengths = np.diff(starts)
    short = np.flatnonzero((lengths > 0) & (lengths < n))
    if short.size:
        hashes[starts[short]] = _short(values, starts[short], lengths[short], factors)
    keep = np.ones(num, dtype=bool)
    for back in range(1, n):
        keep[starts[1:][lengths > back] - back] = False
    counts = np.maximum(lengths - n + 1, np.minimum(lengths, 1))
    return _mixed(hashes[keep]), np.concatenate([[0], np.cumsum(counts)])


def _short(
    values: NDArray[np.uint64], starts: NDArray[np.int64], lengths: NDArray[np.int64], factors: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Hash of each whole text that has fewer than n values."""
    result = np.zeros(len(starts), np.uint64)
    for place in range(len(factors) - 1):
        there = lengths > place
        result[there] += values[starts[there] + place] * factors[place]
    return result


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """In place: every bit of the input decides every bit of the output (a round of SplitMix64)."""
    values ^= values >> np.uint64(30)
    values *= _MIX
    values ^= values >> np.uint64(27)
    values *= _SECOND
    values ^= values >> np.uint64(31)
    return values


def _sums(values: NDArray[np.uint64], starts: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Sum of each text's values, modulo 2^64; 0 for a text without any."""
    result = np.zeros(len(starts) - 1, np.uint64)
    filled = np.flatnonzero(np.diff(starts))
    if filled.size:
        result[filled] = np.add.reduceat(values, starts[:-1][filled])
    return result


@cache
def _factors(n: int) -> NDArray[np.uint64]:
    """n odd numbers without pattern (SplitMix64 of 1 … n)."""
    numbers = _mixed(np.arange(1, n + 1, dtype=np.uint64) * np.uint64(_ROOT))
    return numbers | np.uint64(1)


_POWERS = (np.ones(1, np.uint64), np.ones(1, np.uint64))


def _powers(num: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Powers 0 … num - 1, at least, of an odd root and of its inverse modulo 2^64."""
    global _POWERS
    found = _POWERS
    if len(found[0]) < num:
        size = 1 << (num - 1).bit_length()
        # Both tables stand before either is seen: another thread takes the old pair or the new one.
        found = _POWERS = (_accumulated(_ROOT, size), _accumulated(pow(_ROOT, -1, 1 << 64), size))
    return found


def _accumulated(root: int, size: int) -> NDArray[np.uint64]:
    factors = np.full(size, root & _MASK, np.uint64)
    factors[0] = 1
    return np.multiply.accumulate(factors)
