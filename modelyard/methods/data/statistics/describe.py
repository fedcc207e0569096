"""Everything `data stats` says of a data set, in one pass and constant memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.data.statistics.columns import ColumnFigures
from modelyard.methods.data.statistics.hashing import draws
from modelyard.methods.data.statistics.sketches import SAMPLE

VERSION = 1
PURPOSE = "statistics"
CELLS = 2_000_000
"""Numbers held for quantiles over all columns together: wide data sets get smaller samples."""
FEWEST = 2_048
Progress = Callable[[int, int], None]


def describe(
    dataset: Dataset, splits: Sequence[str], columns: Sequence[str] | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Figures of the rows of `splits` together.

    Args:
        columns: names; all but `row_id` if None.
        progress: called with rows done and in all.

    Returns:
        `rows`, `splits` (name to rows), `columns` (see `columns.py`), and `labels` if a label column was read.
    """
    chosen = [c for c in dataset.columns if c.name != ROW_ID and (columns is None or c.name in columns)]
    sample = max(FEWEST, min(SAMPLE, CELLS // max(1, len(chosen))))
    figures = [ColumnFigures(column, sample) for column in chosen]
    rows = {split: dataset.num_rows(split) for split in splits}
    done, total = 0, sum(rows.values())
    for split in splits:
        for batch in dataset.batches(split, [ROW_ID, *(c.name for c in chosen)]):
            drawn = draws(batch.column(ROW_ID), 0, PURPOSE)
            for one in figures:
                one.update(batch.column(one.column.name), drawn)
            done += batch.num_rows
            if progress:
                progress(done, total)
    found = [one.to_json() for one in figures]
    labels = next((balance(item) for item in found if item["role"] == "label"), None)
    return {
        "version": VERSION,
        "rows": total,
        "splits": rows,
        "columns": found,
        **({"labels": labels} if labels else {}),
    }


def balance(column: dict[str, Any]) -> dict[str, Any]:
    """How evenly the labels are spread.

    Returns:
        `column`, `num_labels`, `shares` (label to its share of the labelled rows, largest first), `evenness` (Shannon
        entropy over its greatest value, 1 if all labels are as frequent: Pielou 1966), `ratio` (rarest to commonest).
    """
    counts = {item["value"]: item["rows"] for item in column["top"]}
    total = max(1, column["rows"] - column["missing"])
    shares = {label: count / total for label, count in counts.items()}
    entropy = -sum(share * math.log(share) for share in shares.values() if share)
    return {
        "column": column["name"],
        "num_labels": column["distinct"],
        "shares": {label: round(share, 6) for label, share in shares.items()},
        "evenness": round(entropy / math.log(len(shares)), 4) if len(shares) > 1 else 0.0,
        "ratio": round(min(counts.values()) / max(counts.values()), 6) if counts else 0.0,
    }
