"""Augmented copies of training rows, written after the row they were made from."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from modelyard.base.messages import t
from modelyard.methods.data.account import Account
from modelyard.methods.data.balancing import copy_split, mark_of
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Dataset, SplitWriter, write_schema
from modelyard.methods.data.roles import schema_of

ADDED = "augmented"
ROWS = 256
Row = dict[str, Any]
Progress = Callable[[int, int], None]


class Change(Protocol):
    """Makes the changed copies of rows; None where nothing in a row could be changed."""

    def __call__(self, rows: Sequence[Row], numbers: Sequence[int]) -> list[Row | None]: ...


@dataclass(frozen=True)
class Amount:
    """How many copies a row of each class gets.

    Attributes:
        copies: of every row.
        classes: only rows of these, if any are named.
        equal: so many copies that each class has about as many rows as the largest, instead of `copies`.
    """

    copies: int = 1
    classes: Collection[str] = ()
    equal: bool = False

    def by_class(self, counts: Mapping[str | None, int]) -> dict[str | None, int]:
        """Copies of each row by its class; a part of a copy is rounded up, so that no class stays behind."""
        largest = max(counts.values(), default=0)
        return {
            label: 0
            if self.classes and label not in self.classes
            else math.ceil(largest / count) - 1
            if self.equal and label is not None
            else self.copies
            for label, count in counts.items()
        }


def write_copies(
    data: Dataset, amount: Amount, change: Change, target: Path, removed: Path, progress: Progress
) -> tuple[Account, int]:
    """Write train with its copies, and validation as it is.

    A copy's id is the row's with `+1`, `+2` … (`++1` if ids have `+` already).

    Returns:
        The account, and how many copies were not made because nothing could be changed.
    """
    label = data.role("label")
    counts: Counter[str | None] = Counter(data.column("train", label) if label else [None] * data.num_rows("train"))
    copies = amount.by_class(counts)
    mark = mark_of(data, "+")
    schema = schema_of(data.columns)
    write_schema(target, data.columns)
    unchanged, total = 0, counts.total()
    with ChangeLog(removed) as log, SplitWriter(target, "train", schema) as writer:
        for batch in data.batches("train", rows=ROWS):
            rows: list[Row] = batch.to_pylist()
            wanted = [(row, n + 1) for row in rows for n in range(copies[row[label] if label else None])]
            made = change([row for row, _ in wanted], [n for _, n in wanted]) if wanted else []
            by_row: dict[str, list[Row]] = {}
            for (row, number), copy in zip(wanted, made, strict=True):
                if copy is None:
                    unchanged += 1
                    continue
                name = f"{row[ROW_ID]}{mark}{number}"
                by_row.setdefault(row[ROW_ID], []).append({**copy, ROW_ID: name})
                log.added(name, ADDED, t("a changed copy of {row}", row=row[ROW_ID]))
            out = [item for row in rows for item in (row, *by_row.get(row[ROW_ID], ()))]
            writer.write(pa.Table.from_pylist(out, schema))
            log.account.num_in += len(rows)
            progress(log.account.num_in, total)
        log.kept(writer.num_rows)
    copy_split(data, "validation", target, schema)
    return log.account, unchanged


def soft(own: Row, other: Row, share: float, label: str, soft_label: str) -> str:
    """The class shares of a mixture, as a soft label: what each row stands for, by its share."""
    found: dict[str, float] = {}
    for row, part in ((own, share), (other, 1 - share)):
        known = json.loads(row[soft_label]) if row.get(soft_label) else {row[label]: 1.0}
        for name, value in known.items():
            found[name] = found.get(name, 0.0) + part * value
    return json.dumps({name: round(value, 6) for name, value in sorted(found.items())}, ensure_ascii=False)
