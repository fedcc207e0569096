"""Where a classifier of tables changes its answer, over two columns of numbers with all others held still.

A slice through one point: the others stand at their median or their commonest value. How much of the model the slice
shows is measured: the share of rows that are answered the same when only their two columns are their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.explanation.game import Oracle
from modelyard.methods.preprocessing.table import number_of, word_of
from modelyard.methods.runtimes.predictor import Record
from modelyard.methods.statistics.wilson import wilson

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ENDS = (0.01, 0.99)
"""Quantiles between which the grid lies: a single far row would leave nothing to see."""


@dataclass(frozen=True)
class Boundary:
    """Answers on a grid.

    Attributes:
        grid: [g, 2]; answers: [g] places of labels; sure: [g] their probabilities.
        rows: [n, 2] the rows' own numbers, NaN where missing; shown: [n] whether they lie on the grid.
        still: what the other columns are held at.
        agreement: rows answered as with all of their columns.
    """

    grid: Floats
    answers: Ints
    sure: Floats
    rows: Floats
    shown: NDArray[np.bool_]
    still: Record
    agreement: Estimate


def boundary(
    oracle: Oracle, records: Sequence[Record], answers: Ints, read: Sequence[str], columns: tuple[str, str], points: int
) -> Boundary:
    """Ask the model on a grid of `points` x `points`.

    Args:
        answers: [n] places of the labels the model gave the records.
        read: columns the model reads as numbers, or may read so.

    Raises:
        InputError: a column is not read by the model, holds words, or never changes.
    """
    rows = np.stack([_numbers(records, name, read) for name in columns], 1)
    ends = [_ends(rows[:, place], name) for place, name in enumerate(columns)]
    x, y = (np.linspace(low, high, points) for low, high in ends)
    grid = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    still = {name: _middle([record[name] for record in records]) for name in records[0] if name not in columns}
    outputs = oracle.outputs([_at(still, columns, place.tolist()) for place in grid])
    own = [{**still, **{name: record[name] for name in columns}} for record in records]
    same = int((oracle.outputs(own).argmax(1) == answers).sum())
    agreement = Estimate("boundary_agreement", same / len(records), wilson(same, len(records)), len(records))
    low, high = np.array(ends).T
    shown = ((rows >= low) & (rows <= high)).all(1)
    return Boundary(grid, outputs.argmax(1), outputs.max(1), rows, shown, still, agreement)


def _at(still: Record, columns: tuple[str, str], place: Sequence[float]) -> Record:
    return {**still, **dict(zip(columns, place, strict=True))}


def _numbers(records: Sequence[Record], name: str, read: Sequence[str]) -> Floats:
    if name not in read:
        near = did_you_mean(name, list(read))
        raise InputError(
            t("the model reads no numbers from a column `{name}`", name=name),
            where="columns",
            expected=", ".join(read),
            remedy=near,
        )
    try:
        return np.array([number_of(record[name]) for record in records], np.float64)
    except ValueError:
        raise InputError(
            t("the column `{name}` holds words", name=name), where="columns", expected=t("two columns of numbers")
        ) from None


def _ends(numbers: Floats, name: str) -> tuple[float, float]:
    there = numbers[np.isfinite(numbers)]
    low, high = np.quantile(there, ENDS).tolist() if there.size else (0.0, 0.0)
    if not low < high:
        raise InputError(
            t("the column `{name}` never changes", name=name), where="columns", expected=t("two columns of numbers")
        )
    return low, high


def _middle(cells: Sequence[Any]) -> Any:
    """The median of numbers (a row's own: the lower of two), the commonest of words; None if nothing is there."""
    try:
        numbers = np.array([number_of(cell) for cell in cells], np.float64)
    except ValueError:
        words = [(word_of(cell), cell) for cell in cells if word_of(cell) is not None]
        counts = Counter(word for word, _ in words)
        most = min(counts, key=lambda word: (-counts[word], word or ""))
        return next(cell for word, cell in words if word == most)
    there = np.flatnonzero(np.isfinite(numbers))
    if not there.size:
        return None
    return cells[int(there[np.argsort(numbers[there], kind="stable")[(there.size - 1) // 2]])]
