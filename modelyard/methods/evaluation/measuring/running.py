"""What both measuring stages do: open the model, find its family, ask it, measure; each task of several by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelyard.errors import InputError
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.evaluation import document as documents
from modelyard.methods.evaluation import measuring
from modelyard.methods.evaluation.estimates import Estimate, as_json
from modelyard.methods.evaluation.measuring import many
from modelyard.methods.evaluation.measuring.examples import Examples, Note, known
from modelyard.methods.evaluation.measuring.family import Family, Measured, Part, Shown
from modelyard.methods.evaluation.opening import opened
from modelyard.methods.evaluation.settings import Measuring
from modelyard.methods.runtimes.reading import repairs_in
from modelyard.methods.tasks.multitask import is_empty
from modelyard.methods.text.repair import Repair
from modelyard.methods.text.travelling import repaired

WITH_LABELS = "classification"
NO_ROWS = "no row of the split has a text and a truth in its column"


@dataclass(frozen=True)
class Result:
    """A model, or one of its tasks, measured on a split.

    Attributes:
        about: runtime and digest of what answered.
        name, column: of one task among several, else empty.
        elsewhere: row ids that have no truth in `column`: rows of other tasks.
        repairs: of texts, that the model makes before it reads them.
    """

    task: str
    family: Family
    examples: Examples
    measured: Measured
    about: Mapping[str, str]
    name: str = ""
    column: str = ""
    elsewhere: frozenset[str] = frozenset()
    repairs: tuple[Repair, ...] = ()

    @property
    def left_out(self) -> list[str]:
        """Row ids that should have been judged and could not."""
        return [row_id for row_id in self.examples.left_out if row_id not in self.elsewhere]

    def slice(self, estimate: Estimate) -> dict[str, str]:
        """Which rows an estimate is about, by task too where there are several."""
        return ({"task": self.name} if self.name else {}) | dict(estimate.slice)

    def told(self, text: str) -> str:
        """A line, after the name of the task where there are several."""
        return f"{self.name}: {text}" if self.name else text

    def document(self, shown: Shown, seed: int) -> dict[str, Any]:
        """`quality.json` without what was learned from train."""
        parts = self.family.document(self.measured, self.examples, shown, seed)
        whole = {
            "version": documents.VERSION,
            "n": len(self.examples),
            "overall": {one.name: as_json(one) for one in self.measured.estimates if not one.slice},
            "missing": dict(self.measured.missing),
            "left_out": self.left_out,
            "predictor": dict(self.about),
        }
        if self.name:
            whole |= {"task": self.task, "column": self.column, "elsewhere": len(self.elsewhere)}
        return whole | ({} if "confusion" in parts else {"task": self.task}) | parts


@dataclass(frozen=True)
class Results:
    """A model on a split.

    Attributes:
        parts: one for a model of one task, else one for each task that has rows.
        unmeasured: tasks without rows, and the reason.
    """

    task: str
    split: str
    parts: tuple[Result, ...]
    unmeasured: Mapping[str, str] = field(default_factory=dict)

    def together(self, reports: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """One report from that of each part by its name: of one task it is the report itself."""
        if set(reports) == {""}:
            return dict(reports[""])
        return {
            "version": documents.VERSION,
            "task": self.task,
            "split": self.split,
            "tasks": {name: dict(report) for name, report in reports.items()},
            "unmeasured": dict(self.unmeasured),
        }

    def predictions(self) -> pa.Table:
        """One row a judged row, of several tasks one a row and task."""
        tables = {one.name: one.family.predictions(one.measured, one.examples) for one in self.parts}
        if set(tables) == {""}:
            return tables[""]
        return many.predictions(tables)


Begin = Callable[[str, int, str], None]


def run(model: Path, data: Dataset, split: str, settings: Measuring, seed: int, begin: Begin, note: Note) -> Results:
    """Measure a split. `begin(task, rows, runtime)` hears before the first question to each part; the name of a task is
    empty where there is one.

    Raises InputError if the task has no family, the data no such columns, or the split no row that can be judged.
    """
    found: list[Result] = []
    repairs = repairs_in(model)
    unmeasured: dict[str, str] = {}
    with opened(model, settings.threads) as predictor:
        parts = measuring.find(predictor.task).parts(predictor, data, settings)
        read = [(part, _examples(part, split, settings)) for part in parts]
        for part, examples in read:
            if part.name and not len(examples) and any(len(other) for _, other in read):
                unmeasured[part.name] = NO_ROWS
                continue
            begin(part.name, len(examples), predictor.runtime)
            with _of_task(part.name):
                found.append(replace(_measured(part, examples, settings, seed, note), repairs=repairs))
        task = predictor.task
    return Results(task, split, tuple(found), unmeasured)


def _examples(part: Part, split: str, settings: Measuring) -> Examples:
    reader = part.family.reader(part.data, part.predictor.task, settings)
    return Examples.read(part.data, split, many.of_column(reader, part.column) if part.column else reader)


@contextmanager
def _of_task(name: str) -> Iterator[None]:
    """Errors about the data say which of several tasks they are about."""
    try:
        yield
    except InputError as error:
        if not name:
            raise
        told = [replace(one, where=f"{name}: {one.where}" if one.where else name) for one in error.problems]
        raise InputError.of(told) from None


def _measured(part: Part, examples: Examples, settings: Measuring, seed: int, note: Note) -> Result:
    predictor = part.predictor
    answers = part.family.answer(predictor, examples, settings, note)
    measured = part.family.measure(answers, examples, settings, seed)
    about = {"runtime": predictor.runtime, "digest": predictor.digest}
    elsewhere = _empty(part, examples.split) if part.column else frozenset()
    return Result(predictor.task, part.family, examples, measured, about, part.name, part.column, elsewhere)


def in_train(found: Result, train: Dataset | None, settings: Measuring) -> NDArray[np.bool_] | None:
    """For each judged row [n], whether it stands in train; None if that cannot be known.

    Args:
        train: other data whose train the model learned from; None: that of the judged rows.
    """
    examples, read = found.examples, partial(repaired, found.repairs)
    if train is None:
        return known(examples, examples.data, read=read) if examples.data.num_rows("train") else None
    if not train.num_rows("train"):
        return None
    try:
        reader = found.family.reader(
            many.of_label(train, found.column) if found.column else train, found.task, settings
        )
    except InputError:
        return None
    if reader.fields.kind == "table" and _compared(train) != _compared(examples.data):
        return None
    reader = many.of_column(reader, found.column) if found.column else reader
    return known(examples, train, reader=reader, read=read)


def _compared(data: Dataset) -> list[str]:
    """Columns in which rows of tables must agree to be twins."""
    return [one.name for one in data.columns if one.role in ("feature", "label")]


def _empty(part: Part, split: str) -> frozenset[str]:
    rows = part.data.table(split, [ROW_ID, part.column])
    pairs = zip(rows.column(ROW_ID).to_pylist(), rows.column(part.column).to_pylist(), strict=True)
    return frozenset(str(row_id) for row_id, value in pairs if is_empty(value))
