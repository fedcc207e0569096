"""Small data sets made by hand, in any number of shards and batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split

TYPES = {"string": pa.string(), "int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_(), "binary": pa.binary(),
         "timestamp[us]": pa.timestamp("us")}  # fmt: skip


def make(
    folder: Path,
    columns: Mapping[str, tuple[str, str, Sequence[Any]]],
    ids: Sequence[str] | None = None,
    split: str = "all",
) -> Dataset:
    """A data set of one split. `columns` maps a name to (role, type, values)."""
    folder.mkdir(parents=True, exist_ok=True)
    num = len(next(iter(columns.values()))[2])
    names = [
        Column("row_id", "other", "string"),
        *(Column(name, role, kind) for name, (role, kind, _) in columns.items()),
    ]
    schema = pa.schema([("row_id", pa.string()), *((name, TYPES[kind]) for name, (_, kind, _) in columns.items())])
    row_ids = list(ids) if ids is not None else [f"r{place}" for place in range(num)]
    arrays = [pa.array(row_ids, pa.string())]
    arrays += [pa.array(list(values), TYPES[kind]) for _, kind, values in columns.values()]
    write_schema(folder, names)
    write_split(folder, split, [pa.table(arrays, schema)], schema)
    return Dataset.open(folder)
