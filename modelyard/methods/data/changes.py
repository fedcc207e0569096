"""What a step did to rows, as a data set of its own: every row removed, changed or added, with its reason.

row_id   the row's, as it came in (of an added row: its own)
action   removed, changed or added
reason   one or two words, the same for all rows of that kind; counted in the account
detail   what a person reads: `the same text as reviews.csv:12`
column   of a change: which column
before, after  of a change: the values as text (None where de-identification hid them)
row      of a removed row: all its columns as JSON, so that `data.restore` can bring it back (None if hidden)
"""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from modelyard.methods.data.account import Account
from modelyard.methods.data.dataset import ROW_ID, Column, SplitWriter, write_schema

Action = Literal["removed", "changed", "added"]
COLUMNS = tuple(
    Column(name, "other", "string")
    for name in (ROW_ID, "action", "reason", "detail", "column", "before", "after", "row")
)
SCHEMA = pa.schema([(column.name, pa.string()) for column in COLUMNS])
BATCH = 2_048


class ChangeLog:
    """Writes the changes of one step and counts them. Use it in a `with` block: an exception leaves no whole folder.

    The rows of a kept-and-changed row are told once per change, and once more as `kept(changed=True)` by the caller.

    Attributes:
        account: counts; the caller fills `num_in`, and `num_kept` and `num_changed` through `kept`.
    """

    def __init__(self, folder: Path, account: Account | None = None) -> None:
        self.account = account or Account()
        write_schema(folder, COLUMNS)
        self._writer = SplitWriter(folder, "all", SCHEMA)
        self._rows: list[tuple[str | None, ...]] = []

    def removed(self, row_id: str, reason: str, detail: str, row: Mapping[str, Any] | None) -> None:
        """A row was taken out; `row` holds its columns by name, None if they must not be kept."""
        self.account.removed[reason] += 1
        self._add(row_id, "removed", reason, detail, None, None, None, None if row is None else row_json(row))

    def changed(
        self, row_id: str, reason: str, column: str, before: object = None, after: object = None, detail: str = ""
    ) -> None:
        """One value of a kept row was changed."""
        self.account.changed[reason] += 1
        self._add(row_id, "changed", reason, detail, column, _text(before), _text(after), None)

    def added(self, row_id: str, reason: str, detail: str) -> None:
        """A row that did not come in goes out; `detail` says which rows it was made from."""
        self.account.added[reason] += 1
        self._add(row_id, "added", reason, detail, None, None, None, None)

    def kept(self, num: int, num_changed: int = 0) -> None:
        """So many rows went out (added ones included), of which so many that came in differ."""
        self.account.num_kept += num
        self.account.num_changed += num_changed

    def __enter__(self) -> ChangeLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
            self._writer.close()
        else:
            self._writer.abandon()

    def _add(self, *row: str | None) -> None:
        self._rows.append(row)
        if len(self._rows) >= BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            columns = [pa.array(list(values), pa.string()) for values in zip(*self._rows, strict=True)]
            self._writer.write(pa.table(columns, SCHEMA))
            self._rows = []


def row_json(row: Mapping[str, Any]) -> str:
    """A row as JSON: bytes as `{"base64": …}`, times as ISO 8601, the rest as it is."""
    return _ENCODER.encode(dict(row))


def row_values(text: str, columns: Sequence[Column]) -> dict[str, Any]:
    """The values `row_json` wrote, as Arrow takes them for `columns`; a column it does not have is None."""
    found = json.loads(text)
    return {column.name: decoded(found.get(column.name), column.type) for column in columns}


def _encode(value: object) -> object:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


def decoded(value: Any, kind: str) -> Any:
    """One value of a row's JSON, as Arrow takes it for the type. Raises ValueError if a time is none."""
    if isinstance(value, dict) and set(value) == {"base64"}:
        return base64.b64decode(value["base64"])
    if isinstance(value, str) and kind.startswith("timestamp"):
        return datetime.datetime.fromisoformat(value)
    if isinstance(value, str) and kind.startswith("date"):
        return datetime.date.fromisoformat(value)
    return value


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_encode, sort_keys=True)


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
