"""Rows of unequal length, worked on as matrices of rows of nearly equal length: small rows sort a hundred times
faster side by side than one by one, and ten times faster than all in one long array.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

PAD = np.uint32(0xFFFFFFFF)
"""Fills short rows; no value (`clip` sees to it)."""
_NARROWEST = 8
_MOST_CELLS = 1 << 21


def clip(hashes: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """The upper half of each hash, never PAD."""
    return np.minimum((hashes >> np.uint64(32)).astype(np.uint32), PAD - np.uint32(1))


def widths(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The next power of two of each length: rows of one width make a matrix."""
    result = np.full(len(lengths), _NARROWEST, np.int64)
    while (result < lengths).any():
        result[result < lengths] *= 2
    return result


def cut(members: NDArray[np.int64], width: int) -> Iterator[NDArray[np.int64]]:
    """Members a few at a time, so that their matrix stays small."""
    size = max(1, _MOST_CELLS // width)
    for start in range(0, len(members), size):
        yield members[start : start + size]


def fill(
    values: NDArray[np.uint32], starts: NDArray[np.int64], lengths: NDArray[np.int64], matrix: NDArray[np.uint32]
) -> None:
    """Copy the row of `values` at each start into a row of `matrix`, then PAD."""
    columns = np.arange(matrix.shape[1])
    take = starts[:, None] + columns
    np.minimum(take, len(values) - 1, out=take)
    matrix[:] = values[take]
    matrix[columns >= lengths[:, None]] = PAD


def rows_of(
    values: NDArray[np.uint32], starts: NDArray[np.int64], chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Only the chosen rows, end to end, and where each begins."""
    lengths = np.diff(starts)
    return values[np.repeat(chosen, lengths)], np.concatenate([[0], np.cumsum(lengths[chosen])])


def distinct(values: NDArray[np.uint32], starts: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Each row's values without repeats, sorted, end to end in the order of the rows; and where each begins.

    Args:
        values: [values] of all rows end to end, none PAD.
        starts: [rows + 1].
    """
    lengths = np.diff(starts)
    counts = np.zeros(len(lengths), np.int64)
    wide = widths(lengths)
    sorted_values = np.empty_like(values)
    for width in np.unique(wide[lengths > 0]).tolist():
        for rows in cut(np.flatnonzero((wide == width) & (lengths > 0)), width):
            matrix = np.empty((len(rows), width), np.uint32)
            fill(values, starts[rows], lengths[rows], matrix)
            matrix.sort(axis=1)
            fresh = matrix != PAD
            fresh[:, 1:] &= matrix[:, 1:] != matrix[:, :-1]
            counts[rows] = fresh.sum(axis=1)
            places = np.repeat(starts[rows], counts[rows]) + counting(counts[rows])
            sorted_values[places] = matrix[fresh]
    ends = np.concatenate([[0], np.cumsum(counts)])
    return sorted_values[np.repeat(starts[:-1], counts) + counting(counts)], ends


def counting(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0 … count - 1 for each count, end to end."""
    return np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
