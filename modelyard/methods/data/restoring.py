"""Rows brought back and changes undone, from the logs of the steps that made them (`changes.py`).

A removed row comes back whole, behind the others; its text repaired as the others are, unless repairs are undone. A
value that no longer fits its column comes back as missing, and the log says what it was. A change is undone if the
column still holds what it left; of several changes of one column the last is undone first. No row id is made that
another row has.
What cannot be brought back is told row by row.

Memory grows with the changes and the row ids that were asked for, not with the data or the logs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.methods.data.account import Account
from modelyard.methods.data.changes import COLUMNS, ChangeLog, decoded
from modelyard.methods.data.dataset import ROW_ID, Column, Dataset, SplitWriter, write_schema
from modelyard.methods.data.roles import schema_of
from modelyard.methods.text.travelling import repaired

REPAIRED = "repaired"
RESTORED = "restored"
EMPTIED = "restored without a value"
LEFT = (Column(ROW_ID, "other", "string"), Column("reason", "other", "string"), Column("why", "other", "string"))
BATCH = 1_024

HIDDEN = "what it was is not kept: it was hidden"
THERE = "it is in the data"
AGAIN = "another removed row has the same id"
TAKEN = "another row has the id it had"
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
    """What restoring came to; `left`: entries not undone, by why; `raw`: columns whose repairs are undone."""

    account: Account
    left: dict[str, int] = field(default_factory=dict)
    raw: tuple[str, ...] = ()


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
    if job.raw:
        write_schema(target, [replace(one, repairs=()) if one.name in job.raw else one for one in data.columns])
    return Outcome(log.account, job.left, tuple(sorted(job.raw)))


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
        self.raw: set[str] = set()
        self._repairs = {column.name: column.repairs for column in data.columns if column.repairs}
        self._named: set[str] = set()
        self._taken: set[str] = set()  # ids that undoing a new row id must not make; of those it would make
        self._collect()
        self._reserve()

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
                        self._give_up(row_id, reason, AGAIN)
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

    def _reserve(self) -> None:
        """Note which of the ids that undoing would make are those of other rows, there or to be brought back."""
        changes = (change for of_row in self._changes.values() for change in of_row)
        made = {change.before for change in changes if change.column == ROW_ID and change.before is not None}
        for batch in self._data.batches("all", [ROW_ID]) if made else ():
            self._taken |= made.intersection(batch.column(ROW_ID).to_pylist())
        self._taken |= made.intersection(self._last_removal)

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
                row, lost = self._row(entry)
                if row is not None:
                    log.added(entry[ROW_ID], RESTORED, _told(entry, lost))
                    for column, before in lost.items():
                        log.changed(entry[ROW_ID], EMPTIED, column, before, None, f"it is not {self._kind(column)}")
                    self._undo(entry[ROW_ID], row, log)
                    self._repair(row)
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

    def _row(self, entry: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, str]]:
        """A removed row, None if it was hidden; and by column the values that do not fit, which are missing in it."""
        if entry["row"] is None:
            self._give_up(entry[ROW_ID], entry["reason"], HIDDEN)
            return None, {}
        found = json.loads(entry["row"])
        row, lost = {}, {}
        for column in self._data.columns:
            value = found.get(column.name)
            row[column.name] = _fitted(value, column.type, self._kind(column.name))
            if value is not None and row[column.name] is None:
                lost[column.name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return row, lost

    def _kind(self, column: str) -> pa.DataType:
        return self._types.field(column).type

    def _undo(self, row_id: str, row: dict[str, Any], log: ChangeLog) -> bool:
        """Undo the changes of one row in place, the last first; whether any was undone."""
        undone = False
        left = []
        for change in reversed(self._changes.pop(row_id, [])):
            now = row.get(change.column)
            if change.column not in row or (None if now is None else str(now)) != change.after:
                left.append(change)
                continue
            if change.column == ROW_ID and change.before in self._taken:
                self._give_up(row_id, change.reason, TAKEN)
                continue
            value = _cast(change.before, self._kind(change.column))
            if value is None:
                self._give_up(row_id, change.reason, MISFIT)
                continue
            row[change.column] = value
            repairs = self._repairs.get(change.column, ())
            if isinstance(value, str) and repaired(repairs, value) != value:
                self.raw.add(change.column)
            if change.column == ROW_ID:
                self._taken.add(value)
            log.changed(row_id, RESTORED, change.column, change.after, change.before, f"it was {change.reason}")
            undone = True
        for change in left:
            self._give_up(row_id, change.reason, LATER)
        return undone

    def _repair(self, row: dict[str, Any]) -> None:
        """In place: a row removed before the others were repaired becomes as they are, unless that is undone."""
        undone = not self._wanted.reasons or REPAIRED in self._wanted.reasons
        for name, repairs in self._repairs.items():
            value = row.get(name)
            if not isinstance(value, str) or (sound := repaired(repairs, value)) == value:
                continue
            if undone:
                self.raw.add(name)
            else:
                row[name] = sound

    def _flush(self, rows: list[dict[str, Any]], good: SplitWriter, log: ChangeLog) -> list[dict[str, Any]]:
        if rows:
            good.write(pa.Table.from_pylist(rows, self._types))
            log.kept(len(rows))
        return []

    def _give_up(self, row_id: str, reason: str, why: str) -> None:
        self._left.append((row_id, reason, why))
        self.left[why] = self.left.get(why, 0) + 1


def _told(entry: dict[str, Any], lost: dict[str, str]) -> str:
    """Why a row was removed, and which of its values did not come back."""
    told = f"it was removed as {entry['reason']}: {entry['detail']}"
    return told + (f"; without a value for {', '.join(lost)}, where it does not fit" if lost else "")


def _fitted(value: Any, name: str, kind: pa.DataType) -> Any:
    """A value of a row's JSON as its column holds it now, also by way of its text; None if it does not fit."""
    if value is None:
        return None
    try:
        return pa.array([decoded(value, name)], kind)[0].as_py()
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return _cast(str(value), kind) if isinstance(value, str | int | float) else None


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
