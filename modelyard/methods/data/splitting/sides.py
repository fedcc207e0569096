"""What decides where a row goes, and the names of the sides it may go to. Rows are arrays throughout, no Python object
each."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.grouping import Index, KeyArray, number, pack

NAMES = ("train", "validation", "test", "calibration")
TRAIN, VALIDATION, TEST, CALIBRATION = range(4)
ORDER = (TRAIN, VALIDATION, CALIBRATION, TEST)
"""What a row on two sides makes way for: the later of both; by time the newest come last."""
REMOVED = -1

Sides = NDArray[np.int8]
"""Side of each row: TRAIN, VALIDATION, TEST, CALIBRATION, or REMOVED."""


NO_GROUP = -1


@dataclass(frozen=True)
class Labels:
    """The class of each row: `codes` [rows] into `names`, which are in order."""

    codes: NDArray[np.int32]
    names: tuple[str, ...]

    @classmethod
    def of(cls, values: Sequence[str]) -> Labels:
        names = tuple(sorted(set(values)))
        code = {name: place for place, name in enumerate(names)}
        return cls(np.array([code[value] for value in values], dtype=np.int32), names)

    def counts(self, rows: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Rows of each class, of all or of those where `rows` is true."""
        codes = self.codes if rows is None else self.codes[rows]
        return np.bincount(codes, minlength=len(self.names))

    def take(self, places: NDArray[np.int64]) -> Labels:
        """The classes of some rows; names without any are gone."""
        there, codes = np.unique(self.codes[places], return_inverse=True)
        return Labels(codes.astype(np.int32), tuple(self.names[code] for code in there.tolist()))


@dataclass(frozen=True)
class Rows:
    """What decides where a row goes; arrays are as long as there are rows.

    Attributes:
        keys: [rows, 2], text key of each row (`text.text_key`).
        texts: number of each row's text among the distinct ones, in the order of their keys.
        labels, groups: None if the data has none. A group is a number; NO_GROUP belongs to none.
        times: microseconds since 1970, None if the data has none.
        given: side each row comes with, None if the data is not split.
    """

    keys: KeyArray
    texts: Index
    labels: Labels | None = None
    groups: Index | None = None
    times: NDArray[np.int64] | None = None
    given: Sides | None = None

    @classmethod
    def of(
        cls,
        keys: Sequence[bytes],
        labels: Sequence[str] | None = None,
        groups: Sequence[Hashable] | None = None,
        times: NDArray[np.int64] | None = None,
        given: Sides | None = None,
    ) -> Rows:
        """From lists: 16-byte keys, class names, groups of any kind (None belongs to no group)."""
        packed = pack(keys)
        codes: dict[Hashable, int] = {None: NO_GROUP}
        numbers = [codes.setdefault(group, len(codes) - 1) for group in groups or ()]
        return cls(
            packed,
            number(packed)[0],
            Labels.of(labels) if labels is not None else None,
            np.array(numbers, dtype=np.int32) if groups is not None else None,
            times,
            given,
        )

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, places: NDArray[np.int64]) -> Rows:
        """The rows at `places`, without times and given sides."""
        keys = self.keys[places]
        return Rows(
            keys,
            number(keys)[0],
            self.labels.take(places) if self.labels is not None else None,
            self.groups[places] if self.groups is not None else None,
        )
