"""Tokens of a data set's texts in memory-mapped files, made once for a data set and a tokenizer.

A piece is some rows of the data set that follow each other: `000012.tokens` (uint16 or uint32, rows end to end) and
`000012.lengths` (int32), the latter put in place last: where it is, the piece is whole. Pieces are made in worker
processes or, with no workers, by the one that asks, in the order they are needed; what a killed run has made is not
made again. Which process makes a piece changes nothing in it.
"""

from __future__ import annotations

import os
import uuid
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tokenizers import Tokenizer

from modelyard.base.canonical import digest_bytes, digest_file, digest_json
from modelyard.base.messages import t
from modelyard.errors import StageError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.preprocessing import tokens

OPEN = 256
"""Pieces kept mapped at a time."""
HEAD = 4
PIECE_ROWS, MOST_PIECES = 1_024, 1_024
"""Rows of a piece: few, so that the first batches come soon; more where there would be too many pieces."""


@dataclass(frozen=True)
class Reading:
    """How texts become tokens.

    Attributes:
        tokenizer: as the text of a `tokenizer.json`.
        max_length: tokens a text may have, special ones included.
        pad_id: what fills the end of short rows.
        max_chars: characters of a text that are read; None: as many as can matter.
    """

    tokenizer: str
    max_length: int
    pad_id: int = 0
    max_chars: int | None = None

    @classmethod
    def of(cls, made: tokens.Tokens) -> Reading:
        """The reading of a loaded preprocessor."""
        return cls(made.tokenizer.to_str(), made.max_length, made.pad_id, made.max_chars)


@dataclass(frozen=True)
class Piece:
    """Rows of one row group.

    Attributes:
        shard, group: the file, and the row group in it.
        start: the first of its rows in the group; `first`: in the split.
    """

    shard: str
    group: int
    start: int
    first: int
    num_rows: int


def folder_for(root: Path, data: Dataset, split: str, column: str, reading: Reading, digest: str | None = None) -> Path:
    """Where the tokens of these texts by this tokenizer belong: named by the digest of both.

    Args:
        digest: of the split, where it is known; else its files are read for it.
    """
    found = digest or digest_json([digest_file(shard) for shard in data.shards(split)])
    how = [digest_bytes(reading.tokenizer.encode()), reading.max_length, reading.max_chars]
    return root / digest_json([found, split, column, *how]).removeprefix("sha256:")[:32]


class TokenStore:
    """Tokens of one column of one split.

    Args:
        folder: from `folder_for`; made if it is not there.
        workers: processes that make pieces ahead of need; 0: a piece is made when it is asked for.

    Attributes:
        pieces: in the order of the data set.
        num_rows: of the split.
    """

    def __init__(
        self, folder: Path, data: Dataset, split: str, column: str, reading: Reading, workers: int = 0
    ) -> None:
        self.folder, self.reading = folder, reading
        self.pieces = pieces_of(data, split)
        self.num_rows = sum(piece.num_rows for piece in self.pieces)
        self._column, self._workers = column, workers
        self._firsts = np.array([piece.first for piece in self.pieces], np.int64)
        self._type = np.dtype(
            np.uint16 if Tokenizer.from_str(reading.tokenizer).get_vocab_size() <= 1 << 16 else np.uint32
        )
        self._open: OrderedDict[int, tuple[NDArray[Any], NDArray[np.int64]]] = OrderedDict()
        self._waiting: dict[int, Future[None]] = {}
        self._pool: ProcessPoolExecutor | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def ahead(self, numbers: Iterable[int]) -> None:
        """Have workers make these pieces, in this order; without workers nothing happens."""
        wanted = [number for number in numbers if number not in self._waiting and not self._made(number)]
        if not self._workers or not wanted:
            return
        if self._pool is None:
            # Spawned, not forked: a fork copies the locks of threads that do not exist in it.
            self._pool = ProcessPoolExecutor(self._workers, get_context("spawn"), _one_thread)
            # The first are made by the one who asks, while the workers start.
            wanted = wanted[HEAD:]
        try:
            for number in wanted:
                self._waiting[number] = self._pool.submit(make_piece, *self._order(number))
        except BrokenProcessPool:
            raise self._broken() from None

    def lengths(self, number: int) -> NDArray[np.int64]:
        """[rows] tokens of each row of a piece; 0 for a row without text. Waits until the piece is there."""
        starts = self._piece(number)[1]
        return np.diff(starts)

    def take(self, rows: NDArray[np.int64], offsets: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """`counts` tokens from `offsets` on of each of `rows`, end to end."""
        result = np.empty(int(counts.sum()), np.int64)
        ends = np.cumsum(counts)
        numbers = np.searchsorted(self._firsts, rows, "right") - 1
        for number in np.unique(numbers).tolist():
            values, starts = self._piece(number)
            mine = np.flatnonzero(numbers == number)
            begin = starts[rows[mine] - self._firsts[number]] + offsets[mine]
            inside = np.arange(int(counts[mine].sum())) - np.repeat(
                np.cumsum(counts[mine]) - counts[mine], counts[mine]
            )
            source = np.repeat(begin, counts[mine]) + inside
            result[np.repeat(ends[mine] - counts[mine], counts[mine]) + inside] = values[source]
        return result

    def close(self) -> None:
        """End the workers; pieces they have not begun are not made."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        self._waiting.clear()
        self._open.clear()

    def _piece(self, number: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """(tokens end to end, where each row begins) of a piece."""
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        if number in self._waiting:
            try:
                self._waiting.pop(number).result()
            except BrokenProcessPool:
                raise self._broken() from None
        elif not self._made(number):
            make_piece(*self._order(number))
        lengths = np.fromfile(self._path(number, "lengths"), np.int32)
        starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        file = self._path(number, "tokens")
        values = np.memmap(file, self._type, "r").view(np.ndarray) if starts[-1] else np.zeros(0, self._type)
        self._open[number] = values, starts
        if len(self._open) > OPEN:
            self._open.popitem(last=False)
        return values, starts

    def _broken(self) -> StageError:
        return StageError(
            t("a process that tokenizes ended before its work was done"),
            where=str(self.folder),
            expected=t("{n} processes that live to the end", n=self._workers),
            remedy=t("is there memory for them? run again: what is tokenized is kept; or take fewer workers"),
        )

    def _made(self, number: int) -> bool:
        return self._path(number, "lengths").is_file()

    def _path(self, number: int, kind: str) -> Path:
        return self.folder / f"{number:06d}.{kind}"

    def _order(self, number: int) -> tuple[Any, ...]:
        return str(self.folder / f"{number:06d}"), self.pieces[number], self._column, self.reading, self._type.str


def pieces_of(data: Dataset, split: str) -> list[Piece]:
    """The rows of a split, cut."""
    result: list[Piece] = []
    first = 0
    size = max(PIECE_ROWS, -(-data.num_rows(split) // MOST_PIECES))
    for shard in data.shards(split):
        metadata = pq.ParquetFile(shard).metadata
        for group in range(metadata.num_row_groups):
            num_rows = metadata.row_group(group).num_rows
            for start in range(0, num_rows, size):
                result.append(Piece(str(shard), group, start, first, min(size, num_rows - start)))
                first += result[-1].num_rows
    return result


def _one_thread() -> None:
    """In a worker: the tokenizer must not take the cores of the other workers."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def make_piece(target: str, piece: Piece, column: str, reading: Reading, kind: str) -> None:
    """Tokenize a piece and put its files in place. Runs in a worker: arguments are plain values."""
    group = pq.ParquetFile(piece.shard).read_row_group(piece.group, columns=[column])
    texts = group.column(0).slice(piece.start, piece.num_rows).to_pylist()
    rows = _tokenizer(reading).ids([text or "" for text in texts])
    rows = [row if text else [] for row, text in zip(rows, texts, strict=True)]
    lengths = np.fromiter(map(len, rows), np.int32, len(rows))
    flat = np.fromiter(chain.from_iterable(rows), np.dtype(kind), int(lengths.sum()))
    for name, values in (("tokens", flat), ("lengths", lengths)):
        temporary = f"{target}.{uuid.uuid4().hex[:8]}.tmp"
        values.tofile(temporary)
        os.replace(temporary, f"{target}.{name}")


@lru_cache(maxsize=2)
def _tokenizer(reading: Reading) -> tokens.Tokens:
    return tokens.wrap(Tokenizer.from_str(reading.tokenizer), reading.max_length, reading.pad_id, reading.max_chars)
