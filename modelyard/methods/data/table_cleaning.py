"""Columns of a table put right by rules that are written down beforehand: nothing is learned from the data.

A cell goes through: missing markers, type and unit, categories with their synonyms, range. Each rule says what becomes
of a cell that breaks it. One pass, constant memory.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods.data.account import Account
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Column, Dataset, SplitWriter, write_schema
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.table_values import boolean_of, folded, moment_of, number_of, quantity_of

Kind = Literal["number", "integer", "boolean", "date", "datetime", "text"]
Action = Literal["null", "remove_row", "clip", "keep_and_flag"]
MISSING, TYPE, CATEGORY, RANGE = "missing marker", "wrong type", "unknown category", "out of range"
REPAIRED, SYNONYM, CLIPPED, FLAGGED = "type repaired", "synonym", "clipped", "flagged"
FLAGS = "flags"
ARROW = {
    "number": "double",
    "integer": "int64",
    "boolean": "bool",
    "date": "date32[day]",
    "datetime": "timestamp[us]",
    "text": "string",
}
MARKERS = frozenset(
    ["", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "无", "暂无", "缺失", "-", "--", "—", "/", "\\n", "?"]
)
NAMES = ("label", "group", "split", "subject")


@dataclass(frozen=True)
class Rule:
    """What a column must be, and what becomes of a cell that is not.

    Attributes:
        kind: type of the column; None leaves it.
        unit: of the numbers, after conversion; `assume` of numbers written without one.
        low, high: limits, included; `categories` the values allowed; `synonyms` other names for them.
        missing: markers besides MARKERS, such as 999; `markers` turns MARKERS off.
        decimal, order: how numbers and dates are written.
    """

    kind: Kind | None = None
    unit: str | None = None
    assume: str | None = None
    low: float | None = None
    high: float | None = None
    categories: Sequence[str] | None = None
    synonyms: Mapping[str, str] = field(default_factory=dict)
    missing: Sequence[str] = ()
    markers: bool = True
    decimal: Literal[".", ","] = "."
    order: Literal["ymd", "dmy", "mdy"] = "ymd"
    on_missing: Action = "null"
    on_type: Action = "null"
    on_category: Action = "null"
    on_range: Action = "null"

    @cached_property
    def _named(self) -> dict[str, str]:
        """Folded spelling to category; a category's own spelling before any synonym."""
        known = {folded(name): name for name in self.categories or ()}
        return {**{folded(word): name for word, name in self.synonyms.items()}, **known}

    @cached_property
    def _markers(self) -> frozenset[str]:
        return frozenset(map(folded, self.missing)) | (MARKERS if self.markers else frozenset())

    @cached_property
    def _numbers(self) -> frozenset[float]:
        return frozenset(value for text in self.missing if (value := number_of(text)) is not None)

    def is_missing(self, value: Any) -> bool:
        """Whether a value is a marker; the word for no is none in a column of yes and no."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value != value or value in self._numbers
        if not isinstance(value, str):
            return False
        if self.kind == "boolean" and folded(value) not in map(folded, self.missing) and boolean_of(value) is not None:
            return False
        if folded(value) in self._markers:
            return True
        return bool(self._numbers) and self.kind != "text" and number_of(value, self.decimal) in self._numbers

    def typed(self, value: Any) -> Any:
        """The value as `kind` (and in `unit`), None if it cannot be read so."""
        if self.kind is None and self.unit is None:
            return value
        text = value if isinstance(value, str) else str(value)
        if self.unit is not None:
            return quantity_of(text, self.unit, self.assume, self.decimal)
        if self.kind == "number":
            return number_of(text, self.decimal)
        if self.kind == "integer":
            found = number_of(text, self.decimal)
            return int(found) if found is not None and found.is_integer() and abs(found) < 1 << 53 else None
        if self.kind == "boolean":
            return boolean_of(text)
        if self.kind in ("date", "datetime"):
            moment = moment_of(text, self.order)
            return moment.date() if moment is not None and self.kind == "date" else moment
        return text

    def category(self, value: Any) -> Any:
        """The category a value names, itself if all are allowed, None if it names none."""
        if not isinstance(value, str) or (self.categories is None and not self.synonyms):
            return value
        found = self._named.get(folded(value))
        return value if found is None and self.categories is None else found


@dataclass(frozen=True)
class Step:
    """What happened to a cell: reason, and detail or the value after it."""

    reason: str
    detail: str
    value: Any = None
    action: Action | None = None


def judge(rule: Rule, value: Any) -> tuple[Any, list[Step]]:
    """The cell's value in the end and what happened on the way; the last step may take the row or flag it."""
    if value is None:
        return None, []
    if rule.is_missing(value):
        detail = f"`{_short(value)}` stands for nothing" if str(value).strip() else "an empty cell"
        return None, [Step(MISSING, detail, None, rule.on_missing)]
    steps: list[Step] = []
    typed = rule.typed(value)
    if typed is None:
        wanted = rule.unit or rule.kind
        return None, [Step(TYPE, f"`{_short(value)}` is not read as {wanted}", None, rule.on_type)]
    if not _as_written(typed, value):
        steps.append(Step(REPAIRED, "", typed))
    named = rule.category(typed)
    if named is None:
        return None, [*steps, Step(CATEGORY, f"`{_short(typed)}` is no known category", None, rule.on_category)]
    if named != typed:
        steps.append(Step(SYNONYM, "", named))
    return _ranged(rule, named, steps)


def _ranged(rule: Rule, value: Any, steps: list[Step]) -> tuple[Any, list[Step]]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value, steps
    low = rule.low if rule.low is not None else float("-inf")
    high = rule.high if rule.high is not None else float("inf")
    if low <= value <= high:
        return value, steps
    detail = f"{value:g} is not between {low:g} and {high:g}"
    if rule.on_range == "clip":
        clipped = low if value < low else high
        if isinstance(value, int):
            clipped = math.ceil(clipped) if value < low else math.floor(clipped)
        return clipped, [*steps, Step(CLIPPED, detail, clipped)]
    kept = value if rule.on_range == "keep_and_flag" else None
    return kept, [*steps, Step(RANGE, detail, kept, rule.on_range)]


def _as_written(typed: Any, value: Any) -> bool:
    """Whether a value already stood there plainly: `12.50` for 12.5, `TRUE` for true."""
    if type(typed) is type(value) or isinstance(typed, bool):
        return bool(typed == value) or str(typed).casefold() == str(value).casefold()
    try:
        return str(typed) == str(value) or (isinstance(typed, int | float) and float(value) == typed)
    except (TypeError, ValueError):
        return False


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:60] + "…"


@dataclass
class Outcome:
    """What cleaning came to; `found` counts cells by column and reason."""

    account: Account
    found: Counter[tuple[str, str]] = field(default_factory=Counter)


def clean_table(
    data: Dataset, rules: Mapping[str, Rule], kept: Path, removed: Path, progress: Callable[[int, int], None]
) -> Outcome:
    """Clean the split `all` of a data set into `kept`; every cell changed and row removed goes to `removed`.

    With a rule that flags, the rows get a column `flags`: `height: out of range; weight: wrong type`, empty for none.

    Raises:
        InputError: a rule names a column that is not there, or would make a name (label, group) a number.
    """
    columns = _columns_after(data, rules)
    schema = schema_of(columns)
    total = data.num_rows("all")
    found: Counter[tuple[str, str]] = Counter()
    write_schema(kept, columns)
    with SplitWriter(kept, "all", schema) as good, ChangeLog(removed) as log:
        for batch in data.batches("all"):
            rows = []
            for row in batch.to_pylist():
                log.account.num_in += 1
                cleaned = _clean_row(row, rules, log, found)
                if cleaned is not None:
                    rows.append(cleaned)
            for row in rows if FLAGS in schema.names else ():
                row.setdefault(FLAGS, "")
            good.write(pa.Table.from_pylist(rows, schema))
            log.account.num_kept += len(rows)
            progress(log.account.num_in, total)
    return Outcome(log.account, found)


def _clean_row(
    row: dict[str, Any], rules: Mapping[str, Rule], log: ChangeLog, found: Counter[tuple[str, str]]
) -> dict[str, Any] | None:
    """The cleaned row, None if it is taken out; what happened is logged and counted."""
    cleaned = dict(row)
    told: list[tuple[str, Any, Step]] = []
    flags: dict[str, str] = {}
    for name, rule in rules.items():
        cleaned[name], steps = judge(rule, row[name])
        before = row[name]
        for step in steps:
            found[name, step.reason] += 1
            if step.action == "remove_row":
                log.removed(str(row[ROW_ID]), step.reason, f"{name}: {step.detail}", row)
                return None
            if step.action == "keep_and_flag":
                flags[f"{name}: {step.reason}"] = step.detail
            if step.value != before and not (step.reason == RANGE and step.action == "keep_and_flag"):
                told.append((name, before, step))
            before = step.value
    for name, before, step in told:
        log.changed(str(row[ROW_ID]), step.reason, name, before, step.value, step.detail)
    if flags:
        had = cleaned.get(FLAGS) or ""
        cleaned[FLAGS] = "; ".join([had, *flags] if had else flags)
        log.changed(str(row[ROW_ID]), FLAGGED, FLAGS, had, cleaned[FLAGS], "; ".join(flags.values()))
    log.account.num_changed += bool(told or flags)
    return cleaned


def _columns_after(data: Dataset, rules: Mapping[str, Rule]) -> list[Column]:
    """The columns with their new types, and `flags` behind them where a rule flags."""
    there = {column.name: column for column in data.columns}
    for name, rule in rules.items():
        column = there.get(name)
        if column is None or name == ROW_ID:
            raise InputError(
                t("there is no column `{name}`", name=name),
                where="data.clean_table",
                expected=t("one of: {names}", names=", ".join(key for key in there if key != ROW_ID)),
                remedy=did_you_mean(name, list(there)),
            )
        if column.role in NAMES and (rule.unit or rule.kind not in (None, "text")):
            raise InputError(
                t("`{name}` has the role `{role}`: it is a name and stays text", name=name, role=column.role),
                where="data.clean_table",
                remedy=t("use `categories` and `synonyms` for it, without a type or a unit"),
            )
        kind = "number" if rule.unit else rule.kind
        there[name] = replace(column, type=ARROW.get(kind or "", column.type))
        _check(name, rule, there[name].type)
    columns = list(there.values())
    if FLAGS not in there and any("keep_and_flag" in _actions(rule) for rule in rules.values()):
        columns.append(Column(FLAGS, "other", "string"))
    return columns


def _check(name: str, rule: Rule, kind: str) -> None:
    """Raise InputError if a rule cannot apply to a column of that type."""
    ranged = rule.low is not None or rule.high is not None
    if ranged and not (kind == "double" or kind.startswith(("int", "uint", "float", "half"))):
        raise InputError(
            t("`{name}` is of type {kind}: `min` and `max` need numbers", name=name, kind=kind),
            where="data.clean_table",
            remedy=t("say what it is: `type: number`, or a `unit`"),
        )
    if (rule.categories is not None or rule.synonyms) and kind != "string":
        raise InputError(
            t("`{name}` is of type {kind}: categories are text", name=name, kind=kind),
            where="data.clean_table",
            remedy=t("say `type: text`"),
        )


def _actions(rule: Rule) -> tuple[str, ...]:
    return rule.on_missing, rule.on_type, rule.on_category, rule.on_range
