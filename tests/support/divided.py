"""A data set with train and validation, made from columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.methods.data.dataset import Column, write_schema, write_split


def divided(path: Path, columns: dict[str, tuple[str, Any]], validation: int = 5, order: Any = None) -> Path:
    """Rows r0, r1 … of `columns` (name to role and Arrow array); the last `validation` ones are validation."""
    path.mkdir(parents=True, exist_ok=True)
    table = pa.table({name: values for name, (_, values) in columns.items()})
    table = table.append_column("row_id", pa.array([f"r{place}" for place in range(table.num_rows)]))
    if order is not None:
        table = table.take(pa.array(order))
    kinds = {field.name: str(field.type) for field in table.schema}
    roles = {name: role for name, (role, _) in columns.items()}
    write_schema(path, [Column(name, roles.get(name, "other"), kinds[name]) for name in table.schema.names])
    write_split(path, "train", [table.slice(0, table.num_rows - validation)], table.schema)
    write_split(path, "validation", [table.slice(table.num_rows - validation)], table.schema)
    return path
