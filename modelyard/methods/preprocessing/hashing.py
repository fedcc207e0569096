"""Names and runs of symbols as places in a table of fixed size (Weinberger et al. 2009, "Feature Hashing for Large
Scale Multitask Learning"): nothing is learned, so nothing grows. Unlike there the sign is not hashed.

A run of symbols s_1 … s_n is hashed as the polynomial sum of s_i P^(n-i) modulo 2^64, then mixed (splitmix64: Steele,
Lea & Flood 2014).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """splitmix64's finish: every bit of the input reaches every bit of the output."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * _FIRST
        values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))


def places(hashes: NDArray[np.uint64], bits: int) -> NDArray[np.int64]:
    """Places 1 … 2^bits - 1; 0 is padding."""
    found = (mix(hashes) >> np.uint64(64 - bits)).astype(np.int64)
    return np.maximum(found, 1)


def name_hash(name: str) -> int:
    """Of a name: CRC-32, the same everywhere."""
    return zlib.crc32(name.encode("utf-8", "surrogatepass"))


def runs(
    symbols: NDArray[np.uint64], breaks: NDArray[np.bool_], low: int, high: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
    """Every run of `low` to `high` symbols that no break is inside of, one length after the other.

    Args:
        symbols: [symbols].
        breaks: [symbols] whether a run must end here.

    Yields:
        where the runs of this length begin, and their hashes.
    """
    before: NDArray[np.int64] = np.cumsum(breaks) - breaks
    hashes = np.zeros(len(symbols), np.uint64)
    for length in range(1, min(high, len(symbols)) + 1):
        tail = symbols[length - 1 :]
        with np.errstate(over="ignore"):
            hashes = hashes[: len(tail)] * MULTIPLIER + tail
        if length >= low:
            whole = np.flatnonzero(before[: len(tail)] == before[length - 1 :])
            yield whole, hashes[whole] ^ np.uint64(length)
