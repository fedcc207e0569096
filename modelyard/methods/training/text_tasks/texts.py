"""Texts with one more column, out of a data set; what cannot be learned from is left out, counted and said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.dataset import ROW_ID, Dataset

Value = TypeVar("Value")
SHOWN = 3
Read = Callable[[Any, str], Value | None]
"""A cell and its text to what is learned; None: nothing is known of the row. Raises InputError for what is none."""


@dataclass(frozen=True)
class Texts(Generic[Value]):
    """Rows of one split that have a text and something to learn.

    Attributes:
        values: what is learned of each row.
        names: row ids, for messages.
        weights: [rows] of each row in training; ones if the data has none.
    """

    texts: Sequence[str]
    values: Sequence[Value]
    names: Sequence[str]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.texts)


def read_splits(
    data: Dataset, column: str, read: Read[Value], splits: Sequence[str] = ("train", "validation")
) -> tuple[list[Texts[Value]], list[str]]:
    """Each split, and notes on rows left out.

    Raises:
        InputError: there is no such column, or a split has no row that can be used; all problems together.
    """
    _need(data, column)
    found, notes, problems = [], [], []
    for split in splits:
        rows, said = read_split(data, split, column, read)
        found.append(rows)
        notes += said
        if not len(rows):
            what = t("no {split} row has a text and a usable `{column}`", split=split, column=column)
            problems.append(Problem(f"data/{split}", what, t("texts with what is to be learned"), " ".join(said)))
    if problems:
        raise InputError.of(problems)
    return found, notes


def read_split(data: Dataset, split: str, column: str, read: Read[Value]) -> tuple[Texts[Value], list[str]]:
    """One split, and notes on rows left out."""
    text, weight = data.need("text"), data.role("weight")
    table = data.table(split, list(dict.fromkeys([text, column, ROW_ID, *([weight] if weight else [])])))
    weights = table.column(weight).to_pylist() if weight else [1.0] * table.num_rows
    texts: list[str] = []
    values: list[Value] = []
    names: list[str] = []
    kept: list[float] = []
    why: Counter[str] = Counter()
    shown: list[str] = []
    cells = (table.column(name).to_pylist() for name in (text, column, ROW_ID))
    for a_text, cell, name, a_weight in zip(*cells, weights, strict=True):
        try:
            value = read(cell, a_text) if isinstance(a_text, str) and a_text.strip() else None
        except InputError as error:
            why["bad"] += 1
            shown.append(f"{name}: {error.problems[0].found}")
            continue
        if value is None:
            why["empty"] += 1
            continue
        texts.append(a_text)
        values.append(value)
        names.append(str(name))
        kept.append(1.0 if a_weight is None else float(a_weight))
    rows = Texts(texts, values, names, np.array(kept, np.float32))
    return rows, _notes(split, column, why, shown)


def _notes(split: str, column: str, why: Counter[str], shown: Sequence[str]) -> list[str]:
    notes = []
    if why["empty"]:
        notes.append(
            t(
                "{count:,} {split} rows without a text or `{column}` were left out",
                count=why["empty"],
                split=split,
                column=column,
            )
        )
    if why["bad"]:
        some = "; ".join(shown[:SHOWN])
        notes.append(
            t(
                "{count:,} {split} rows whose `{column}` cannot be read were left out: {some}",
                count=why["bad"],
                split=split,
                column=column,
                some=some,
            )
        )
    return notes


def _need(data: Dataset, column: str) -> None:
    there = [one.name for one in data.columns]
    if column not in there:
        raise InputError(
            t("no column `{name}`", name=column),
            where="data",
            expected=", ".join(there),
            remedy=did_you_mean(column, there)
            or t("data.read keeps every column unless `keep` says otherwise; name it here"),
        )
