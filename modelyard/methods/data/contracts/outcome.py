"""What checking a contract found: violations by rule with examples, and each of them as a row of a data set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.base.messages import t
from modelyard.methods.data.dataset import ROW_ID, Column, SplitWriter, write_schema
from modelyard.methods.data.statistics.drift import Moved

LONGEST_VALUE = 200
"""Characters of a value that are stored."""
LONGEST_SHOWN = 60
COLUMNS = tuple(Column(name, "other", "string") for name in (ROW_ID, "rule", "column", "value", "expected"))
SCHEMA = pa.schema([(column.name, pa.string()) for column in COLUMNS])
BATCH = 4_096


@dataclass
class Broken:
    """One rule that was not kept.

    Attributes:
        rule: `type`, `missing`, `range`, … (see `rules.py`).
        column: `` for rules about the data set.
        expected: what the rule asks for, in words of the project file.
        rows: violations; 1 for a rule about the data set.
        examples: (row id, value) of the first few; `` where values are not shown.
        whole: the rule is about the data set, not about a row.
    """

    rule: str
    column: str
    expected: str
    rows: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)
    whole: bool = False

    def line(self, values: bool = False) -> str:
        """One line for the user. Values of rows stand in it only where asked for: notes travel with a release."""
        head = f"{self.column}: {t(self.rule)}" if self.column else t(self.rule)
        shown = "; ".join(_example(row_id, value if values or self.whole else "") for row_id, value in self.examples)
        if self.whole:
            return t("{head}: found {found}, expected {expected}", head=head, found=shown, expected=self.expected)
        text = t("{head}: {n:,} rows, expected {expected}", head=head, n=self.rows, expected=self.expected)
        return text + (f" ({shown})" if shown else "")


def _example(row_id: str, value: str) -> str:
    cut = value if len(value) <= LONGEST_SHOWN else value[: LONGEST_SHOWN - 1] + "…"
    return f"{row_id} {cut!r}" if row_id and cut else row_id or cut


@dataclass
class Outcome:
    """What was found.

    Attributes:
        num_rows: rows checked.
        num_violating_rows: rows that break at least one rule.
        broken: rules not kept, those of the data set first.
        moved: how far each column moved from the reference; empty without one.
        freshness_days: age of the newest row, None if it cannot be told.
    """

    num_rows: int = 0
    num_violating_rows: int = 0
    broken: list[Broken] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    freshness_days: float | None = None

    @property
    def num_violations(self) -> int:
        return sum(item.rows for item in self.broken)


class Violations:
    """Writes violations as they are found and counts them by rule. Use it in a `with` block."""

    def __init__(self, folder: Path, examples: int, show_values: bool) -> None:
        write_schema(folder, COLUMNS)
        self._writer = SplitWriter(folder, "all", SCHEMA)
        self._examples, self._show = examples, show_values
        self._rows: list[tuple[str | None, ...]] = []
        self._broken: dict[tuple[str, str], Broken] = {}

    def rows(self, rule: str, column: str, expected: str, found: Iterable[tuple[str, Any]]) -> None:
        """Rows that break a rule: their ids and values."""
        broken = self._broken.setdefault((column, rule), Broken(rule, column, expected))
        for row_id, value in found:
            text = shown(value) if self._show else None
            broken.rows += 1
            if len(broken.examples) < self._examples:
                broken.examples.append((row_id, text or ""))
            self._add(row_id, rule, column, text, expected)

    def whole(self, rule: str, column: str, expected: str, found: str) -> None:
        """A rule about the data set that is not kept."""
        self._broken[(column, rule)] = Broken(rule, column, expected, 1, [("", found)], whole=True)
        self._add("", rule, column, found, expected)

    @property
    def broken(self) -> list[Broken]:
        return sorted(self._broken.values(), key=lambda item: (not item.whole, -item.rows, item.column, item.rule))

    def __enter__(self) -> Violations:
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


def shown(value: Any) -> str | None:
    """A value as text, cut; bytes by their number."""
    if value is None:
        return None
    text = f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
