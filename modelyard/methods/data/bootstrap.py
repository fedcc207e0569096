"""Training rows drawn anew, for models that are to differ (bagging, Breiman 1996).

How often a row is drawn is a Poisson number from a hash of (seed, number of the sample, row id): for many rows that is
the bootstrap (Oza & Russell 2001; Chamandy et al. 2012), without an order of rows, and adding a row changes no other.
Rows of one group are drawn together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.account import Account
from modelyard.methods.data.balancing import copy_split, mark_of, repeated
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Dataset, SplitWriter, write_schema
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.row_random import ranks

Method = Literal["bootstrap", "subsample"]
LEFT, AGAIN = "not drawn", "drawn again"
MOST = 64
"""No row is drawn more often: with a mean of 1 that has a chance below 1e-89."""


def times(units: Sequence[str], method: Method, share: float, number: int, seed: int) -> NDArray[np.int64]:
    """How often each row is drawn [rows].

    Args:
        units: what is drawn together: the group of a row, or its id.
        share: mean of the Poisson numbers, or chance of a row of `subsample`.
        number: of the sample.
    """
    uniform = (ranks(seed, f"bootstrap {number}", units) >> np.uint64(11)) * 2.0**-53
    if method == "subsample":
        return (uniform < share).astype(np.int64)
    terms = [math.exp(-share) * share**count / math.factorial(count) for count in range(MOST)]
    return np.searchsorted(np.cumsum(terms), uniform, side="right").astype(np.int64)


def draw(
    data: Dataset,
    method: Method,
    share: float,
    number: int,
    seed: int,
    target: Path,
    removed: Path,
    progress: Callable[[int, int], None],
) -> Account:
    """Write a sample of train, and validation as it is. Raises InputError if no row is drawn."""
    columns = data.role("group") or ROW_ID
    ids = data.column("train", ROW_ID)
    units = [
        str(own) if unit is None else str(unit) for unit, own in zip(data.column("train", columns), ids, strict=True)
    ]
    drawn = times(units, method, share, number, seed)
    if not drawn.any():
        raise InputError(
            t("none of {count} training rows is drawn", count=len(drawn)),
            where="data/train",
            expected=t("at least one row"),
            remedy=t("raise `share`"),
        )
    mark = mark_of(data, "~")
    write_schema(target, data.columns)
    schema, start = schema_of(data.columns), 0
    with ChangeLog(removed) as log, SplitWriter(target, "train", schema) as writer:
        for batch in data.batches("train"):
            part = drawn[start : start + batch.num_rows]
            _tell(log, batch, part, mark)
            writer.write(repeated(batch, part, mark))
            start += batch.num_rows
            progress(start, len(drawn))
        log.kept(writer.num_rows)
    copy_split(data, "validation", target, schema)
    return log.account


def _tell(log: ChangeLog, batch: pa.RecordBatch, drawn: NDArray[np.int64], mark: str) -> None:
    log.account.num_in += batch.num_rows
    for place in np.flatnonzero(drawn != 1).tolist():
        row = batch.slice(place, 1).to_pylist()[0]
        if not drawn[place]:
            log.removed(row[ROW_ID], LEFT, t("the sample does not hold it"), row)
        for copy in range(1, int(drawn[place])):
            log.added(f"{row[ROW_ID]}{mark}{copy}", AGAIN, t("a copy of {row}", row=row[ROW_ID]))
