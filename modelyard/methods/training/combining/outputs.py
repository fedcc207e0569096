"""What several models answer to the labelled rows of one split."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.data.row_random import ranks
from modelyard.methods.preprocessing.table import number_of
from modelyard.methods.runtimes import combination
from modelyard.methods.runtimes.ensemble import numbers, probabilities
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Predictor

EXAMPLES = 64
"""Records that are kept: for golden answers, and to see how long an answer takes."""
PURPOSE = "combine"


@dataclass(frozen=True)
class Outputs:
    """Answers of M models to the n rows that all of them can answer.

    Attributes:
        members: probabilities [M, n, classes], or numbers [M, n].
        targets: class places [n] int64, or numbers [n] float64.
        names: row ids.
        units: what is never cut in two between folds: the group of a row, or its id.
        examples: the first records.
        left_out: row id and reason of each row without a usable label, or that a model cannot answer.
    """

    members: NDArray[np.float64]
    targets: NDArray[Any]
    names: tuple[str, ...]
    units: tuple[str, ...]
    examples: tuple[Mapping[str, Any], ...]
    left_out: tuple[tuple[str, str], ...]

    def folds(self, k: int, seed: int) -> NDArray[np.int64]:
        """Fold of each row [n], 0 to k - 1: a function of the seed and the units alone. Groups are kept whole."""
        units = sorted(set(self.units))
        order = np.argsort(ranks(seed, PURPOSE, units), kind="stable")
        place = {units[one]: position % k for position, one in enumerate(order.tolist())}
        return np.array([place[unit] for unit in self.units], np.int64)


def gather(
    predictors: Sequence[Predictor],
    columns: Sequence[str],
    data: Dataset,
    split: str,
    batch_rows: int,
    progress: Callable[[int, int, str], None],
) -> Outputs:
    """Ask all models about all rows of a split.

    Args:
        predictors: of one task and the same labels, in any order; the first one's order is taken.
        columns: that the models read, if they read tables.

    Raises:
        InputError: the data lacks what the models read, or no row can be answered.
    """
    task, labels = predictors[0].task, predictors[0].labels
    fields = record_fields(task, columns, data)
    label, group = data.need("label"), data.role("group")
    wanted = list(dict.fromkeys([ROW_ID, label, *([group] if group else []), *fields.values()]))
    total, done = data.num_rows(split), 0
    found = _Found(predictors, {name: place for place, name in enumerate(labels)})
    for batch in data.batches(split, wanted, batch_rows):
        rows = batch.to_pylist()
        records = [{field: row[column] for field, column in fields.items()} for row in rows]
        ids = [
            (str(row[ROW_ID]), str(row[group]) if group and row[group] is not None else str(row[ROW_ID]))
            for row in rows
        ]
        found.take(records, [row[label] for row in rows], ids)
        done += len(rows)
        progress(done, total, "rows")
    return found.outputs(split)


def record_fields(task: str, columns: Sequence[str], data: Dataset) -> dict[str, str]:
    """Field of a record to column of the data. Raises InputError if a column is not there."""
    for kind in ("text", "image"):
        if task.startswith(kind):
            return {kind: data.need(kind)}
    there = [column.name for column in data.columns]
    missing = [name for name in columns if name not in there]
    if missing:
        raise InputError(
            t("the data has no column `{name}`, which a model reads", name=missing[0]),
            where="data",
            expected=", ".join(columns),
            remedy=did_you_mean(missing[0], there),
        )
    return {name: name for name in columns}


def sample(data: Dataset, split: str, card: ModelCard, rows: int, seed: int) -> list[dict[str, Any]]:
    """At most so many records of a split as a model reads them, drawn by row id, in the order of the data."""
    fields = record_fields(card.task, list(card.inputs), data)
    order = np.argsort(ranks(seed, PURPOSE, [str(name) for name in data.column(split, ROW_ID)]), kind="stable")
    chosen, position, found = set(order[:rows].tolist()), 0, []
    for batch in data.batches(split, list(fields.values())):
        for offset, row in enumerate(batch.to_pylist(), position):
            if offset in chosen and all(row[column] is not None for column in fields.values()):
                found.append({field: row[column] for field, column in fields.items()})
        position += batch.num_rows
    return found


class _Found:
    """Gathers answers batch by batch."""

    def __init__(self, predictors: Sequence[Predictor], places: Mapping[str, int]) -> None:
        self.predictors, self.places = predictors, places
        self.scored = predictors[0].task in combination.SCORED
        self.parts: list[NDArray[np.float64]] = []
        self.targets: list[Any] = []
        self.ids: list[tuple[str, str]] = []
        self.examples: list[Mapping[str, Any]] = []
        self.left_out: list[tuple[str, str]] = []

    def take(self, records: Sequence[Mapping[str, Any]], labels: Sequence[Any], ids: Sequence[tuple[str, str]]) -> None:
        goals = [self.target(label) for label in labels]
        self.left_out += [(ids[row][0], t("no usable label")) for row, goal in enumerate(goals) if goal is None]
        kept = [row for row, goal in enumerate(goals) if goal is not None]
        try:
            parts = [self.ask([records[row] for row in kept])] if kept else []
        except InputError:
            kept, parts = self.one_by_one(records, kept, ids)
        self.parts += parts
        self.targets += [goals[row] for row in kept]
        self.ids += [ids[row] for row in kept]
        self.examples += [_as_json(records[row]) for row in kept[: EXAMPLES - len(self.examples)]]

    def target(self, label: Any) -> Any:
        """None if it is no label of the models, or no number."""
        if self.scored:
            return self.places.get(str(label)) if label is not None else None
        try:
            number = number_of(label)
        except ValueError:
            return None
        return None if np.isnan(number) else number

    def ask(self, records: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """[models, rows, …]. Raises InputError if one cannot answer one of them."""
        answers = [predictor.predict(records) for predictor in self.predictors]
        if self.scored:
            return np.stack([probabilities(one, list(self.places)) for one in answers])
        return np.stack([numbers(one) for one in answers])

    def one_by_one(
        self, records: Sequence[Mapping[str, Any]], rows: Sequence[int], ids: Sequence[tuple[str, str]]
    ) -> tuple[list[int], list[NDArray[np.float64]]]:
        """A batch that failed: which rows can be answered by all, and the answers."""
        kept, parts = [], []
        for row in rows:
            try:
                parts.append(self.ask([records[row]]))
                kept.append(row)
            except InputError as error:
                self.left_out.append((ids[row][0], error.problems[0].found))
        return kept, parts

    def outputs(self, split: str) -> Outputs:
        if not self.parts:
            raise InputError(
                t("no {split} row has a label that the models know and can be answered", split=split),
                where=f"data/{split}",
                remedy=self.left_out[0][1] if self.left_out else "",
            )
        kind = np.int64 if self.scored else np.float64
        return Outputs(
            np.concatenate(self.parts, 1),
            np.array(self.targets, kind),
            tuple(name for name, _ in self.ids),
            tuple(unit for _, unit in self.ids),
            tuple(self.examples),
            tuple(self.left_out),
        )


def _as_json(record: Mapping[str, Any]) -> dict[str, Any]:
    """The same record as it can stand in a JSON file: an image as base64."""
    return {
        name: base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value
        for name, value in record.items()
    }
