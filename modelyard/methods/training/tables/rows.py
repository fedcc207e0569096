"""Rows of a table out of a data set, with what is to be predicted, and what must hold of them before training."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.preprocessing.table import number_of
from modelyard.methods.training import targets
from modelyard.methods.training.tables import odd_numbers

Target = Literal["auto", "class", "number"]
QUANTITY = "double"


@dataclass(frozen=True)
class Rows:
    """One split.

    Attributes:
        features: the columns to learn from, as they are in the data.
        targets: [rows] int64 places in the labels, or float64 quantities.
        names: row ids, for messages.
        weights: [rows] of each row in training; ones if the data has none.
    """

    features: pa.Table
    targets: NDArray[Any]
    names: Sequence[str]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Splits:
    """Train and validation.

    Attributes:
        labels: in the order of the targets; empty if they are quantities.
        notes: lines for the user.
    """

    training: Rows
    validation: Rows
    labels: tuple[str, ...]
    notes: tuple[str, ...]


def read_splits(
    data: Dataset, target: Target = "auto", columns: Sequence[str] | None = None, leave_out: Collection[str] = ()
) -> Splits:
    """Train and validation with their targets.

    Args:
        target: `auto`: a number if data.read was told so (`target: <column>`), else a class.
        columns: what to learn from; None: every column with the role `feature`.

    Raises:
        InputError: no usable row or column, one class only, labels of validation that train has not, or a target that
            is no number; all problems together.
    """
    is_number = target == "number" or (target == "auto" and _is_quantity(data))
    names = feature_names(data, columns, leave_out)
    tables = [_read(data, split, names, is_number) for split in ("train", "validation")]
    problems = [
        problem
        for split, table in zip(("train", "validation"), tables, strict=True)
        for problem in (*targets.row_problems(split, table.num_rows), *odd_numbers.weight_problems(data, split))
    ]
    labels: tuple[str, ...] = ()
    if not problems and is_number:
        problems = _number_problems(tables)
    elif not problems:
        names_of = [[str(value) for value in table.column("label").to_pylist()] for table in tables]
        labels = tuple(sorted(set(names_of[0])))
        problems = targets.class_problems(*names_of)
    if problems:
        raise InputError.of(problems)
    training, validation = (_rows(table, names, labels) for table in tables)
    notes = [
        t("{count} {split} rows without a label were left out", count=count, split=split)
        for split, rows in (("train", training), ("validation", validation))
        if (count := data.num_rows(split) - len(rows))
    ]
    return Splits(training, validation, labels, (*notes, *odd_numbers.notes(data, names)))


def _is_quantity(data: Dataset) -> bool:
    label = data.need("label")
    return any(column.name == label and column.type == QUANTITY for column in data.columns)


def feature_names(data: Dataset, columns: Sequence[str] | None, leave_out: Collection[str]) -> list[str]:
    """The columns to learn from. Raises InputError if one is no feature, or none is left."""
    there = [column.name for column in data.columns if column.role == "feature"]
    problems = [
        Problem(t("setting `{name}`", name=setting), t("no feature `{name}`", name=name), ", ".join(there),
                did_you_mean(name, there))
        for setting, names in (("columns", columns or ()), ("leave_out", leave_out))
        for name in names
        if name not in there
    ]  # fmt: skip
    if problems:
        raise InputError.of(problems)
    chosen = [name for name in (columns if columns is not None else there) if name not in leave_out]
    if not chosen:
        raise InputError(
            t("there is no column to learn from"), where="data", expected=t("columns with the role `feature`")
        )
    return chosen


def _read(data: Dataset, split: str, names: Sequence[str], is_number: bool) -> pa.Table:
    """Features, label, row id and weight of the rows that have a label, under names of our own for the last three.

    NaN is no class; as a number to be predicted it is kept, to be refused.
    """
    label, weight = data.need("label"), data.role("weight")
    table = data.table(split, [*names, label, ROW_ID, *([weight] if weight else [])])
    table = table.filter(table.column(label).is_valid())
    if not is_number and pa.types.is_floating(table.column(label).type):
        table = table.filter(pc.is_finite(table.column(label)))
    weights = table.column(weight).fill_null(1.0) if weight else pa.array(np.ones(table.num_rows))
    found = table.select(list(names))
    for name, column in (("label", table.column(label)), ("row", table.column(ROW_ID)), ("weight", weights)):
        found = found.append_column(name, column)
    return found.rename_columns([*(f"feature {place}" for place in range(len(names))), "label", "row", "weight"])


def _rows(table: pa.Table, names: Sequence[str], labels: Sequence[str]) -> Rows:
    column = table.column("label").to_pylist()
    if labels:
        places = {label: place for place, label in enumerate(labels)}
        goals: NDArray[Any] = np.array([places[str(value)] for value in column], np.int64)
    else:
        goals = np.array([number_of(value) for value in column], np.float64)
    features = table.select([f"feature {place}" for place in range(len(names))]).rename_columns(list(names))
    return Rows(
        features,
        goals,
        [str(name) for name in table.column("row").to_pylist()],
        table.column("weight").to_numpy().astype(np.float32),
    )


def _number_problems(tables: Sequence[pa.Table]) -> list[Problem]:
    problems = []
    for split, table in zip(("train", "validation"), tables, strict=True):
        cells = zip(table.column("row").to_pylist(), table.column("label").to_pylist(), strict=True)
        bad = [(name, value) for name, value in cells if not _is_number(value)]
        if bad:
            name, value = bad[0]
            found = t(
                "the label of row {row} is `{value}`; {count:,} rows in all have none that is a number",
                row=name,
                value=str(value)[:40],
                count=len(bad),
            )
            remedy = t("read it with `target: <column>` in data.read, or set `target: class`")
            problems.append(Problem(f"data/{split}", found, t("a finite number"), remedy))
    if not problems and len(set(tables[0].column("label").to_pylist())) < 2:
        found = t("all training rows have the same target")
        problems.append(Problem("data/train", found, t("numbers that differ"), t("check the column named as target")))
    return problems


def _is_number(value: Any) -> bool:
    try:
        return not math.isnan(number_of(value))
    except ValueError:
        return False
