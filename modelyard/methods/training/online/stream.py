"""The rows of a data set as a stream, a block at a time: never more than a block is in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.methods.data.dataset import ROW_ID, Dataset

BLOCK = 512


@dataclass(frozen=True)
class Row:
    """Attributes:
    record: what to learn from, by the fields of the task.
    label: None: the row has none.
    """

    name: str
    record: dict[str, Any]
    label: str | None
    weight: float


def rows(data: Dataset, split: str, fields: Mapping[str, str], skip: int = 0) -> Iterator[list[Row]]:
    """The rows of a split in their order, in blocks, without the first `skip`.

    Args:
        fields: of a record, to the columns that hold them.
    """
    label, weight = data.need("label"), data.role("weight")
    wanted = list(dict.fromkeys([*fields.values(), label, ROW_ID, *([weight] if weight else [])]))
    for batch in data.batches(split, wanted, BLOCK):
        if skip >= batch.num_rows:
            skip -= batch.num_rows
            continue
        found, skip = batch.slice(skip).to_pylist(), 0
        yield [
            Row(
                str(one[ROW_ID]),
                {field: _value(one[name]) for field, name in fields.items()},
                _name(one[label]),
                1.0 if weight is None or one[weight] is None else float(one[weight]),
            )
            for one in found
        ]


def _value(value: Any) -> Any:
    """A number that is none is a value that is missing."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _name(label: Any) -> str | None:
    """A class; NaN is none."""
    found = _value(label)
    return None if found is None else str(found)
