"""Rows brought back and changes undone, from the logs of the steps that made them (`changes.py`).

A removed row comes back whole, behind the others. A change is undone if the column still holds what it left; of several
changes of one column the last is undone first. What cannot be brought back is told row by row.

Memory grows with the changes and the row ids that were asked for, not with the data or the logs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.methods.data.account import Account
from modelyard.methods.data.changes import COLUMNS, ChangeLog, row_values
from modelyard.methods.data.dataset import ROW_ID, Column, Dataset, SplitWriter, write_schema
from modelyard.methods.data.roles import schema_of

RESTORED = "restored"
LEFT = (Column(ROW_ID, "other", "string"), Column("reason", "other", "string"), Column("why", "other", "string"))
BATCH = 1_024

HIDDEN = "what it was is not kept: it was hidden"
THERE = "it is in the data"
LATER = "the column was changed again later, or the row is not in the data"
ADDED = "it was added; there is nothing to bring back"
UNKNOWN = "no log names it"
MISFIT = "a value does not fit its column"


def is_log(data: Dataset) -> bool:
    """Whether a data set is a log of changes."""
    return {column.name for column in COLUMNS} <= {column.name for column in data.columns}


@dataclass(frozen=True)
class Wanted:
    """Which entries of the logs are undone: of these rows (None: of all), for these reasons (empty: for any)."""

    rows: frozenset[str] | None = None
    reasons: frozenset[str] = frozenset()

    def __call__(self, entry: dict[str, Any]) -> bool:
        of_row = self.rows is None or entry[ROW_ID] in self.rows
        return of_row and (not self.reasons or entry["reason"] in self.reasons)


@dataclass
class Outcome:
    """What restoring came to; `left` counts entries that could not be undone by why."""

    account: Account
    left: dict[str, int] = field(default_factory=dict)


def restore(
    data: Dataset,
    logs: Sequence[Dataset],
    wanted: Wanted,
    target: Path,
    log_to: Path,
    left_to: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Outcome:
    """Write the rows of the split `all` with everything wanted undone.

    Args:
        logs: the `removed` outputs of the steps, in the order of the steps.
        target: folder of the data; `log_to` of what was done; `left_to` of what could not be.
    """
    job = _Job(data, logs, wanted)
    write_schema(target, data.columns)
    write_schema(left_to, LEFT)
    with (
        SplitWriter(target, "all", schema_of(data.columns)) as good,
        SplitWriter(left_to, "all", schema_of(LEFT)) as left,
        ChangeLog(log_to) as log,
    ):
        job.pass_through(good, log, progress)
        job.bring_back(good, log)
        job.close(left)
    return Outcome(log.account, job.left)


@dataclass(frozen=True)
class _Change:
    reason: str
    column: str
    before: str | None
    after: str | None


class _Job:
    def __init__(self, data: Dataset, logs: Sequence[Dataset], wanted: Wanted) -> None:
        self._data = data
        self._logs = logs
        self._wanted = wanted
        self._types = schema_of(data.columns)
        self._changes: dict[str, list[_Change]] = {}
        self._last_removal: dict[str, tuple[int, int]] = {}  # of a row: log and place in it
        self._left: list[tuple[str, str, str]] = []
        self.left: dict[str, int] = {}
        self._named: set[str] = set()
        self._collect()

    def _entries(self, log: Dataset) -> Iterator[tuple[int, dict[str, Any]]]:
        place = 0
        for batch in log.batches("all", rows=BATCH):
            for entry in batch.to_pylist():
                if self._wanted(entry):
                    yield place, entry
                place += 1

    def _collect(self) -> None:
        for number, log in enumerate(self._logs):
            for place, entry in self._entries(log):
                row_id, reason = entry[ROW_ID], entry["reason"]
                self._named.add(row_id)
                if entry["action"] == "removed":
                    if row_id in self._last_removal:
                        self._give_up(row_id, reason, THERE)
                    self._last_removal[row_id] = (number, place)
                elif entry["action"] == "added":
                    self._give_up(row_id, reason, ADDED)
                elif entry["before"] is None:
                    self._give_up(row_id, reason, HIDDEN)
                else:
                    change = _Change(reason, entry["column"] or "", entry["before"], entry["after"])
                    self._changes.setdefault(row_id, []).append(change)
        for row_id in sorted((self._wanted.rows or frozenset()) - self._named):
            self._give_up(row_id, "", UNKNOWN)

    def pass_through(self, good: SplitWriter, log: ChangeLog, progress: Callable[[int, int], None]) -> None:
        """The rows that are there, with their changes undone."""
        total = self._data.num_rows("all")
        for batch in self._data.batches("all"):
            ids = [str(value) for value in batch.column(ROW_ID).to_pylist()]
            for row_id in ids:
                if self._last_removal.pop(row_id, None) is not None:
                    self._give_up(row_id, "", THERE)
            if any(row_id in self._changes for row_id in ids):
                rows = batch.to_pylist()
                changed = sum(self._undo(row_id, row, log) for row_id, row in zip(ids, rows, strict=True))
                batch = pa.Table.from_pylist(rows, self._types)
                log.kept(0, changed)
            good.write(batch)
            log.account.num_in += len(ids)
            log.kept(len(ids))
            progress(log.account.num_in, total)

    def bring_back(self, good: SplitWriter, log: ChangeLog) -> None:
        """The rows that were removed, behind the others, in the order of the logs."""
        for number, source in enumerate(self._logs):
            rows = []
            for place, entry in self._entries(source):
                if self._last_removal.get(entry[ROW_ID]) != (number, place) or entry["action"] != "removed":
                    continue
                row = self._row(entry)
                if row is not None:
                    log.added(entry[ROW_ID], RESTORED, f"it was removed as {entry['reason']}: {entry['detail']}")
                    self._undo(entry[ROW_ID], row, log)
                    rows.append(row)
                if len(rows) == BATCH:
                    rows = self._flush(rows, good, log)
            self._flush(rows, good, log)

    def close(self, left: SplitWriter) -> None:
        """Write what could not be undone; changes nobody came for are among it."""
        for row_id, changes in self._changes.items():
            for change in changes:
                self._give_up(row_id, change.reason, LATER)
        names = [column.name for column in LEFT]
        rows = [dict(zip(names, row, strict=True)) for row in self._left]
        left.write(pa.Table.from_pylist(rows, schema_of(LEFT)))

    def _row(self, entry: dict[str, Any]) -> dict[str, Any] | None:
        if entry["row"] is None:
            self._give_up(entry[ROW_ID], entry["reason"], HIDDEN)
            return None
        try:
            row = row_values(entry["row"], self._data.columns)
            pa.Table.from_pylist([row], self._types)
        except (pa.ArrowException, ValueError, TypeError):
            self._give_up(entry[ROW_ID], entry["reason"], MISFIT)
            return None
        return row

    def _undo(self, row_id: str, row: dict[str, Any], log: ChangeLog) -> bool:
        """Undo the changes of one row in place, the last first; whether any was undone."""
        undone = False
        left = []
        for change in reversed(self._changes.pop(row_id, [])):
            now = row.get(change.column)
            if change.column not in row or (None if now is None else str(now)) != change.after:
                left.append(change)
                continue
            value = _cast(change.before, self._types.field(change.column).type)
            if value is None:
                self._give_up(row_id, change.reason, MISFIT)
                continue
            row[change.column] = value
            log.changed(row_id, RESTORED, change.column, change.after, change.before, f"it was {change.reason}")
            undone = True
        for change in left:
            self._give_up(row_id, change.reason, LATER)
        return undone

    def _flush(self, rows: list[dict[str, Any]], good: SplitWriter, log: ChangeLog) -> list[dict[str, Any]]:
        if rows:
            good.write(pa.Table.from_pylist(rows, self._types))
            log.kept(len(rows))
        return []

    def _give_up(self, row_id: str, reason: str, why: str) -> None:
        self._left.append((row_id, reason, why))
        self.left[why] = self.left.get(why, 0) + 1


def _cast(text: str | None, kind: pa.DataType) -> Any:
    """A value written as text, of a column's type; None if it does not fit."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return text
    if pa.types.is_boolean(kind):
        return {"True": True, "False": False}.get(text or "")
    try:
        return pa.array([text], pa.string()).cast(kind)[0].as_py()
    except pa.ArrowException:
        return None
