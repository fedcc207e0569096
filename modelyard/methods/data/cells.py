"""Values as databases and APIs give them, made into cells that JSON lines hold without loss, and into typed columns.

A cell is null, a bool, a number, a string, or a tagged value: `{"d": "12.30"}` a decimal, `{"t": "2024-05-06T…"}` a
time in UTC, `{"b": "…"}` bytes in base64. Objects are taken apart: the name of a part is joined with dots
(`user.name`); lists, and objects that a setting names as a whole, become JSON text.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pyarrow as pa

Cell = Any
INT64 = range(-(1 << 63), 1 << 63)
EXACT_IN_DOUBLE = range(-(1 << 53), (1 << 53) + 1)
DEEPEST = 8


def flat(row: Mapping[Any, Any], whole: Collection[str] = ()) -> dict[str, Cell]:
    """A row's cells by column name.

    Args:
        row: values by name, nested or not.
        whole: names that are columns though they hold objects.
    """
    cells: dict[str, Cell] = {}
    _flatten(row, "", cells, frozenset(whole), 0)
    return cells


def _flatten(value: Mapping[Any, Any], prefix: str, cells: dict[str, Cell], whole: frozenset[str], depth: int) -> None:
    for key, item in value.items():
        name = f"{prefix}{key}".encode("utf-8", "replace").decode("utf-8")
        apart = isinstance(item, Mapping) and item and name not in whole and depth < DEEPEST
        if apart and not any(f"{name}.{part}" in cells or f"{name}.{part}" in value for part in item):
            _flatten(item, f"{name}.", cells, whole, depth + 1)
        else:
            cells[name] = cell(item)


def cell(value: Any) -> Cell:
    """One value as a cell. What no cell can hold as itself (UUID, time of day, …) becomes its text."""
    if value is None or isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, decimal.Decimal):
        return {"d": str(value)} if value.is_finite() else float(value)
    if isinstance(value, datetime.datetime):
        return {"t": _utc(value).isoformat()}
    if isinstance(value, datetime.date):
        return {"t": datetime.datetime(value.year, value.month, value.day).isoformat()}  # noqa: DTZ001 (naive is UTC)
    if isinstance(value, bytes | bytearray | memoryview):
        return {"b": base64.b64encode(bytes(value)).decode("ascii")}
    return as_json(value) if isinstance(value, Mapping | list | tuple | set | frozenset) else str(value)


def _utc(value: datetime.datetime) -> datetime.datetime:
    return value.astimezone(datetime.UTC).replace(tzinfo=None) if value.tzinfo else value


def as_json(value: Any) -> str:
    """A nested value as JSON text."""
    return json.dumps(_jsonable(value), ensure_ascii=False)


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_jsonable(item) for item in value), key=repr)
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    plain = cell(value)
    if isinstance(plain, float) and not math.isfinite(plain):
        return str(plain)
    return as_text(plain) if isinstance(plain, dict) else plain


def kind_of(value: Cell) -> str:
    """What a cell is, for the type of its column; `` for null."""
    if value is None:
        return ""
    if isinstance(value, dict):
        (tag, text), *_ = value.items()
        if tag != "d":
            return {"t": "time", "b": "bytes"}[tag]
        return "decimal" if decimal.Decimal(repr(float(text))) == decimal.Decimal(text) else "exact"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if value in EXACT_IN_DOUBLE else "wide" if value in INT64 else "exact"
    return "float" if isinstance(value, float) else "text"


TYPES = (
    (frozenset({"bool"}), pa.bool_()),
    (frozenset({"int", "wide"}), pa.int64()),
    (frozenset({"int", "float", "decimal"}), pa.float64()),
    (frozenset({"time"}), pa.timestamp("us")),
    (frozenset({"bytes"}), pa.binary()),
)


def type_of(kinds: Iterable[str]) -> pa.DataType:
    """The narrowest type that holds all of a column's cells as they are; text if there is none."""
    seen = frozenset(kinds)
    return next((kind for fits, kind in TYPES if seen and seen <= fits), pa.string())


def column(cells: Iterable[Cell], kind: pa.DataType) -> pa.Array:
    """Cells as an array of the type that `type_of` gave their column."""
    if pa.types.is_string(kind):
        # Strings that no UTF-8 can hold (lone surrogates) are written as they are: the reader marks their rows as bad.
        texts = (None if value is None else as_text(value) for value in cells)
        data = [None if text is None else text.encode("utf-8", "surrogatepass") for text in texts]
        return pa.array(data, pa.binary()).view(pa.string())
    return pa.array([_typed(value) for value in cells], kind)


def _typed(value: Cell) -> Any:
    if not isinstance(value, dict):
        return value
    (tag, text), *_ = value.items()
    if tag == "d":
        return float(text)
    return base64.b64decode(text) if tag == "b" else datetime.datetime.fromisoformat(text)


def as_text(value: Cell) -> str:
    """A cell as text: numbers in JSON's form, decimals and times as they were written, bytes in base64."""
    if isinstance(value, str):
        return value
    return str(next(iter(value.values()))) if isinstance(value, dict) else json.dumps(value)
