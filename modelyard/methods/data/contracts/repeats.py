"""Rows that repeat the key of an earlier row, in bounded memory: keys as hashes, cut into parts on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.contracts.rules import without_nan
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.statistics.hashing import MISSING, hashes, mix

PART_ROWS = 1_000_000


def repeated(dataset: Dataset, split: str, keys: Sequence[Sequence[str]], room: Path) -> list[NDArray[np.int64]]:
    """For each key (one column or several) the positions of the rows whose key an earlier row has.

    Rows in which every column of the key is missing are no repeats. 64 bits stand for a key (see `hashing.py`).

    Args:
        room: a folder for parts; what is left in it may be removed.
    """
    parts = max(1, -(-dataset.num_rows(split) // PART_ROWS))
    columns = list(dict.fromkeys(name for key in keys for name in key))
    names = [[room / f"{place}-{part}" for part in range(parts)] for place in range(len(keys))]
    with ExitStack() as stack:
        files = [[stack.enter_context(name.open("wb")) for name in row] for row in names]
        start = 0
        for batch in dataset.batches(split, columns) if columns else ():
            hashed = {name: hashes(without_nan(batch.column(name))) for name in columns}
            positions = np.arange(start, start + batch.num_rows, dtype=np.uint64)
            for key, targets in zip(keys, files, strict=True):
                there = np.any([hashed[name] != MISSING for name in key], axis=0)
                marks = np.column_stack([mix([hashed[name] for name in key]), positions])[there]
                part_of = marks[:, 0] % np.uint64(parts)
                for part, file in enumerate(targets):
                    file.write(marks[part_of == np.uint64(part)].tobytes())
            start += batch.num_rows
    return [np.sort(np.concatenate([_later(name) for name in row])) for row in names]


def _later(file: Path) -> NDArray[np.int64]:
    """Positions, in one part, of the rows whose key came before."""
    marks = np.fromfile(file, dtype=np.uint64).reshape(-1, 2)
    file.unlink()
    marks = marks[np.lexsort((marks[:, 1], marks[:, 0]))]
    again = np.zeros(len(marks), dtype=bool)
    again[1:] = marks[1:, 0] == marks[:-1, 0]
    later: NDArray[np.int64] = marks[again, 1].astype(np.int64)
    return later
