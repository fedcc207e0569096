"""Training rows as columns of numbers or codes, with what is to be predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.data.row_random import ranks
from modelyard.methods.preprocessing.table import number_of, word_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MOST_CLASSES = 20
"""The commonest classes are each looked at against the rest."""
NOTHING = 0
"""Code of a cell without a value."""


@dataclass(frozen=True)
class Column:
    """One column of n rows.

    Attributes:
        numbers: [n], NaN where nothing is there; None of a column of words.
        codes: [n] which of its values each row has, NOTHING where none.
        num_values: different values.
    """

    name: str
    numbers: Floats | None
    codes: Ints
    num_values: int

    def take(self, places: Ints) -> Column:
        """Some rows; codes stay as they are."""
        numbers = None if self.numbers is None else self.numbers[places]
        return Column(self.name, numbers, self.codes[places], self.num_values)


@dataclass(frozen=True)
class Goal:
    """What is to be predicted: [n, m] indicators of the classes (one column if there are two), or [n, 1] numbers."""

    values: Floats
    labels: tuple[str, ...] = ()

    @property
    def is_number(self) -> bool:
        return not self.labels

    def take(self, places: Ints) -> Goal:
        return Goal(self.values[places], self.labels)


@dataclass(frozen=True)
class Rows:
    """Rows that have a label, in the order of their draw: the first k are a random sample of k.

    Attributes:
        texts: of each row; empty without a column of texts.
        num_all: training rows there are, drawn or not.
    """

    columns: tuple[Column, ...]
    goal: Goal
    texts: tuple[str, ...]
    num_all: int

    def __len__(self) -> int:
        return len(self.goal.values)

    def first(self, num: int) -> Rows:
        places = np.arange(min(num, len(self)))
        columns = tuple(column.take(places) for column in self.columns)
        return Rows(columns, self.goal.take(places), self.texts[:num], self.num_all)


def read(data: Dataset, leave_out: Sequence[str], most: int, seed: int) -> Rows:
    """At most `most` rows of train, drawn by row id. Raises InputError if there is no label, or only one."""
    label, text = data.need("label"), data.role("text")
    names = [column.name for column in data.columns if column.role == "feature" and column.name not in leave_out]
    ids = data.table("train", [ROW_ID]).column(ROW_ID).to_pylist()
    drawn = np.argsort(ranks(seed, "leaks", (str(one) for one in ids)), kind="stable")[:most]
    table = data.table("train", list(dict.fromkeys([*names, label, *([text] if text else [])]))).take(pa.array(drawn))
    table = table.filter(table.column(label).is_valid())
    is_number = any(column.name == label and column.type == "double" for column in data.columns)
    goal = _goal(table.column(label).to_pylist(), is_number)
    texts = tuple(str(value or "") for value in table.column(text).to_pylist()) if text else ()
    return Rows(tuple(_column(name, table.column(name)) for name in names), goal, texts, len(ids))


def _goal(cells: Sequence[Any], is_number: bool) -> Goal:
    if is_number:
        values = np.array(cells, np.float64)
        if len(set(cells)) < 2:
            raise InputError(t("all training rows have the same target"), where="data/train")
        return Goal(values[:, None])
    names, counts = np.unique(np.array([str(cell) for cell in cells]), return_counts=True)
    if len(names) < 2:
        raise InputError(t("the training rows have fewer than two labels"), where="data/train")
    order = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    kept = sorted(str(names[place]) for place in order)
    shown = kept[1:] if len(names) == 2 else kept
    return Goal(np.array([[str(cell) == name for name in shown] for cell in cells], np.float64), tuple(shown))


def _column(name: str, cells: pa.ChunkedArray) -> Column:
    values = cells.to_pylist()
    try:
        numbers = np.array([_number(value) for value in values], np.float64)
    except ValueError:
        return _words(name, values)
    known = ~np.isnan(numbers)
    different, codes = np.unique(numbers[known], return_inverse=True)
    placed = np.full(len(numbers), NOTHING, np.int64)
    placed[known] = codes + 1
    return Column(name, numbers, placed, len(different))


def _number(value: Any) -> float:
    """Infinite and NaN count as missing here: what they are is another stage's matter."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return math.nan
    return number_of(value)


def _words(name: str, values: Sequence[Any]) -> Column:
    words = [_word(value) for value in values]
    known = sorted({word for word in words if word is not None})
    place = {word: code for code, word in enumerate(known, 1)}
    return Column(name, None, np.array([place.get(word or "", NOTHING) for word in words], np.int64), len(known))


def _word(value: Any) -> str | None:
    try:
        return word_of(value)
    except ValueError:
        return str(value)
