"""Classes made more equal, in training rows alone: more copies, fewer rows, synthetic rows, or weights.

What is done to train never reaches validation, and a stage that does it cannot see test: the popular mistake of
oversampling first and splitting afterwards, which puts copies of one row on both sides, has no way to be written.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods.data.account import Account
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Column, Dataset, SplitWriter, write_schema
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.row_random import ranks

PURPOSE = "balance"
WEIGHT = "weight"
OVER, UNDER = "oversampled", "undersampled"
Progress = Callable[[int, int], None]
Factors = Callable[[pa.RecordBatch], list[float | None]]


def raised(counts: Mapping[str, int], ratio: float, rows: Mapping[str, int]) -> dict[str, int]:
    """Rows each class should have so that none has less than `ratio` of the largest; `rows` overrides by class."""
    least = math.ceil(ratio * max(counts.values()))
    return {label: rows.get(label, max(count, least)) for label, count in counts.items()}


def lowered(counts: Mapping[str, int], ratio: float, rows: Mapping[str, int]) -> dict[str, int]:
    """Rows each class should have so that the smallest is at least `ratio` of every other."""
    most = math.floor(min(counts.values()) / ratio)
    return {label: rows.get(label, min(count, most)) for label, count in counts.items()}


def class_weights(counts: Mapping[str, int]) -> dict[str, float]:
    """Rows over (classes x rows of the class): every class weighs the same in all, the mean weight is 1."""
    total = sum(counts.values())
    return {label: total / (len(counts) * count) for label, count in counts.items()}


def copies(
    labels: Sequence[str | None], row_ids: Sequence[str], wanted: Mapping[str, int], seed: int
) -> NDArray[np.int64]:
    """How often each row goes out: n times (or n + 1 for rows drawn by hash) so that each class has `wanted` rows.

    Returns:
        int64 [rows]; 1 for rows without a label.
    """
    found = np.ones(len(labels), np.int64)
    order = ranks(seed, PURPOSE, row_ids)
    names = np.array([label if label is not None else "" for label in labels], object)
    known = np.array([label is not None for label in labels])
    for label, target in wanted.items():
        members = np.flatnonzero((names == label) & known)
        whole, rest = divmod(target, len(members))
        found[members] = whole
        found[members[np.argsort(order[members], kind="stable")[:rest]]] += 1
    return found


def label_counts(data: Dataset, split: str) -> Counter[str]:
    """Rows by class, of those that have one. Raises InputError if there are fewer than two classes."""
    name = data.need("label")
    counts: Counter[str] = Counter()
    for batch in data.batches(split, [name]):
        counts.update(label for label in batch.column(0).to_pylist() if label is not None)
    if len(counts) < 2:
        raise InputError(
            t("{n} class in {split}: nothing to balance", n=len(counts), split=split),
            where=str(data.path.name),
            expected=t("at least two classes"),
        )
    return counts


def check_rows(rows: Mapping[str, int], counts: Mapping[str, int]) -> None:
    """Raises InputError if `rows` names a class that train does not have."""
    for label in rows:
        if label not in counts:
            raise InputError(
                t("`rows` names the class `{label}`, which train does not have", label=label),
                where="data.balance",
                remedy=did_you_mean(label, list(counts)),
            )


def resample(
    data: Dataset, wanted: Mapping[str, int], seed: int, target: Path, removed: Path, progress: Progress
) -> Account:
    """Write train with each class at its wanted number of rows, and validation as it is. Copies follow their row.

    A copy's id is the row's with `~1`, `~2` … (`~~1` if ids have `~` already), so that what it came from is seen.
    """
    label = data.need("label")
    labels: list[str | None] = data.column("train", label)
    times = copies(labels, data.column("train", ROW_ID), wanted, seed)
    del labels
    mark = mark_of(data, "~")
    write_schema(target, data.columns)
    schema = schema_of(data.columns)
    start = 0
    with ChangeLog(removed) as log, SplitWriter(target, "train", schema) as writer:
        for batch in data.batches("train"):
            part = times[start : start + batch.num_rows]
            _tell(log, batch, part, label, mark)
            writer.write(repeated(batch, part, mark))
            start += batch.num_rows
            progress(start, len(times))
        log.kept(writer.num_rows)
    copy_split(data, "validation", target, schema)
    return log.account


def mark_of(data: Dataset, mark: str) -> str:
    """The mark, repeated until no row id holds it: ids made with it are new, however often rows were copied."""
    longest = 0
    for split in ("train", "validation"):
        for batch in data.batches(split, [ROW_ID]):
            runs = (run for name in batch.column(0).to_pylist() if mark in name for run in _runs(name, mark))
            longest = max(longest, max(runs, default=0))
    return mark * (longest + 1)


def _runs(name: str, mark: str) -> list[int]:
    """Lengths of the runs of `mark` in a name."""
    return [len(run) for run in re.findall(f"{re.escape(mark)}+", name)]


def repeated(batch: pa.RecordBatch, times: NDArray[np.int64], mark: str) -> pa.Table:
    """Each row so many times; copies have the row's id with the mark and a number."""
    places = np.repeat(np.arange(len(times)), times)
    numbers = np.arange(len(places)) - np.repeat(np.cumsum(times) - times, times)
    rows = pa.Table.from_batches([batch]).take(pa.array(places))
    ids = [
        f"{row_id}{mark}{number}" if number else row_id
        for row_id, number in zip(rows.column(ROW_ID).to_pylist(), numbers.tolist(), strict=True)
    ]
    return rows.set_column(rows.schema.get_field_index(ROW_ID), ROW_ID, pa.array(ids, pa.string()))


def _tell(log: ChangeLog, batch: pa.RecordBatch, times: NDArray[np.int64], label: str, mark: str) -> None:
    log.account.num_in += batch.num_rows
    for place in np.flatnonzero(times != 1).tolist():
        row = batch.slice(place, 1).to_pylist()[0]
        if not times[place]:
            log.removed(row[ROW_ID], UNDER, t("class {label} has more rows than asked for", label=row[label]), row)
        for number in range(1, int(times[place])):
            log.added(f"{row[ROW_ID]}{mark}{number}", OVER, t("a copy of {row}", row=row[ROW_ID]))


def weigh(data: Dataset, weights: Mapping[str, float], target: Path, removed: Path, progress: Progress) -> Account:
    """Every row of train by its class; see `weigh_rows`. Rows without a class keep their weight."""
    label = data.need("label")

    def factors(batch: pa.RecordBatch) -> list[float | None]:
        return [weights.get(name) for name in batch.column(label).to_pylist()]

    return weigh_rows(data, factors, target, removed, progress)


def weigh_rows(data: Dataset, factors: Factors, target: Path, removed: Path, progress: Progress) -> Account:
    """Write both splits with a weight column: of train the factor times the row's own, of validation as it was.

    A data set without weights gets the column `weight`.

    Args:
        factors: of each row of a batch of train; None: 1.

    Raises:
        InputError: a column of another role is called `weight`.
    """
    own = data.role("weight")
    name = own or WEIGHT
    if own is None and any(column.name == WEIGHT for column in data.columns):
        raise InputError(
            t("a column is called `{name}` but has another role", name=WEIGHT),
            where=WEIGHT,
            remedy=t("give it the role in data.read: `weight: {name}`", name=WEIGHT),
        )
    columns = data.columns if own else (*data.columns, Column(WEIGHT, "weight", "double"))
    schema = schema_of(columns)
    write_schema(target, columns)
    total = data.num_rows("train")
    with ChangeLog(removed) as log:
        for split in ("train", "validation"):
            with SplitWriter(target, split, schema) as writer:
                for batch in data.batches(split):
                    before = batch.column(own).to_pylist() if own else [1.0] * batch.num_rows
                    by = factors(batch) if split == "train" else [None] * batch.num_rows
                    after = [_weight(old, factor) for old, factor in zip(before, by, strict=True)]
                    writer.write(_with_column(batch, name, after))
                    if split == "train":
                        log.account.num_in += batch.num_rows
                        changed = sum(
                            new != (1.0 if old is None else old) for old, new in zip(before, after, strict=True)
                        )
                        log.kept(batch.num_rows, changed)
                        progress(log.account.num_in, total)
    return log.account


def _weight(own: float | None, factor: float | None) -> float:
    return (1.0 if own is None else own) * (1.0 if factor is None else factor)


def _with_column(batch: pa.RecordBatch, name: str, values: list[float]) -> pa.Table:
    rows = pa.Table.from_batches([batch])
    place = rows.schema.get_field_index(name)
    column = pa.array(values, pa.float64())
    return rows.append_column(name, column) if place < 0 else rows.set_column(place, name, column)


def copy_split(data: Dataset, split: str, target: Path, schema: pa.Schema) -> None:
    """A split as it is."""
    with SplitWriter(target, split, schema) as writer:
        for batch in data.batches(split):
            writer.write(batch)
