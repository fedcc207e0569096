"""Models of several tasks: each task is measured by its own family, on the rows that have its column.

Each task's own part of the shipped model is asked, not the whole: a record passes through the encoder once for each
task either way, and so no row is asked for a task of which it says nothing. What a part answers is what the whole
answers for its task.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

import pyarrow as pa

from modelyard.base.canonical import canonical_json
from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation import measuring
from modelyard.methods.evaluation.measuring.examples import Examples, Reader
from modelyard.methods.evaluation.measuring.family import Family, Part, Shown
from modelyard.methods.evaluation.settings import Measuring
from modelyard.methods.tasks.multitask import is_empty

CLASSES = ("order", "costs")
"""Settings that name the classes of one task."""


class Many(Family):
    """Several tasks on one text: measured one by one, never together."""

    def parts(self, predictor: Any, data: Dataset, settings: Measuring) -> tuple[Part, ...]:
        """A part for each task. Raises InputError for every task whose column the data lacks, and for settings that
        speak of the classes of one task."""
        for setting in CLASSES:
            if getattr(settings, setting):
                raise InputError(
                    t("`{setting}` names the classes of one task, and the model answers several", setting=setting),
                    where=setting,
                    remedy=t("leave `{setting}` out", setting=setting),
                )
        columns = {name: predictor.columns.get(name, name) for name in predictor.parts}
        there = {column.name for column in data.columns}
        lacking = [_lacks(name, columns[name], predictor.columns, there) for name in columns]
        if problems := [one for one in lacking if one]:
            raise InputError.of(problems)
        return tuple(
            Part(measuring.find(part.task).of_column(columns[name]), part, of_label(data, columns[name]), name,
                 columns[name])
            for name, part in predictor.parts.items()
        )  # fmt: skip

    def reader(self, data: Dataset, task: str, settings: Measuring) -> Reader:
        _refuse()

    def measure(self, answers: Any, examples: Examples, settings: Measuring, seed: int) -> NoReturn:
        _refuse()

    def document(self, measured: Any, examples: Examples, shown: Shown, seed: int) -> dict[str, Any]:
        _refuse()

    def predictions(self, measured: Any, examples: Examples) -> pa.Table:
        _refuse()


def of_label(data: Dataset, column: str) -> Dataset:
    """The data as one of the tasks reads it: its column is the label, and no other is."""
    roles = {one.name: "other" if one.role == "label" else one.role for one in data.columns} | {column: "label"}
    return replace(data, columns=tuple(replace(one, role=roles[one.name]) for one in data.columns))


def of_column(reader: Reader, column: str) -> Reader:
    """A reader to which a row without anything in the column says nothing."""
    return replace(reader, truth=lambda row: None if is_empty(row[column]) else reader.truth(row))


def predictions(tables: Mapping[str, pa.Table]) -> pa.Table:
    """Every task's answers as rows of row_id, task, truth, answer, scores (in the order of the labels, kept in the
    schema). Truths and answers are texts as their families write them."""
    names = {name: (table.schema.metadata or {}).get(b"labels") for name, table in tables.items()}
    labels = {name: json.loads(found) for name, found in names.items() if found}
    rows = pa.concat_tables([_told(name, table) for name, table in tables.items()])
    return rows.replace_schema_metadata({"labels": canonical_json(labels).decode()})


def _told(name: str, table: pa.Table) -> pa.Table:
    kind, n = pa.list_(pa.float64()), table.num_rows
    scores = table["scores"].cast(kind) if "scores" in table.column_names else pa.nulls(n, kind)
    return pa.table(
        {
            "row_id": table["row_id"],
            "task": pa.array([name] * n, pa.string()),
            "truth": table.column(1).cast(pa.string()),
            "answer": table["predicted"].cast(pa.string()),
            "scores": scores,
        }
    )


def _lacks(name: str, column: str, recorded: Mapping[str, str], there: set[str]) -> Problem | None:
    if column in there:
        return None
    found = t("no column `{column}`, which the task `{task}` learned", column=column, task=name)
    if name not in recorded:
        found = t("model.json does not say which column the task `{task}` learned, and none has its name", task=name)
    return Problem(
        "data",
        found,
        t("one of: {names}", names=", ".join(sorted(there))),
        t("give the data a column `{column}`; rows that are not of this task leave it empty", column=column),
    )


def _refuse() -> NoReturn:
    raise InputError(
        t("a model of several tasks cannot be measured here"),
        where="model",
        expected=t("a model of one task"),
        remedy=t("evaluate.quality and evaluate.validation measure each of its tasks, evaluate.latency its speed"),
    )


FAMILY = Many()
