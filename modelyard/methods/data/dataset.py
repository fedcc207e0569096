"""The data set folder: zstd Parquet shards a split, and `dataset.json` for the columns.

    dataset.json                 columns with roles; the same whatever the rows are, so that a view of one split
                                 does not change when another split does
    all/00000.parquet            not split; or
    train/00000.parquet, validation/…, test/…

Every row has `row_id`, a string that survives every transform. Rows are written in the order given, in shards of
a fixed number of rows, so that equal rows give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modelyard.base.canonical import canonical_json
from modelyard.errors import InputError

FILE = "dataset.json"
ROW_ID = "row_id"
ROLES = ("text", "image", "feature", "label", "weight", "group", "subject", "time", "split", "other")
SHARD_ROWS = 100_000
VERSION = 1


@dataclass(frozen=True)
class Column:
    """A column. `role` is one of ROLES; `type` is Arrow's name of the type (`string`, `int64`, `double`)."""

    name: str
    role: str
    type: str


@dataclass(frozen=True)
class Dataset:
    """An opened data set folder. Rows are read when asked for, never all at once unless `table` is called."""

    path: Path
    columns: tuple[Column, ...]

    @classmethod
    def open(cls, path: Path) -> Dataset:
        """Raises InputError if the folder is not a data set or is of another version."""
        try:
            value = json.loads((path / FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"no {FILE} in {path}", where=str(path), expected="a data set folder") from None
        if value.get("version") != VERSION:
            raise InputError(
                f"{FILE} is of version {value.get('version')}", where=str(path), expected=f"version {VERSION}"
            )
        return cls(path, tuple(Column(**column) for column in value["columns"]))

    def splits(self) -> tuple[str, ...]:
        names = ("all", "train", "validation", "test")
        return tuple(name for name in names if (self.path / name).is_dir())

    def role(self, role: str) -> str | None:
        """Name of the first column with that role, or None."""
        return next((column.name for column in self.columns if column.role == role), None)

    def need(self, role: str) -> str:
        """Name of the column with that role. Raises InputError saying which columns there are."""
        name = self.role(role)
        if name is None:
            there = ", ".join(f"{column.name} ({column.role})" for column in self.columns)
            raise InputError(
                f"no column has the role `{role}`",
                where=str(self.path),
                expected=f"one of: {there}",
                remedy=f"name it in data.read: `{role}: <column>`",
            )
        return name

    def shards(self, split: str) -> list[Path]:
        return sorted((self.path / split).glob("*.parquet"))

    def num_rows(self, split: str) -> int:
        return sum(pq.ParquetFile(shard).metadata.num_rows for shard in self.shards(split))

    def batches(self, split: str, columns: Sequence[str] | None = None, rows: int = 8192) -> Iterator[pa.RecordBatch]:
        """Rows of a split in order, in batches of at most `rows`; constant memory."""
        for shard in self.shards(split):
            yield from pq.ParquetFile(shard).iter_batches(rows, columns=list(columns) if columns else None)

    def table(self, split: str, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of a split in memory."""
        batches = list(self.batches(split, columns))
        if batches:
            return pa.Table.from_batches(batches)
        wanted = [column for column in self.columns if columns is None or column.name in columns]
        return pa.table({column.name: pa.array([], pa.type_for_alias(column.type)) for column in wanted})

    def column(self, split: str, name: str) -> list[Any]:
        """One column of a split as Python values."""
        values: list[Any] = self.table(split, [name]).column(name).to_pylist()
        return values


def write_schema(path: Path, columns: Sequence[Column]) -> None:
    """Write `dataset.json`; `row_id` is a column like any other, with the role `other`."""
    value = {"version": VERSION, "columns": [vars(column) for column in columns]}
    (path / FILE).write_bytes(canonical_json(value) + b"\n")


def write_split(path: Path, split: str, tables: Iterable[pa.Table | pa.RecordBatch], schema: pa.Schema) -> int:
    """Write rows of one split, re-cut into shards of SHARD_ROWS; returns the number of rows.

    A split without rows still gets one empty shard, so that the folder says it was written.
    """
    folder = path / split
    folder.mkdir(parents=True, exist_ok=True)
    total = shard = filled = 0
    writer = _writer(folder, shard, schema)
    for table in tables:
        rows = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
        rows = rows.select(schema.names).cast(schema)
        while rows.num_rows:
            if filled == SHARD_ROWS:
                writer.close()
                shard, filled = shard + 1, 0
                writer = _writer(folder, shard, schema)
            part = rows.slice(0, SHARD_ROWS - filled)
            writer.write_table(part)
            filled, total, rows = filled + part.num_rows, total + part.num_rows, rows.slice(part.num_rows)
    writer.close()
    return total


def _writer(folder: Path, shard: int, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(folder / f"{shard:05d}.parquet", schema, compression="zstd", write_statistics=True)
