"""Columns of a file turned into columns of a data set: which are kept, in what role, and what each value must be.

A label is a name, so it becomes a string; a weight must be a number, a time a date, a split one of three words.
A value that cannot be what its role asks for makes the row bad.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.dataset import ROW_ID, Column
from modelyard.methods.data.rows import SURROGATE, Bad, Reader

SPLIT_COLUMN = "split"
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "eval": "test",
}
WHOLE_FLOAT = re.compile(r"[+-]?\d+\.0*")
FRACTION = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?|[+-]?\d+[eE]-\d+")
TYPES = {"text": "string", "label": "string", "weight": "double", "time": "timestamp[us]", "split": "string"}
MOST_FRACTIONS = 1_000


class LabelNotes:
    """What was noticed of the labels on the way, in bounded memory: for messages and for the regression check."""

    def __init__(self) -> None:
        self.num_shortened = 0
        self.num_stripped = 0
        self.num_numbers = 0
        self.num_fractions = 0
        self.num_labels = 0
        self._fractions: set[str] = set()

    def saw(self, label: str) -> None:
        self.num_labels += 1
        if FRACTION.fullmatch(label):
            self.num_fractions += 1
            if len(self._fractions) < MOST_FRACTIONS:
                self._fractions.add(label)

    def continuous(self) -> bool:
        """Most labels are written with decimals and few are equal: a quantity, not a class."""
        distinct = len(self._fractions)
        return distinct >= MOST_FRACTIONS or (
            self.num_fractions > self.num_labels / 2 and distinct >= max(10, self.num_labels / 5)
        )

    def check(self, column: str, where: str) -> None:
        """Raise InputError if the labels are a quantity."""
        if self.continuous():
            some = ", ".join(sorted(self._fractions)[:3])
            raise InputError(
                t("the labels look like a continuous quantity ({some}, …)", some=some),
                where=f"{where}, {t('column')} `{column}`",
                expected=t("one of a few classes in each row"),
                remedy=t("predicting a quantity is regression; for classes, write a class in this column"),
            )


class Converter:
    """Turns the values of one file's rows into the values of the data set's columns.

    Attributes:
        columns: the data set's columns in order, without `row_id` and without a split that the path gives.
        labels: what was noticed of the labels; shared by all files.
    """

    def __init__(self, columns: Sequence[Column], reader: Reader, max_cell_bytes: int, labels: LabelNotes) -> None:
        self.columns = list(columns)
        self.labels = labels
        self._max = max_cell_bytes
        self._places = [reader.names.index(column.name) for column in columns]
        as_string: Callable[[Any], Any] = _feature
        steps: Mapping[str, Callable[[Any], Any]] = {
            "text": _text,
            "label": self._label,
            "weight": _weight,
            "time": _time,
            "split": _split,
        }
        self._steps = [
            steps.get(column.role, as_string if column.type == "string" else _same) for column in self.columns
        ]

    def convert(self, values: list[Any], raw: str) -> list[Any] | Bad:
        """Values in the order of `columns`, or the first fault. `raw` is the row as it stands, or ``."""
        found: list[Any] = []
        try:
            for place, step in zip(self._places, self._steps, strict=True):
                value = values[place]
                if isinstance(value, str):
                    self._check_cell(value)
                found.append(step(value))
        except _Fault as fault:
            name = self.columns[len(found)].name
            return Bad(fault.kind, f"{name}: {fault.detail}" if fault.detail else name, raw or _as_raw(values))
        return found

    def _check_cell(self, value: str) -> None:
        if len(value) > self._max // 4 and len(value.encode("utf-8", "surrogatepass")) > self._max:
            size = len(value.encode("utf-8", "surrogatepass"))
            raise _Fault("cell too large", f"{size:,} bytes, over {self._max:,}")
        if value.isascii():
            if "\0" in value:
                raise _Fault("NUL byte")
        elif "\0" in value or SURROGATE.search(value):
            raise _Fault("NUL byte" if "\0" in value else "bytes that do not decode")

    def _label(self, value: Any) -> str:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            raise _Fault("no label")
        if isinstance(value, bool):
            text = "true" if value else "false"
        elif isinstance(value, str):
            text = value.strip()
            self.labels.num_stripped += text != value
        else:
            text = repr(value)
            self.labels.num_numbers += 1
        if not text:
            raise _Fault("no label")
        self.labels.saw(text)
        if WHOLE_FLOAT.fullmatch(text):
            text = text.split(".")[0]
            self.labels.num_shortened += 1
        return text


def _as_raw(values: list[Any]) -> str:
    return json.dumps([value if isinstance(value, str | int | float) else str(value) for value in values])


class _Fault(Exception):
    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail


def _text(value: Any) -> str:
    if value is None:
        raise _Fault("no text")
    if not isinstance(value, str):
        raise _Fault("text is not a string", type(value).__name__)
    return value


def _weight(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise _Fault("weight is not a number", str(value)[:40]) from None
    if not math.isfinite(number) or number < 0:
        raise _Fault("weight is not a finite number of at least 0", str(value)[:40])
    return number


def _time(value: Any) -> datetime.datetime:
    """ISO 8601, dates with slashes, or seconds since 1970; times without a zone are taken as UTC."""
    try:
        if isinstance(value, datetime.datetime):
            moment = value
        elif isinstance(value, datetime.date):
            moment = datetime.datetime(value.year, value.month, value.day)  # noqa: DTZ001 (made UTC below)
        else:
            text = str("" if value is None else value).strip().replace("/", "-")
            moment = _parse_time(text)
        utc = moment.astimezone(datetime.UTC) if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    except (ValueError, OverflowError, OSError):
        raise _Fault("time is no date", str(value)[:40]) from None
    return utc.replace(tzinfo=None)


def _parse_time(text: str) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        pass
    match = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](.+))?", text)
    if match:
        year, month, day, rest = match.groups()
        return datetime.datetime.fromisoformat(f"{year}-{int(month):02d}-{int(day):02d}T{rest or '00:00'}")
    return datetime.datetime.fromtimestamp(float(text), datetime.UTC)


def _split(value: Any) -> str:
    word = SPLIT_WORDS.get(str(value).strip().lower())
    if word is None:
        raise _Fault("split is not train, validation or test", str(value)[:40])
    return word


def _feature(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _same(value: Any) -> Any:
    return value


def choose(reader: Reader, roles: Mapping[str, str], keep: Sequence[str] | None, where: str) -> list[Column]:
    """The data set's columns from a file's: those with a role, in the file's order, and the features that are kept.

    Args:
        roles: role to column name.
        keep: names of the other columns to keep; None keeps all.

    Raises:
        InputError: columns are missing or named twice: every problem, with the names that are there.
    """
    problems = _problems(reader.names, roles, keep, where)
    if problems:
        raise InputError.of(problems)
    by_name = {name: role for role, name in roles.items()}
    columns = []
    for name, kind in zip(reader.names, reader.types, strict=True):
        role = by_name.get(name)
        if role is not None:
            columns.append(Column(name, role, TYPES.get(role, str(kind))))
        elif keep is None or name in keep:
            columns.append(Column(name, "feature", str(kind)))
    return columns


def _problems(names: Sequence[str], roles: Mapping[str, str], keep: Sequence[str] | None, where: str) -> list[Problem]:
    there = t("one of: {names}", names=", ".join(name[:40] for name in names[:30]))
    problems = [
        Problem(where, t("two columns are called `{name}`", name=name), remedy=t("give new names: `columns: [...]`"))
        for name, count in Counter(names).items()
        if count > 1
    ]
    if ROW_ID in names:
        remedy = t("give new names: `columns: [...]`")
        problems.append(Problem(where, t("the name `{name}` is taken by the data set itself", name=ROW_ID), "", remedy))
    wanted = [*((role, name) for role, name in roles.items()), *(("keep", name) for name in keep or ())]
    for setting, name in wanted:
        if name not in names:
            found = t("no column `{name}` (setting `{setting}`)", name=name, setting=setting)
            hint = t("if the file has no header line: `header: false` and `columns: [...]`")
            near = did_you_mean(name, [item[:40] for item in names])
            problems.append(Problem(where, found, there, f"{near}; {hint}" if near else hint))
    doubled = [name for name, count in Counter(roles.values()).items() if count > 1]
    problems += [Problem(where, t("the column `{name}` has two roles", name=name)) for name in doubled]
    return problems


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    return pa.schema([pa.field(column.name, pa.type_for_alias(column.type)) for column in columns])
