"""Texts cut into pieces that a network reads whole, kept on disk: tokens, and with which of them a word begins.

A text longer than `context` goes on in other pieces; every piece stands between the marks of the tokenizer ([CLS] …
[SEP]). Written once, put in place when it is whole, then mapped: a large corpus needs no memory.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from modelyard.base.canonical import digest_bytes, digest_file, digest_json
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.training.encoders import words
from modelyard.methods.training.encoders.words import Words
from modelyard.methods.training.language.texts import marks_around

Ints = NDArray[np.int64]
WINDOW = 1 << 16
"""Pieces that are packed together."""
TEXTS = 512
"""Read and encoded at a time."""
FILES = {"ids": np.int32, "begins": np.bool_, "lengths": np.int32, "rows": np.int64}


@dataclass(frozen=True)
class Piece:
    """A part of a text as it is read.

    Attributes:
        ids: with the marks around it.
        begins: whether a word begins with each; the marks are words of their own.
    """

    ids: NDArray[np.int32]
    begins: NDArray[np.bool_]


class Cutter:
    """Texts to pieces.

    Args:
        tokenizer: of transformers.
        context: tokens of a piece at most, marks included.
    """

    def __init__(self, tokenizer: Any, words: Words, context: int) -> None:
        self._single = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        before, after = marks_around(self._single)
        self._before, self._after = np.array(before, np.int32), np.array(after, np.int32)
        self._words, self._room = words, max(1, context - len(before) - len(after))
        self.spec = [digest_bytes(self._single.to_str().encode()), digest_bytes(words.spec.encode()), context]

    def pieces(self, texts: list[str]) -> Iterator[list[Piece]]:
        """The pieces of each text; none of a text without tokens."""
        encodings = self._single.encode_batch(texts, add_special_tokens=False)
        for encoding, begins in zip(encodings, self._words.begins(texts), strict=True):
            ids = np.array(encoding.ids, np.int32)
            first = words.of_tokens(encoding.offsets, begins)
            cuts = range(0, len(ids), self._room)
            yield [self._framed(ids[cut : cut + self._room], first[cut : cut + self._room]) for cut in cuts]

    def _framed(self, ids: NDArray[np.int32], begins: NDArray[np.bool_]) -> Piece:
        whole = np.concatenate([self._before, ids, self._after])
        marked = np.ones(len(whole), np.bool_)
        marked[len(self._before) : len(self._before) + len(ids)] = begins
        marked[len(self._before)] = True
        return Piece(whole, marked)


@dataclass(frozen=True)
class Corpus:
    """Pieces of a split's texts.

    Attributes:
        ids, begins: of all pieces end to end.
        starts: [pieces + 1].
        rows: [pieces] the row of the split it comes from.
    """

    ids: NDArray[np.int32]
    begins: NDArray[np.bool_]
    starts: Ints
    rows: Ints
    split: str

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def num_windows(self) -> int:
        return -(-len(self) // WINDOW)

    def window(self, number: int) -> tuple[Ints, Ints]:
        rows = np.arange(number, len(self), self.num_windows)
        return rows, np.diff(self.starts)[rows]

    def take(self, rows: Ints, offsets: Ints, counts: Ints) -> Ints:
        return self.ids[self._places(rows, offsets, counts)].astype(np.int64)

    def take_begins(self, rows: Ints, offsets: Ints, counts: Ints) -> NDArray[np.bool_]:
        """As `take`: whether a word begins with the token."""
        return np.asarray(self.begins[self._places(rows, offsets, counts)], np.bool_)

    def learned(self, rows: Ints, offsets: Ints, counts: Ints) -> None:
        return None

    def name(self, row: int) -> str:
        return f"{self.split}[{self.rows[row]}]"

    def _places(self, rows: Ints, offsets: Ints, counts: Ints) -> Ints:
        inside = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.asarray(np.repeat(self.starts[rows] + offsets, counts) + inside, np.int64)


def make(data: Dataset, split: str, column: str, cutter: Cutter, scratch: Path) -> Corpus:
    """The pieces of a split, made in `scratch` if they are not there.

    Raises:
        InputError: no row of the split has a text.
    """
    digests = [digest_file(shard) for shard in data.shards(split)]
    folder = scratch / digest_json([digests, split, column, *cutter.spec]).removeprefix("sha256:")[:32]
    if not (folder / "done.json").is_file():
        _write(data, split, column, cutter, folder)
    found = {name: _mapped(folder / name, kind) for name, kind in FILES.items()}
    if not len(found["rows"]):
        raise InputError(
            t("no {split} row has a text", split=split),
            where=f"data/{split}",
            expected=t("texts in the column `{column}`", column=column),
            remedy=t("check data.read and data.split"),
        )
    starts = np.concatenate([[0], np.cumsum(found["lengths"], dtype=np.int64)])
    return Corpus(found["ids"], found["begins"], starts, np.asarray(found["rows"]), split)


def _mapped(path: Path, kind: Any) -> NDArray[Any]:
    if path.stat().st_size == 0:
        return np.zeros(0, kind)
    return np.memmap(path, kind, "r")


def _write(data: Dataset, split: str, column: str, cutter: Cutter, folder: Path) -> None:
    """Write beside, then put in place: what a killed run left is not taken for whole."""
    making = folder.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    files = {name: (making / name).open("wb") for name in FILES}
    try:
        for row, pieces in _pieces(data, split, column, cutter):
            for piece in pieces:
                files["ids"].write(piece.ids.tobytes())
                files["begins"].write(piece.begins.tobytes())
                files["lengths"].write(np.int32(len(piece.ids)).tobytes())
                files["rows"].write(np.int64(row).tobytes())
    finally:
        for file in files.values():
            file.close()
    (making / "done.json").write_text(json.dumps({"column": column}), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(making, folder)


def _pieces(data: Dataset, split: str, column: str, cutter: Cutter) -> Iterator[tuple[int, list[Piece]]]:
    first = 0
    for batch in data.batches(split, [column]):
        values = batch.column(0).to_pylist()
        for start in range(0, len(values), TEXTS):
            rows = [row for row in range(start, min(start + TEXTS, len(values))) if values[row]]
            for row, pieces in zip(rows, cutter.pieces([values[row] for row in rows]), strict=True):
                yield first + row, pieces
        first += len(values)
