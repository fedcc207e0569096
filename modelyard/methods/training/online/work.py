"""Test-then-train over a stream: each row is answered with what was learned before it, then learned.

The step from row to row has no randomness, so a stream gives the same bits in one part or in several, killed and
resumed or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError, StageError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.preprocessing.ngrams_hashed import HashedNgrams
from modelyard.methods.preprocessing.table_hashed import HashedTable
from modelyard.methods.runtimes.golden import NUM_RECORDS
from modelyard.methods.tasks.text_classification import FIELD
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.online import state as states
from modelyard.methods.training.online import stream
from modelyard.methods.training.online.settings import Drift
from modelyard.methods.training.online.state import State
from modelyard.methods.training.online.stream import Row

CHECKPOINT = "checkpoint.safetensors"
TEXT_RATE, TABLE_RATE = 0.2, 0.05
"""Tried on 12,000 posts of SMP 2020 and 30,000 rows of SEA."""


class Online:
    """A stream being learned."""

    def __init__(self, state: State, drift: Drift, max_labels: int, hooks: Hooks) -> None:
        self.state, self.drift, self.max_labels, self.hooks = state, drift, max_labels, hooks
        self.unlabelled = self.unreadable = 0

    def run(self, data: Dataset, fields: Mapping[str, str], scratch: Path, every: int) -> None:
        """Learn the train rows that are not taken yet; a checkpoint after every so many.

        Raises:
            InputError: more classes than `max_labels`.
            StageError: weights are no longer numbers.
        """
        total, saved = data.num_rows("train"), self.state.taken
        for block in stream.rows(data, "train", fields, self.state.taken):
            self.block(block)
            self.state.taken += len(block)
            self.hooks.progress(self.state.taken, total, "rows")
            if self.state.taken - saved >= every:
                self.state.save(scratch / CHECKPOINT)
                saved = self.state.taken
        if not states.weights_are_finite(self.state):
            raise StageError(t("training broke down: weights are no longer numbers"), remedy=t("a lower learning rate"))

    def block(self, rows: Sequence[Row]) -> None:
        """Learn these rows, one after the other."""
        labelled = [row for row in rows if row.label is not None]
        readable = [row for row in labelled if is_readable(self.state.reader, row)]
        self.unlabelled += len(rows) - len(labelled)
        self.unreadable += len(labelled) - len(readable)
        if isinstance(self.state.reader, HashedTable):
            for row in readable:
                self._table_row(row)
            return
        for row, (ids, values) in zip(readable, features(self.state.reader, readable), strict=True):
            self.row(row, ids, values)

    def _table_row(self, row: Row) -> None:
        """The row is read with the means of the rows before it, then belongs to them."""
        reader = self.state.reader
        assert isinstance(reader, HashedTable)
        cells = reader.cells(row.record)
        self.row(row, *reader.weigh(cells))
        columns = [
            column.seen(cell) if isinstance(cell, float) else column
            for column, cell in zip(reader.columns, cells, strict=True)
        ]
        self.state.reader = HashedTable(tuple(columns), reader.bits)

    def row(self, row: Row, ids: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        """Answer, compare, learn."""
        state, learner = self.state, self.state.learner
        logits = learner.logits(ids, values)
        answer = int(logits.argmax()) if len(logits) else -1
        majority = int(np.argmax(state.counts)) if state.counts else -1
        before = len(state.labels)
        label = self._label(str(row.label))
        if label == before:
            logits = np.append(logits, np.float32(0))
        self._judge(answer == label, majority == label, state.last == label)
        learner.learn(ids, values, label, row.weight, logits)
        state.counts[label] += 1
        state.last = label
        if len(state.examples) < NUM_RECORDS:
            state.examples.append(row.record)

    def _label(self, name: str) -> int:
        """Its place; a new class gets the next."""
        labels = self.state.labels
        if name not in labels:
            if len(labels) == self.max_labels:
                raise InputError(
                    t("the stream has more than {count} classes", count=self.max_labels),
                    where="data/train",
                    remedy=t("check the column named as label, or raise `learning.max_labels`"),
                )
            labels.append(name)
            self.state.counts.append(0)
            self.state.learner.grow()
        return labels.index(name)

    def _judge(self, hit: bool, majority: bool, last: bool) -> None:
        state = self.state
        accuracy = state.curve.add(hit, majority, last)
        if accuracy is not None:
            self.hooks.log(state.curve.rows, accuracy=accuracy, accuracy_so_far=state.curve.hits / state.curve.rows)
        change = state.adwin.update(0.0 if hit else 1.0)
        if change is None:
            return
        if change > 0:
            self._drifted()
        # A change was found, up or down: the next one is looked for in what comes.
        state.adwin = type(state.adwin)(state.adwin.delta)

    def _drifted(self) -> None:
        state = self.state
        state.num_drifts += 1
        state.drifts = [*state.drifts, state.curve.rows][-states.MOST_DRIFTS :]
        self.hooks.say(t("drift after {rows:,} rows: the share of errors rose", rows=state.curve.rows))
        if self.drift.answer == "rates":
            state.learner.hurry()
        elif self.drift.answer == "model":
            state.learner.forget()


def rate_for(reader: HashedNgrams | HashedTable) -> float:
    """AdaGrad's usual step size: n-grams are many and rare, columns few and always there."""
    return TABLE_RATE if isinstance(reader, HashedTable) else TEXT_RATE


def begin(
    scratch: Path, former: Path | None, fresh: State, rate: float, l2: float, delta: float, hooks: Hooks
) -> State:
    """The state to go on from: a killed run's, the former model's, or a fresh one.

    Raises:
        InputError: the former model reads other columns, or has a table of another size.
    """
    if (scratch / CHECKPOINT).exists():
        found = states.load(scratch / CHECKPOINT, rate, l2, delta)
        hooks.say(t("going on from row {row}", row=found.taken))
        return found
    if former is None:
        return fresh
    found = states.load(former / states.FILE, rate, l2, delta)
    wanted, there = (_shape(one.reader) for one in (fresh, found))
    if wanted != there:
        raise InputError(
            t("the former model reads otherwise: {found}", found=there), where=str(former), expected=wanted
        )
    hooks.say(t("going on from a model of {rows:,} rows", rows=found.curve.rows))
    found.taken = 0
    return found


def _shape(reader: Any) -> str:
    """How a reader reads, in words for a message."""
    if isinstance(reader, HashedTable):
        names = ", ".join(f"{one.name} ({t('names')})" if one.named else one.name for one in reader.columns)
        return f"{names}; bits {reader.bits}"
    return f"text, {reader.max_chars}; bits {reader.bits}"


def validate(state: State, data: Dataset, fields: Mapping[str, str]) -> tuple[int, int]:
    """Right answers and rows of validation, of the rows that have a label and can be read. Nothing is learned."""
    if "validation" not in data.splits():
        return 0, 0
    hits = count = 0
    for block in stream.rows(data, "validation", fields):
        rows = [row for row in block if row.label is not None and is_readable(state.reader, row)]
        for row, (ids, values) in zip(rows, features(state.reader, rows), strict=True):
            hits += state.labels[int(state.learner.logits(ids, values).argmax())] == row.label
            count += 1
    return hits, count


def features(
    reader: HashedNgrams | HashedTable, rows: Sequence[Row]
) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Ids and weights of rows that can be read, as the reader is now."""
    if isinstance(reader, HashedTable):
        return [reader.weigh(reader.cells(row.record)) for row in rows]
    texts = [row.record[FIELD] for row in rows]
    places, ids, values = reader.sparse(texts)
    ends = np.searchsorted(places, np.arange(len(texts) + 1))
    return [(ids[start:end], values[start:end]) for start, end in pairwise(ends)]


def is_readable(reader: HashedNgrams | HashedTable, row: Row) -> bool:
    """Whether every field is what it must be."""
    if not isinstance(reader, HashedTable):
        return isinstance(row.record[FIELD], str)
    try:
        reader.cells(row.record)
    except ValueError:
        return False
    return True
