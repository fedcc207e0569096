"""A full-text index of a data set: a folder made from it alone, which may be thrown away and made again.

Built in one pass in bounded memory. Text columns are indexed by words (see `tokens.py`), labels and other names by
their whole value. The texts themselves stay in the data set: the index knows only where a row stands in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.base.canonical import canonical_json
from modelyard.errors import InputError
from modelyard.methods.data.dataset import ROW_ID, Column, Dataset
from modelyard.methods.data.sampling import Place
from modelyard.methods.data.searching import tokens
from modelyard.methods.data.statistics.columns import kind_of

VERSION = 1
FILE = "modelyard.json"
SPLITS = ("all", "train", "validation", "test", "calibration")
HEAP_BYTES = 96 << 20
"""What the writer holds before it writes a segment."""
LONGEST_NAME = 1_000
_SHIFT = 48


def indexed(columns: Sequence[Column]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns found by their words, and columns found by their whole value."""
    words = tuple(column.name for column in columns if kind_of(column) == "text" and column.name != ROW_ID)
    names = tuple(column.name for column in columns if kind_of(column) in ("category", "number"))
    return words, names


def build(dataset: Dataset, folder: Path, progress: Callable[[int, int], None] | None = None) -> int:
    """Index every split of a data set into an empty folder; returns the number of rows.

    The folder is whole only when this returns: build it aside, then move it.
    """
    import tantivy

    words, names = indexed(dataset.columns)
    index = tantivy.Index(_schema(words, names), path=str(folder), reuse=False)
    tokens.register(index)
    writer = index.writer(HEAP_BYTES, 1)
    done, total = 0, sum(dataset.num_rows(split) for split in dataset.splits())
    for split in dataset.splits():
        for start, batch in _batches(dataset, split, (*words, *names)):
            for document in _documents(batch, split, start, words, names):
                writer.add_document(document)
            done += batch.num_rows
            if progress:
                progress(done, total)
    writer.commit()
    writer.wait_merging_threads()
    (folder / FILE).write_bytes(canonical_json({"version": VERSION, "words": list(words), "names": list(names)}))
    return total


def _schema(words: Sequence[str], names: Sequence[str]) -> Any:
    from tantivy import SchemaBuilder

    schema = SchemaBuilder()
    schema.add_unsigned_field("place", stored=True)
    schema.add_text_field("split", tokenizer_name=tokens.NAMES, index_option="basic")
    for place in range(len(words)):
        schema.add_text_field(f"w{place}", tokenizer_name=tokens.WORDS, index_option="position")
        schema.add_text_field(f"p{place}", tokenizer_name=tokens.PAIRS, index_option="freq")
    for place in range(len(names)):
        schema.add_text_field(f"n{place}", tokenizer_name=tokens.NAMES, index_option="basic")
    return schema.build()


def _batches(dataset: Dataset, split: str, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    start = 0
    for batch in dataset.batches(split, list(columns), rows=2_048) if columns else ():
        yield start, batch
        start += batch.num_rows


def _documents(batch: pa.RecordBatch, split: str, start: int, words: Sequence[str], names: Sequence[str]) -> list[Any]:
    """A document for each row: its place, its texts as words and as pairs, its names whole."""
    from tantivy import Document

    documents = [Document() for _ in range(batch.num_rows)]
    for position, document in enumerate(documents, start):
        document.add_unsigned("place", SPLITS.index(split) << _SHIFT | position)
        document.add_text("split", split)
    for place, name in enumerate(words):
        texts = tokens.normals([text or "" for text in batch.column(name).to_pylist()])
        field, beside = f"w{place}", f"p{place}"
        for document, text, pairs in zip(documents, texts, tokens.pairs_of(texts), strict=True):
            document.add_text(field, text)
            if pairs:
                document.add_text(beside, pairs)
    for place, name in enumerate(names):
        for document, value in zip(documents, batch.column(name).to_pylist(), strict=True):
            if value is not None:
                document.add_text(f"n{place}", name_of(value))
    return documents


@lru_cache(10_000, typed=True)
def name_of(value: object) -> str:
    """A value that is found whole, as a term."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return tokens.normal(text)[:LONGEST_NAME]


@dataclass(frozen=True)
class Index:
    """An index that was built.

    Attributes:
        path: its folder.
        words, names: columns found by words, and by their whole value.
    """

    path: Path
    words: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> Index:
        """Raises InputError if the folder holds no whole index of this version."""
        try:
            value = json.loads((path / FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            value = {}
        if value.get("version") != VERSION:
            raise InputError("no index of this version", where=str(path), expected=f"version {VERSION}")
        return cls(path, tuple(value["words"]), tuple(value["names"]))

    @cached_property
    def _opened(self) -> Any:
        import tantivy

        index = tantivy.Index.open(str(self.path))
        tokens.register(index)
        return index

    def check(self) -> None:
        """Raises InputError if the index cannot be searched: damaged, or made by another library's version."""
        try:
            self._opened.searcher()
        except (ValueError, OSError) as error:
            raise InputError(str(error), where=str(self.path)) from error

    @property
    def schema(self) -> Any:
        return self._opened.schema

    def search(self, query: Any, limit: int) -> tuple[int, list[tuple[float, Place]]]:
        """How many rows fit, and the best `limit`: score (BM25) and place, the best first.

        Robertson and Zaragoza, 2009, with k1 = 1.2 and b = 0.75. Rows of equal score stand in the order of the data.
        """
        searcher = self._opened.searcher()
        found = searcher.search(query, limit=limit, count=True)
        hits = [(float(score), place_of(searcher.doc(address).get_first("place"))) for score, address in found.hits]
        return int(found.count), sorted(hits, key=lambda hit: (-hit[0], SPLITS.index(hit[1][0]), hit[1][1]))


def place_of(value: int) -> Place:
    return SPLITS[value >> _SHIFT], value & ((1 << _SHIFT) - 1)
