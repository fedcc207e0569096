"""The exact Jaccard similarity of candidate pairs, from their sets of shingle hashes.

The sets of all rows that take part lie in a file, 4 bytes a shingle; a pair's similarity is counted in a sorted row
of both. (Two different shingles of a pair of n share a hash with probability n² / 2^33: 0.0001 for a thousand.)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.duplicates import ragged
from modelyard.methods.data.duplicates.candidates import Rows


class ShingleSets:
    """Sets of some rows, written once and then compared.

    Args:
        path: where the sets go.
        rows: [rows] the rows that have one, ascending; added in this order.
    """

    def __init__(self, path: Path, rows: Rows) -> None:
        self._path = path
        self._rows = rows
        self._sizes: list[NDArray[np.int64]] = []
        self._stream = path.open("wb")
        self._values = np.zeros(0, np.uint32)
        self._starts = np.zeros(1, np.int64)

    def add(self, values: NDArray[np.uint32], starts: NDArray[np.int64]) -> None:
        """The next rows' sets, as `ragged.distinct` gives them."""
        self._stream.write(values.tobytes())
        self._sizes.append(np.diff(starts))

    def seal(self) -> None:
        """No row is to come: from here sets can be compared."""
        self._stream.close()
        sizes = np.concatenate([np.zeros(0, np.int64), *self._sizes])
        assert len(sizes) == len(self._rows)
        self._starts = np.concatenate([[0], np.cumsum(sizes)])
        if self._starts[-1]:
            self._values = np.memmap(self._path, np.uint32, "r").view(np.ndarray)

    def similarity(self, firsts: Rows, seconds: Rows, threshold: float = 0.0) -> NDArray[np.float64]:
        """[pairs] Jaccard similarity; 0 where the sizes alone show that it is below the threshold."""
        result = np.zeros(len(firsts))
        lefts, rights = np.searchsorted(self._rows, firsts), np.searchsorted(self._rows, seconds)
        sizes = np.diff(self._starts)
        num_left, num_right = sizes[lefts], sizes[rights]
        possible = np.minimum(num_left, num_right) >= threshold * np.maximum(num_left, num_right)
        wide_left, wide_right = ragged.widths(num_left), ragged.widths(num_right)
        shapes = np.stack([wide_left, wide_right], axis=1)[possible]
        for left, right in np.unique(shapes, axis=0).tolist() if len(shapes) else ():
            mine = np.flatnonzero(possible & (wide_left == left) & (wide_right == right))
            for part in ragged.cut(mine, left + right):
                matrix = np.empty((len(part), left + right), np.uint32)
                ragged.fill(self._values, self._starts[lefts[part]], num_left[part], matrix[:, :left])
                ragged.fill(self._values, self._starts[rights[part]], num_right[part], matrix[:, left:])
                matrix.sort(axis=1)
                shared = ((matrix[:, 1:] == matrix[:, :-1]) & (matrix[:, 1:] != ragged.PAD)).sum(axis=1)
                result[part] = shared / (num_left[part] + num_right[part] - shared)
        return result

    def close(self) -> None:
        """Remove the file."""
        self._stream.close()
        self._values = np.zeros(0, np.uint32)
        self._path.unlink(missing_ok=True)
