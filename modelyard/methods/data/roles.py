"""Columns of a file turned into columns of a data set: which are kept, in what role, and what each value must be.

A label is a name, so it becomes a string; the target of a regression is a label of the type `double`: its type says
what it is to every later step. A weight must be a number, a time a date, a split one of three words.
A value that cannot be what its role asks for makes the row bad.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.dataset import ROW_ID, Column
from modelyard.methods.data.images import ImageLimits, image_bytes
from modelyard.methods.data.labels import LabelMaker, LabelNotes, missing, shares_json
from modelyard.methods.data.rows import SURROGATE, Bad, Fault, Reader

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
TYPES = {
    "text": "string",
    "image": "binary",
    "label": "string",
    "target": "double",
    "soft_label": "string",
    "weight": "double",
    "time": "timestamp[us]",
    "split": "string",
}
OTHER = "other"
TARGET = "target"
"""Asked for as a role; the column then has the role `label` and the type `double`."""
MAX_COLUMNS = 16_384
"""As many as a spreadsheet has; with more, a table is most likely lying on its side or cut at the wrong character."""
LABEL = "label"
"""Name of the label column that soft labels bring when the file has none."""


@dataclass(frozen=True)
class Limits:
    """What a value may be.

    Attributes:
        max_cell_bytes: the greatest text, in bytes of UTF-8.
        image: the greatest image.
        labels: name of each value of the label column; empty if the values are names.
    """

    max_cell_bytes: int = 1 << 20
    image: ImageLimits = field(default_factory=ImageLimits)
    labels: Mapping[str, str] = field(default_factory=dict)


class Converter:
    """Turns the values of one file's rows into the values of the data set's columns.

    Attributes:
        columns: the data set's columns in order, without `row_id` and without a split that the path gives. One that
            the file does not have is the label that soft labels bring.

    Args:
        labels: what was noticed of the labels; shared by all files.
    """

    def __init__(self, columns: Sequence[Column], reader: Reader, limits: Limits, labels: LabelNotes) -> None:
        self.columns = list(columns)
        self._max = limits.max_cell_bytes
        self._maker = LabelMaker(limits.labels, labels)
        places = {name: place for place, name in enumerate(reader.names)}
        self._places = [places.get(column.name) for column in columns]
        roles = [column.role for column in columns]
        self._soft = roles.index("soft_label") if "soft_label" in roles else None
        self._label = roles.index("label") if "label" in roles else None
        steps: Mapping[str, Callable[[Any], Any]] = {
            "text": _text,
            "image": lambda value: image_bytes(value, limits.image),
            TARGET: _target,
            "label": self._maker.label if self._soft is None else self._maker.label_or_none,
            "soft_label": self._maker.shares,
            "weight": _weight,
            "time": _time,
            "split": _split,
        }
        as_string: Callable[[Any], Any] = _feature
        self._steps = [
            steps.get(_asked(column), as_string if column.type == "string" else _same) for column in self.columns
        ]

    def convert(self, values: list[Any], raw: str) -> list[Any] | Bad:
        """Values in the order of `columns`, or the first fault. `raw` is the row as it stands, or ``."""
        found: list[Any] = []
        try:
            for column, place, step in zip(self.columns, self._places, self._steps, strict=True):
                value = None if place is None else values[place]
                if isinstance(value, str) and column.role != "image":
                    self._check_cell(value)
                found.append(step(value))
        except Fault as fault:
            name = self.columns[len(found)].name
            return Bad(fault.kind, f"{name}: {fault.detail}" if fault.detail else name, raw or _as_raw(values))
        if self._soft is not None:
            shares = found[self._soft]
            if self._label is not None and found[self._label] is None:
                found[self._label] = self._maker.best(shares)
            found[self._soft] = shares_json(shares)
        return found

    def _check_cell(self, value: str) -> None:
        if len(value) > self._max // 4 and len(value.encode("utf-8", "surrogatepass")) > self._max:
            size = len(value.encode("utf-8", "surrogatepass"))
            raise Fault("cell too large", f"{size:,} bytes, over {self._max:,}")
        if value.isascii():
            if "\0" in value:
                raise Fault("NUL byte")
        elif "\0" in value or SURROGATE.search(value):
            raise Fault("NUL byte" if "\0" in value else "bytes that do not decode")


def _as_raw(values: list[Any]) -> str:
    """The values as JSON; of bytes only how many there are."""
    return json.dumps([_raw_value(value) for value in values], ensure_ascii=False)


def _raw_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"({len(value):,} bytes)"
    return value if isinstance(value, str | int | float) else str(value)


def _text(value: Any) -> str:
    if value is None:
        raise Fault("no text")
    if not isinstance(value, str):
        raise Fault("text is not a string", type(value).__name__)
    return value


def _asked(column: Column) -> str:
    """The role as it was asked for: a label that is a quantity is a target."""
    return TARGET if column.role == "label" and column.type == TYPES[TARGET] else column.role


def _target(value: Any) -> float:
    if missing(value):
        raise Fault("no target")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise Fault("target is not a number", str(value)[:40]) from None
    if not math.isfinite(number):
        raise Fault("target is not a finite number", str(value)[:40])
    return number


def _weight(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise Fault("weight is not a number", str(value)[:40]) from None
    if not math.isfinite(number) or number < 0:
        raise Fault("weight is not a finite number of at least 0", str(value)[:40])
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
        raise Fault("time is no date", str(value)[:40]) from None
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
        raise Fault("split is not train, validation or test", str(value)[:40])
    return word


def _feature(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _same(value: Any) -> Any:
    return value


def choose(reader: Reader, roles: Mapping[str, str], keep: Sequence[str] | None, where: str) -> list[Column]:
    """The data set's columns from a file's: those with a role, in the file's order, and the features that are kept.

    Args:
        roles: role to column name. They count before those the file itself gives its columns (`Reader.own_roles`).
        keep: names of the other columns to keep; None keeps all.

    Raises:
        InputError: too many columns, or some are missing or named twice: every problem, with the names that are there.
    """
    _check_number(len(reader.names) if keep is None else len(keep), where)
    named = {name: role for role, name in roles.items()}
    kept = None if keep is None else frozenset(keep)
    asked = {"label" if role == TARGET else role for role in roles}
    own = {name: role for name, role in getattr(reader, "own_roles", {}).items() if role == OTHER or role not in asked}
    problems = _problems(reader.names, roles, keep, where)
    brings_label = "soft_label" in roles and "label" not in {*roles, *own.values()}
    if brings_label and LABEL in reader.names:
        found = t("a column `{name}`, where soft labels bring their own", name=LABEL)
        problems.append(Problem(where, found, remedy=t("say what it is: `label: {name}`", name=LABEL)))
    if problems:
        raise InputError.of(problems)
    columns = []
    for name, kind in zip(reader.names, reader.types, strict=True):
        role = named.get(name, own.get(name))
        if role not in (None, OTHER):
            columns.append(Column(name, "label" if role == TARGET else role, TYPES.get(role, str(kind))))
        elif kept is None or name in kept:
            columns.append(Column(name, role or "feature", str(kind)))
    return [*columns, Column(LABEL, "label", TYPES["label"])] if brings_label else columns


def _check_number(num: int, where: str) -> None:
    if num > MAX_COLUMNS:
        raise InputError(
            t("{n:,} columns", n=num),
            where=where,
            expected=t("at most {n:,} columns", n=MAX_COLUMNS),
            remedy=t("name those to keep: `keep: [...]`; is `delimiter` right, and does every row stand on a line?"),
        )


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
