"""Out-of-fold probabilities somebody else made: a Parquet file with `row_id` and one column for each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.dataset import ROW_ID

TOLERANCE = 1e-3
SHOWN = 5


def read(path: Path, row_ids: Sequence[str], labels: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities [rows, classes] in the order of `row_ids` and `labels`, and which rows have them [rows].

    Rows are scaled to sum to 1. A row that is not in the file, or whose numbers are no probabilities, has none.

    Raises:
        InputError: the file cannot be read, or lacks the row id or a class.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(t("cannot read the file: {error}", error=error), where=path.name, expected="Parquet") from None
    problems = [
        Problem(path.name, t("no column `{name}`", name=name), t("`row_id` and one column for each class"))
        for name in (ROW_ID, *labels)
        if table.column_names.count(name) != 1
    ]
    if problems:
        raise InputError.of(problems[:SHOWN])
    try:
        values = np.stack([table.column(name).cast(pa.float64()).to_numpy() for name in labels], 1)
    except pa.ArrowException as error:
        raise InputError(t("cannot read the file: {error}", error=error), where=path.name) from None
    sums = values.sum(1)
    sound = np.isfinite(values).all(1) & (values >= 0).all(1) & (np.abs(sums - 1) <= TOLERANCE)
    place = {row_id: row for row, row_id in enumerate(table.column(ROW_ID).to_pylist())}
    found = np.zeros((len(row_ids), len(labels)))
    there = np.zeros(len(row_ids), bool)
    for row, row_id in enumerate(row_ids):
        source = place.get(row_id)
        if source is not None and sound[source]:
            found[row], there[row] = values[source] / sums[source], True
    return found, there
