"""Writes a division: a folder for each split, with its profile, and the rows that were taken out."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa

from modelyard.base.canonical import canonical_json
from modelyard.methods.data.account import Account
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Dataset, SplitWriter, write_schema
from modelyard.methods.data.profile import describe
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.splitting.dividing import Division
from modelyard.methods.data.splitting.sides import NAMES, REMOVED, Sides

PROFILE = "profile.json"
OVERLAP = "overlap"


def write(data: Dataset, division: Division, target: Path, removed: Path) -> Account:
    """Write the splits, each with its profile, and the rows that were removed; every row counted.

    A given split's column is dropped: the folders say it now.
    """
    columns = [column for column in data.columns if column.role != "split"]
    schema = schema_of(columns)
    write_schema(target, columns)
    start = 0
    with ExitStack() as stack:
        log = stack.enter_context(ChangeLog(removed))
        writers = [stack.enter_context(SplitWriter(target, name, schema)) for name in division.names]
        for batch in data.batches("all"):
            rows = slice(start, start + batch.num_rows)
            sides = division.sides[rows]
            for side, writer in enumerate(writers):
                writer.write(batch.filter(pa.array(sides == side)))
            _log_removed(log, batch, sides, division.leaking[rows], division.came[rows])
            log.account.num_in += batch.num_rows
            log.kept(int((sides != REMOVED).sum()))
            start += batch.num_rows
    divided = Dataset.open(target)
    for name in division.names:
        (target / name / PROFILE).write_bytes(canonical_json(describe(divided, name)) + b"\n")
    return log.account


def _log_removed(log: ChangeLog, batch: pa.RecordBatch, sides: Sides, leaking: Sides, came: Sides) -> None:
    gone = np.flatnonzero(sides == REMOVED)
    for row, side, other in zip(batch.take(pa.array(gone)).to_pylist(), came[gone], leaking[gone], strict=True):
        detail = f"{NAMES[side]} row that also stands in {NAMES[other]}"
        log.removed(str(row[ROW_ID]), OVERLAP, detail, row)
