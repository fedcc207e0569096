"""Pairs of rows that fell into one bucket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.duplicates.ragged import counting

Rows = NDArray[np.int32]
PIVOTS = 4
"""Of a bucket too large for all its pairs, so many rows are compared with every other, and each with the next."""


@dataclass(frozen=True)
class Buckets:
    """Groups of at least two rows that share a key.

    Attributes:
        members: [entries] rows, bucket after bucket, ascending in each.
        starts: [buckets + 1].
    """

    members: Rows
    starts: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        result: NDArray[np.int64] = np.diff(self.starts)
        return result

    def of(self, chosen: NDArray[np.bool_]) -> Buckets:
        """Only the chosen buckets."""
        members = self.members[np.repeat(chosen, self.sizes)]
        return Buckets(members, np.concatenate([[0], np.cumsum(self.sizes[chosen])]))

    def among(self, alive: NDArray[np.bool_]) -> Buckets:
        """Only rows that are alive, in buckets that still have two."""
        bucket = np.repeat(np.arange(len(self.starts) - 1), self.sizes)
        there = alive[self.members]
        counts = np.bincount(bucket[there], minlength=len(self.starts) - 1)
        left = Buckets(self.members[there], np.concatenate([[0], np.cumsum(counts)]))
        return left.of(counts > 1)


def buckets(keys: NDArray[np.uint32], rows: Rows) -> Buckets:
    """Rows by key.

    Args:
        keys: of all rows.
        rows: those that take part, ascending.
    """
    packed = keys[rows].astype(np.uint64) << np.uint64(32)
    packed |= rows.astype(np.uint64)
    packed.sort()
    new = np.ones(len(packed) + 1, dtype=bool)
    new[1:-1] = (packed[1:] ^ packed[:-1]) >= (1 << 32)
    starts = np.flatnonzero(new)
    every = Buckets((packed & np.uint64(0xFFFFFFFF)).astype(np.int32), starts)
    return every.of(every.sizes > 1)


def pairs(found: Buckets, limit: int) -> tuple[Rows, Rows]:
    """Pairs of rows (lower, higher) that share a bucket: all of a bucket of at most `limit` rows, some of a larger."""
    firsts: list[Rows] = []
    seconds: list[Rows] = []
    sizes = found.sizes
    limit = max(limit, PIVOTS)
    for size in np.unique(sizes[sizes <= limit]).tolist():
        table = found.members[found.starts[:-1][sizes == size][:, None] + np.arange(size)]
        lower, higher = np.triu_indices(size, 1)
        firsts.append(table[:, lower].ravel())
        seconds.append(table[:, higher].ravel())
    large = found.of(sizes > limit)
    for pivot in range(PIVOTS):
        begin = large.starts[:-1] + pivot
        others = large.sizes - pivot - 1
        firsts.append(np.repeat(large.members[begin], others))
        seconds.append(large.members[np.repeat(begin + 1, others) + counting(others)])
    same = np.repeat(np.arange(len(large.sizes)), large.sizes)
    beside = same[1:] == same[:-1]
    firsts.append(large.members[:-1][beside])
    seconds.append(large.members[1:][beside])
    return _concatenated(firsts), _concatenated(seconds)


def unique(firsts: Rows, seconds: Rows) -> tuple[Rows, Rows]:
    """Each pair once, sorted."""
    packed = np.unique((firsts.astype(np.uint64) << np.uint64(32)) | seconds.astype(np.uint64))
    return (packed >> np.uint64(32)).astype(np.int32), (packed & np.uint64(0xFFFFFFFF)).astype(np.int32)


def _concatenated(parts: Sequence[Rows]) -> Rows:
    return np.concatenate([np.zeros(0, np.int32), *parts])
