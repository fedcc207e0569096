"""The data set folder: zstd Parquet shards a split, and `dataset.json` for the columns.

    dataset.json                 columns with roles; the same whatever the rows are, so that a view of one split
                                 does not change when another split does
    all/00000.parquet            not split; or
    train/00000.parquet, validation/…, test/…, and calibration/… if rows were kept for it

Every row has `row_id`, a string that survives every transform. Rows are written in the order given, in shards of
a fixed number of rows, so that equal rows give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from modelyard.base.canonical import canonical_json
from modelyard.errors import InputError
from modelyard.methods.text import travelling
from modelyard.methods.text.repair import Repair

FILE = "dataset.json"
ROW_ID = "row_id"
ROLES = ("text", "image", "feature", "label", "soft_label", "weight", "group", "subject", "time", "split", "other")
GROUP_ROWS = 8_192
GROUP_BYTES = 1 << 26
SHARD_ROWS = 12 * GROUP_ROWS
VERSION = 1


@dataclass(frozen=True)
class Column:
    """A column. `role` is one of ROLES; `type` is Arrow's name of the type (`string`, `int64`, `double`).

    `repairs` are those that every text of the column has gone through, and that a model trained on it makes on the
    texts it is asked about. Steps that pass a column on pass them on with it.
    """

    name: str
    role: str
    type: str
    repairs: tuple[Repair, ...] = ()


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
        return cls(path, tuple(_column(column, str(path)) for column in value["columns"]))

    def splits(self) -> tuple[str, ...]:
        names = ("all", "train", "validation", "calibration", "test")
        return tuple(name for name in names if (self.path / name).is_dir())

    def role(self, role: str) -> str | None:
        """Name of the first column with that role, or None."""
        return next((column.name for column in self.columns if column.role == role), None)

    def repairs(self, name: str) -> tuple[Repair, ...]:
        """Those that every text of the column has gone through."""
        return next((column.repairs for column in self.columns if column.name == name), ())

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
    value = {"version": VERSION, "columns": [column_json(column) for column in columns]}
    (path / FILE).write_bytes(canonical_json(value) + b"\n")


def column_json(column: Column) -> dict[str, Any]:
    """As `dataset.json` has it; without `repairs` where there are none, as before they were known."""
    value: dict[str, Any] = {"name": column.name, "role": column.role, "type": column.type}
    return {**value, "repairs": travelling.specs(column.repairs)} if column.repairs else value


def _column(value: dict[str, Any], where: str) -> Column:
    return Column(**{**value, "repairs": travelling.parse(value.get("repairs", ()), where)})


def write_split(path: Path, split: str, tables: Iterable[pa.Table | pa.RecordBatch], schema: pa.Schema) -> int:
    """Write rows of one split, re-cut into shards of SHARD_ROWS; returns the number of rows.

    A split without rows still gets one empty shard, so that the folder says it was written.
    """
    with SplitWriter(path, split, schema) as writer:
        for table in tables:
            writer.write(table)
    return writer.num_rows


class SplitWriter:
    """Writes one split as rows arrive: when several are filled in one pass over the input.

    Rows are gathered into row groups of GROUP_ROWS before they are written, so that the bytes depend on the rows
    and not on how they were cut into batches; at most one group is held in memory.

    Attributes:
        num_rows: rows given to `write` so far.
    """

    def __init__(self, path: Path, split: str, schema: pa.Schema) -> None:
        self._folder = path / split
        self._folder.mkdir(parents=True, exist_ok=True)
        self._schema = schema
        self._shard = 0
        self._filled = 0
        self._waiting: list[pa.Table] = []
        self._num_waiting = 0
        self._bytes_waiting = 0
        self._writer = self._open()
        self.num_rows = 0

    def write(self, table: pa.Table | pa.RecordBatch) -> None:
        """Append rows; columns are taken by name and cast to the schema."""
        rows = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
        rows = rows.select(self._schema.names).cast(self._schema)
        self.num_rows += rows.num_rows
        while rows.num_rows:
            part = rows.slice(0, GROUP_ROWS - self._num_waiting)
            part, num_bytes = _within(part, GROUP_BYTES - self._bytes_waiting)
            self._waiting.append(part)
            self._num_waiting += part.num_rows
            self._bytes_waiting += num_bytes
            rows = rows.slice(part.num_rows)
            if self._num_waiting == GROUP_ROWS or self._bytes_waiting >= GROUP_BYTES:
                self._flush()

    def close(self) -> None:
        """Write what is waiting and finish the last shard."""
        if self._num_waiting:
            self._flush()
        self._writer.close()

    def __enter__(self) -> SplitWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def abandon(self) -> None:
        """Close the file after a failure: what was written is no data set, and no second error hides the first."""
        with suppress(OSError, pa.ArrowException):
            self._writer.close()

    def _flush(self) -> None:
        if self._filled >= SHARD_ROWS:
            self._writer.close()
            self._shard, self._filled = self._shard + 1, 0
            self._writer = self._open()
        group = pa.concat_tables(self._waiting).combine_chunks()
        self._writer.write_table(group, row_group_size=GROUP_ROWS)
        self._filled += group.num_rows
        self._waiting, self._num_waiting, self._bytes_waiting = [], 0, 0

    def _open(self) -> pq.ParquetWriter:
        file = self._folder / f"{self._shard:05d}.parquet"
        return pq.ParquetWriter(file, self._schema, compression="zstd", write_statistics=True)


def _within(rows: pa.Table, num_bytes: int) -> tuple[pa.Table, int]:
    """The first rows whose texts and binary values reach `num_bytes` (all if they do not), and how many they have."""
    sizes = np.zeros(rows.num_rows, np.int64)
    for column in rows.columns:
        if pa.types.is_binary(column.type) or pa.types.is_string(column.type):
            sizes += pc.fill_null(pc.binary_length(column), 0).to_numpy()
    totals = sizes.cumsum()
    if not rows.num_rows or totals[-1] < num_bytes:
        return rows, int(totals[-1]) if rows.num_rows else 0
    place = int(np.searchsorted(totals, num_bytes)) + 1
    return rows.slice(0, place), int(totals[place - 1])
