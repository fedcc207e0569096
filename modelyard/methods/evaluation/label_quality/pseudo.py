"""Rows of a pool that join the training rows: those people have labelled, and those a model is sure enough about.

Validation is halved by a keyed hash of the row id: one half chooses thresholds (thresholds.py), the other measures the
precision they come to. Nothing is used twice. What was used before is not undone: a model whose training looked at
validation too (early stopping, temperature) is a little surer of those rows than of new ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.account import Account
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import Column, Dataset, SplitWriter, write_schema
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.row_random import ranks
from modelyard.methods.evaluation.label_quality import thresholds
from modelyard.methods.evaluation.label_quality.pool import Known, Part, answers, fresh
from modelyard.methods.evaluation.label_quality.thresholds import Precision
from modelyard.methods.evaluation.rows import LabelledRows
from modelyard.methods.runtimes.predictor import Predictor
from modelyard.methods.text.travelling import repaired

By = Literal["class", "global"]
PURPOSE = "pseudo-label halves"
PSEUDO, PEOPLE = "pseudo-labelled", "labelled by people"
ORIGIN, WEIGHT = "origin", "weight"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Chosen:
    """Thresholds and what they come to on the other half of validation.

    Attributes:
        labels: the model's.
        thresholds: [classes]; NaN where none reaches the target.
        precision: of all answers above them; by_class: of those of each class.
        num_choosing: rows of the half that chose.
    """

    labels: tuple[str, ...]
    thresholds: NDArray[np.float64]
    precision: Precision
    by_class: tuple[Precision, ...]
    num_choosing: int

    @property
    def any(self) -> bool:
        return bool(np.isfinite(self.thresholds).any())


def choose(predictor: Predictor, validation: LabelledRows, target: float, level: float, by: By, seed: int) -> Chosen:
    """Thresholds for a model's answers.

    Args:
        target: precision wanted.
        level: chance of staying below it.

    Raises:
        InputError: validation has fewer than two rows.
    """
    if len(validation) < 2:
        raise InputError(
            t("validation has no rows to choose a threshold by"),
            where="data/validation",
            remedy=t("give `data.split` a larger share for this split"),
        )
    found = answers(predictor, validation.texts)
    predicted, confidence = found.argmax(1), found.max(1)
    named = np.asarray(predictor.labels, object)[predicted]
    right = named == np.asarray(validation.labels, object)
    half = np.zeros(len(validation), bool)
    half[ranks(seed, PURPOSE, validation.row_ids).argsort(kind="stable")[: len(validation) // 2]] = True
    num_classes = len(predictor.labels)
    if by == "class":
        each = thresholds.choose_by_class(predicted[half], confidence[half], right[half], num_classes, target, level)
    else:
        each = [thresholds.choose(confidence[half], right[half], target, level)] * num_classes
    limits = np.array([np.nan if one is None else one for one in each])
    other = ~half
    parts = [other & (predicted == label) for label in range(num_classes)]
    return Chosen(
        predictor.labels,
        limits,
        thresholds.measure(confidence[other], right[other], limits[predicted[other]]),
        tuple(thresholds.measure(confidence[part], right[part], limits[predicted[part]]) for part in parts),
        int(half.sum()),
    )


@dataclass
class Outcome:
    """What was added, and what was not.

    Attributes:
        added: pseudo-labelled rows by label.
        left_out: rows of the pool by reason.
    """

    account: Account = field(default_factory=Account)
    added: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


def extend(
    data: Dataset,
    pool: Dataset,
    predictor: Predictor | None,
    chosen: Chosen | None,
    weight: float,
    target: Path,
    log_folder: Path,
    progress: Progress,
) -> Outcome:
    """Write train with rows of the pool added, and validation as it is.

    Every row says where its label is from in the column `origin` (given, people, model); pseudo-labelled rows have
    `weight`, others the weight they had or 1. Columns the pool does not have are empty in its rows.

    Args:
        predictor, chosen: None adds only rows that people have labelled.
    """
    outcome = Outcome()
    columns = _columns(data)
    schema, own = schema_of(columns), data.role("weight") or WEIGHT
    write_schema(target, columns)
    rows: dict[str, Any]
    with ExitStack() as stack:
        log = stack.enter_context(ChangeLog(log_folder, outcome.account))
        for split in ("validation", "train"):
            writer = stack.enter_context(SplitWriter(target, split, schema))
            for batch in data.batches(split):
                outcome.account.num_in += batch.num_rows
                rows = {name: batch.column(name) for name in batch.schema.names}
                writer.write(_fitted({own: 1.0, ORIGIN: "given"} | rows, schema, batch.num_rows))
                log.kept(batch.num_rows)
        known = Known.of(data, ("train", "validation"))
        for part in fresh(pool, known, outcome.left_out, progress):
            for origin, places, labels, share in _split(part, predictor, chosen, outcome):
                rows = _renamed(part.table.take(pa.array(places, pa.int64())), pool, data, labels)
                rows = {own: 1.0} | rows | ({own: weight} if origin == "model" else {}) | {ORIGIN: origin}
                writer.write(_fitted(rows, schema, len(places)))
                log.kept(len(places))
                reason = PSEUDO if origin == "model" else PEOPLE
                for place, label, sure in zip(places, labels, share, strict=True):
                    log.added(part.row_ids[place], reason, f"{label} ({sure:.4f})" if origin == "model" else label)
    return outcome


def _split(
    part: Part, predictor: Predictor | None, chosen: Chosen | None, outcome: Outcome
) -> list[tuple[str, list[int], list[str], list[float]]]:
    """(origin, places, labels, confidences) of the rows of a part that are added."""
    people = [place for place, label in enumerate(part.labels) if label is not None]
    found = [("people", people, [str(part.labels[place]) for place in people], [1.0] * len(people))]
    rest = [place for place, label in enumerate(part.labels) if label is None]
    if predictor is None or chosen is None or not chosen.any:
        outcome.left_out["no label" if predictor is None else "no threshold"] += len(rest)
        return [one for one in found if one[1]]
    probabilities = answers(predictor, [part.texts[place] for place in rest])
    best, confidence = probabilities.argmax(1), probabilities.max(1)
    sure = np.flatnonzero(confidence >= chosen.thresholds[best])
    outcome.left_out["not sure enough"] += len(rest) - len(sure)
    labels = [chosen.labels[best[place]] for place in sure]
    outcome.added.update(labels)
    found.append(("model", [rest[place] for place in sure.tolist()], labels, confidence[sure].tolist()))
    return [one for one in found if one[1]]


def _columns(data: Dataset) -> list[Column]:
    """Those of the data, with weight and origin. Raises InputError if another column has such a name."""
    columns, there = list(data.columns), {column.name: column for column in data.columns}
    made = [Column(ORIGIN, "other", "string")]
    if data.role("weight") is None:
        made.insert(0, Column(WEIGHT, "weight", "double"))
    for column in made:
        if there.get(column.name, column) != column:
            raise InputError(
                t("the data has a column `{name}`, which is to be made", name=column.name),
                where="data.pseudo_label",
                remedy=t("leave it out: `keep: [...]` in data.read"),
            )
        if column.name not in there:
            columns.append(column)
    return columns


def _renamed(table: pa.Table, pool: Dataset, data: Dataset, labels: Sequence[str]) -> dict[str, Any]:
    """A pool's columns by name, text and label under the data's names; texts repaired as those of the data were."""
    found = {name: table.column(name) for name in table.column_names}
    text, name = found.pop(pool.need("text")), data.need("text")
    if repairs := data.repairs(name):
        text = pa.chunked_array([[one and repaired(repairs, one) for one in text.to_pylist()]], text.type)
    return found | {name: text, data.need("label"): pa.array(labels, pa.string())}


def _fitted(values: Mapping[str, Any], schema: pa.Schema, num_rows: int) -> pa.Table:
    """A table of a schema from columns or single values; what is lacking is empty.

    Raises:
        InputError: a column of the pool cannot be what it is in the data.
    """
    columns = []
    for one in schema:
        value = values.get(one.name)
        if value is None or isinstance(value, str | float):
            columns.append(pa.array([value] * num_rows, one.type))
            continue
        try:
            columns.append(value.cast(one.type))
        except pa.ArrowException as error:
            raise InputError(
                t("the pool's column `{name}` is not what it is in the data: {error}", name=one.name, error=error),
                where="pool",
                expected=str(one.type),
            ) from None
    return pa.table(columns, schema)
