"""Numbers of a table that are none (NaN, infinite), found before anything is learned from it.

Of features they are read as missing, as they are in a record, and it is said which columns and how many rows. A weight
that is none, or below 0, is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import Problem
from modelyard.methods.data.dataset import ROW_ID, Dataset

SHOWN = 5


@dataclass
class Odd:
    """What a column holds that is no finite number: how often, and the first row."""

    nan: int = 0
    infinite: int = 0
    first: str = ""

    def add(self, values: NDArray[np.floating], names: pa.ChunkedArray | pa.Array) -> None:
        """One more block; nothing there is 0 in `values`."""
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            nan = int(np.isnan(values[bad]).sum())
            self.nan, self.infinite = self.nan + nan, self.infinite + len(bad) - nan
            self.first = self.first or str(names[int(bad[0])])


def survey(data: Dataset, split: str, names: Sequence[str]) -> dict[str, Odd]:
    """The columns of a split that hold numbers which are none, a block of rows at a time."""
    found: dict[str, Odd] = {}
    for batch in data.batches(split, list(dict.fromkeys([*names, ROW_ID]))):
        for name in names:
            column = batch.column(name)
            if pa.types.is_floating(column.type):
                values = pc.fill_null(column.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False)
                found.setdefault(name, Odd()).add(values, batch.column(ROW_ID))
    return {name: odd for name, odd in found.items() if odd.nan or odd.infinite}


def notes(data: Dataset, names: Sequence[str]) -> list[str]:
    """Lines for the user on features of train and validation."""
    return [
        t(
            "`{name}` of {split} holds {nan:,} NaN and {infinite:,} infinite values, first in row {row}: read as "
            "missing",
            name=name,
            split=split,
            nan=odd.nan,
            infinite=odd.infinite,
            row=odd.first,
        )
        for split in ("train", "validation")
        if split in data.splits()
        for name, odd in survey(data, split, names).items()
    ]


def weight_problems(data: Dataset, split: str) -> list[Problem]:
    """Weights of rows that are no numbers, or below 0."""
    weight = data.role("weight")
    if weight is None:
        return []
    count = 0
    shown: list[str] = []
    for batch in data.batches(split, [weight, ROW_ID]):
        values = pc.fill_null(batch.column(weight).cast(pa.float64()), 1.0).to_numpy(zero_copy_only=False)
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
        count += len(bad)
        shown += [str(batch.column(ROW_ID)[int(row)]) for row in bad[: SHOWN - len(shown)]]
    if not count:
        return []
    found = t("the weights of {count:,} rows are no numbers of 0 or more: {rows}", count=count, rows=", ".join(shown))
    return [Problem(f"data/{split}", found, t("finite numbers, 0 or more"), t("check the column named as weight"))]
