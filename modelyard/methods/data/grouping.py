"""Rows grouped by 16-byte keys as arrays: no Python object a row, so that twenty million rows fit in little memory.

A key is two unsigned 64-bit numbers, high half first, so that their order is that of the bytes. Sorting goes part by
part of the key space: the workspace is that of one part, not of all rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

KeyArray = NDArray[np.uint64]
"""[rows, 2]: high and low half of each key."""
Index = NDArray[Any]
"""Row or group numbers: int32 where they fit, else int64."""

KEY_BYTES = 16
PART_ROWS = 1 << 18
MOST_PARTS = 256


def pack(keys: Sequence[bytes]) -> KeyArray:
    """16-byte keys as an array [rows, 2]."""
    return np.frombuffer(b"".join(keys), dtype=">u8").reshape(-1, 2).astype(np.uint64)


def unpack(keys: KeyArray) -> list[bytes]:
    """The keys as bytes again: a few thousand at a time, they are objects."""
    joined = keys.astype(">u8").tobytes()
    return [joined[start : start + KEY_BYTES] for start in range(0, len(joined), KEY_BYTES)]


def index_type(num: int) -> type[np.int32] | type[np.int64]:
    """The smaller type that numbers `num` things."""
    return np.int32 if num < 1 << 31 else np.int64


def parts(keys: KeyArray, part_rows: int = PART_ROWS) -> Iterator[NDArray[np.int64]]:
    """Positions of the rows, one part of the key space after the other, in row order inside each.

    Equal keys are in one part, and every key of a part is below every key of the next.
    """
    num_parts = 1
    while num_parts < MOST_PARTS and len(keys) > num_parts * part_rows:
        num_parts *= 2
    if num_parts == 1:
        yield np.arange(len(keys))
        return
    part = (keys[:, 0] >> np.uint64(64 - num_parts.bit_length() + 1)).astype(np.uint8)
    for number in range(num_parts):
        yield np.flatnonzero(part == number)


def number(keys: KeyArray, part_rows: int = PART_ROWS) -> tuple[Index, int]:
    """Number of each row's key among the distinct keys in their order, and how many there are."""
    numbers = np.empty(len(keys), dtype=index_type(len(keys)))
    count = 0
    for rows in parts(keys, part_rows):
        high, low = keys[rows, 0], keys[rows, 1]
        order = np.lexsort((low, high))
        new = starts(high[order], low[order])
        numbers[rows[order]] = count + np.cumsum(new) - 1
        count += int(new.sum())
    return numbers, count


def starts(*sorted_columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a run of equal rows begins: the first row, and each that differs from the one before in any column."""
    new = np.zeros(len(sorted_columns[0]), dtype=np.bool_)
    new[:1] = True
    for column in sorted_columns:
        new[1:] |= column[1:] != column[:-1]
    return new


class Names:
    """So many strings as one block of bytes: eight bytes each beside their own, not seventy.

    Args:
        num: how many will come, at most.
    """

    def __init__(self, num: int) -> None:
        self._bytes = bytearray()
        self._ends = np.zeros(num + 1, dtype=np.int64)
        self._num = 0

    def extend(self, names: Sequence[str]) -> None:
        encoded = [name.encode("utf-8", "surrogatepass") for name in names]
        ends = np.cumsum([len(name) for name in encoded], dtype=np.int64) + len(self._bytes)
        self._ends[self._num + 1 : self._num + 1 + len(ends)] = ends
        self._num += len(ends)
        self._bytes += b"".join(encoded)

    def __getitem__(self, place: int) -> str:
        start, end = self._ends[place : place + 2].tolist()
        return self._bytes[start:end].decode("utf-8", "surrogatepass")
