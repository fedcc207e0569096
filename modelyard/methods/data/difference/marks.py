"""Rows as marks of fixed size, cut into parts on the disk by the hash of their id.

A row is known by 64-bit hashes of its id and of each column (see `statistics/hashing.py`). Equal ids fall into the same
part, so that two data sets are joined a part at a time: memory is bounded, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.sampling import Place
from modelyard.methods.data.statistics.hashing import hashes, mix

PART_ROWS = 250_000
"""About so many rows of each side are in memory at once."""
SPLITS = ("all", "train", "validation", "test", "calibration")
_PLACE_BITS = np.uint64(56)

Marks = NDArray[np.uint64]
"""(rows, 2 + columns): hash of the id, place (split and position), hash of each column."""


def num_parts(rows: int) -> int:
    return max(1, -(-rows // PART_ROWS))


def write_marks(dataset: Dataset, columns: Sequence[str], folder: Path, parts: int, key: Sequence[str]) -> None:
    """Cut a data set's marks into `folder/0 … parts-1`; the columns of `key` together are the id."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        files = [stack.enter_context((folder / str(part)).open("wb")) for part in range(parts)]
        for split in dataset.splits():
            start = 0
            for batch in dataset.batches(split, list(dict.fromkeys([*key, *columns]))):
                ids = mix([hashes(batch.column(name)) for name in key])
                place = np.arange(start, start + batch.num_rows, dtype=np.uint64)
                place |= np.uint64(SPLITS.index(split)) << _PLACE_BITS
                marks = np.column_stack([ids, place, *(hashes(batch.column(name)) for name in columns)])
                part_of = (ids >> np.uint64(32)) % np.uint64(parts)
                for part in range(parts) if parts > 1 else (0,):
                    chosen = marks[part_of == np.uint64(part)] if parts > 1 else marks
                    files[part].write(chosen.tobytes())
                start += batch.num_rows


def read_marks(file: Path, num_columns: int) -> tuple[Marks, int]:
    """The marks of one part in the order of their ids, each id once, and how many rows repeat one."""
    marks = np.fromfile(file, dtype=np.uint64).reshape(-1, 2 + num_columns)
    marks = marks[np.lexsort((marks[:, 1], marks[:, 0]))]
    if not len(marks):
        return marks, 0
    first = np.concatenate([[True], marks[1:, 0] != marks[:-1, 0]])
    return marks[first], int((~first).sum())


def split_codes(marks: Marks) -> NDArray[np.int64]:
    return (marks[:, 1] >> _PLACE_BITS).astype(np.int64)


def places(marks: Marks) -> list[Place]:
    """Split and position of each row."""
    positions = (marks[:, 1] & ((np.uint64(1) << _PLACE_BITS) - np.uint64(1))).tolist()
    return [
        (SPLITS[code], int(position)) for code, position in zip(split_codes(marks).tolist(), positions, strict=True)
    ]
