"""Token sequences to learn from: of any length, read from disk or held in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.training.loader.store import TokenStore

Ints = NDArray[np.int64]
WINDOW = 8
"""Row groups whose documents are packed together."""


class Documents(Protocol):
    """Numbered token sequences, in groups that are packed together."""

    @property
    def num_windows(self) -> int:
        """Groups."""
        ...

    def window(self, number: int) -> tuple[Ints, Ints]:
        """(numbers of the documents of a group, tokens of each)."""
        ...

    def take(self, rows: Ints, offsets: Ints, counts: Ints) -> Ints:
        """`counts` tokens from `offsets` on of each of `rows`, end to end."""
        ...

    def learned(self, rows: Ints, offsets: Ints, counts: Ints) -> NDArray[np.bool_] | None:
        """Which of these tokens are to be learned to say; None: all."""
        ...

    def name(self, row: int) -> str:
        """What a message calls the document."""
        ...


@dataclass(frozen=True)
class StoredDocuments:
    """The rows of a token store; every token is learned. Rows are tokenized when their window is first asked for."""

    store: TokenStore
    split: str

    @property
    def num_windows(self) -> int:
        return -(-len(self.store.pieces) // WINDOW)

    def window(self, number: int) -> tuple[Ints, Ints]:
        rows, lengths = [], []
        # Every n-th row group: data that is sorted is mixed all the same.
        for place in range(number, len(self.store.pieces), self.num_windows):
            piece = self.store.pieces[place]
            rows.append(np.arange(piece.first, piece.first + piece.num_rows))
            lengths.append(self.store.lengths(place))
        return np.concatenate(rows), np.concatenate(lengths).astype(np.int64)

    def take(self, rows: Ints, offsets: Ints, counts: Ints) -> Ints:
        return self.store.take(rows, offsets, counts)

    def learned(self, rows: Ints, offsets: Ints, counts: Ints) -> None:
        return None

    def name(self, row: int) -> str:
        return f"{self.split}[{row}]"


@dataclass(frozen=True)
class HeldDocuments:
    """Sequences in memory, some of whose tokens are only read.

    Attributes:
        ids: tokens of all sequences end to end.
        marks: which of them are learned.
        starts: [rows + 1] where each begins.
        names: row ids.
    """

    ids: NDArray[np.int32]
    marks: NDArray[np.bool_]
    starts: Ints
    names: Sequence[str]
    num_windows: ClassVar[int] = 1

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], marks: Sequence[Sequence[bool]], names: Sequence[str]) -> HeldDocuments:
        """From one list of ids and of marks for each sequence."""
        starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        size = int(starts[-1])
        ids = np.fromiter((token for row in rows for token in row), np.int32, size)
        return cls(ids, np.fromiter((mark for row in marks for mark in row), np.bool_, size), starts, names)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def window(self, number: int) -> tuple[Ints, Ints]:
        return np.arange(len(self)), np.diff(self.starts)

    def take(self, rows: Ints, offsets: Ints, counts: Ints) -> Ints:
        return self.ids[self._places(rows, offsets, counts)].astype(np.int64)

    def learned(self, rows: Ints, offsets: Ints, counts: Ints) -> NDArray[np.bool_]:
        return self.marks[self._places(rows, offsets, counts)]

    def name(self, row: int) -> str:
        return self.names[row]

    def _places(self, rows: Ints, offsets: Ints, counts: Ints) -> Ints:
        inside = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.asarray(np.repeat(self.starts[rows] + offsets, counts) + inside, np.int64)
