"""Columns made of the label: means of it by category, computed over rows that include the row itself or the test rows.

A column of such means is right about itself: among the rows that hold the value x, the mean of the label is x. Means
over all rows miss those of the training rows by less than chance would make them, since most rows are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.leaks.rows import NOTHING, Column, Goal

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FIT = 1.5
"""Largest mean square of (x - mean) over its standard error at which the two agree; 1 is chance, means over all rows
stay below it."""
SIGNAL, SIGNAL_OF_ALL = 3.0, 40.0
"""Least mean and least sum of the squares of (mean - mean of all) over its standard error: below, the means differ by
little more than chance and agree with much."""
FEWEST = 3
SMOOTHING = (0.0, 1.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Rows by which usual encoders draw a category's mean to the mean of all (Micci-Barreca 2001)."""


@dataclass(frozen=True)
class Encoded:
    """What a column was made of.

    Attributes:
        category: the column whose values it follows, if that is still there.
        label: the class whose share it holds; `` of numbers and of two classes.
        left_out: each row's own label was left out of its mean, which then tells it.
    """

    category: str = ""
    label: str = ""
    left_out: bool = False


def find(column: Column, others: Sequence[Column], goal: Goal) -> Encoded | None:
    """What a column of numbers was made of, None if it does not look made of the label."""
    if column.numbers is None:
        return None
    category = _follows(column, others)
    for place in range(goal.values.shape[1]):
        label = goal.labels[place] if len(goal.labels) > 1 else ""
        if _is_mean(column, goal.values[:, place], goal.is_number):
            return Encoded(category, label)
        if len(goal.labels) == 1 and _is_mean(column, 1 - goal.values[:, 0], False):
            return Encoded(category, label)
        if not goal.is_number and (found := _leaves_out(column, others, goal.values[:, place])):
            return Encoded(found, label, True)
    return None


def _is_mean(column: Column, label: Floats, is_number: bool) -> bool:
    assert column.numbers is not None
    known = column.codes != NOTHING
    if known.sum() < 2 * FEWEST:
        return False
    _, codes = np.unique(column.codes[known], return_inverse=True)
    counts = np.bincount(codes)
    means = np.bincount(codes, label[known]) / counts
    values = np.bincount(codes, column.numbers[known]) / counts
    several = counts >= 2
    if several.sum() < FEWEST or counts[several].sum() < 0.5 * known.sum():
        return False
    counts, means, values = counts[several], means[several], values[several]
    mean = float(label[known].mean())
    if is_number:
        inside = np.bincount(codes, label[known] ** 2)[several] / counts - means**2
        spread = np.full(len(counts), max(1e-12, float((counts * inside).sum()) / max(1, counts.sum() - len(counts))))
    else:
        if values.min() < 0 or values.max() > 1:
            return False
        edge = 0.5 / (counts + 1)
        held = np.clip(values, edge, 1 - edge)
        spread = held * (1 - held)
    signal = counts * (means - mean) ** 2 / spread
    if signal.mean() < SIGNAL or signal.sum() < SIGNAL_OF_ALL:
        return False
    return any(_agree(values + rows * (values - mean) / counts, means, counts, spread) for rows in SMOOTHING)


def _agree(values: Floats, means: Floats, counts: Ints, spread: Floats) -> bool:
    return float((counts * (values - means) ** 2 / spread).mean()) <= FIT


def _follows(column: Column, others: Sequence[Column]) -> str:
    """Name of a column of words each of whose values has one value of the column; the one with fewest values."""
    found = [
        other
        for other in others
        if other.name != column.name
        and 2 <= other.num_values < len(column.codes) / 2
        and other.num_values <= 4 * column.num_values
        and _pairs(other.codes, column.codes) == len(np.unique(other.codes))
    ]
    found.sort(key=lambda other: (other.numbers is not None, other.num_values, other.name))
    return found[0].name if found else ""


def _leaves_out(column: Column, others: Sequence[Column], label: Floats) -> str:
    """Name of a column within whose values the column takes one value for each label, and not the same one.

    So does the mean of all other rows of the category: it is smaller where the row's own label is 1.
    """
    classes = label.astype(np.int64)
    for other in others:
        if other.name == column.name or not 2 <= other.num_values < len(label) / 10:
            continue
        groups = _codes(other.codes, classes)
        num_groups, both = len(np.unique(groups)), _both(other.codes, classes)
        exact = _pairs(groups, column.codes) == num_groups == _pairs(other.codes, column.codes)
        if exact and both.mean() > 0.5 and _lower_at_one(column, other.codes, label):
            return other.name
    return ""


def _lower_at_one(column: Column, codes: Ints, label: Floats) -> bool:
    assert column.numbers is not None
    both = _both(codes, label.astype(np.int64))
    rows = both & (column.codes != NOTHING)
    size = int(codes.max()) + 1
    means = []
    for value in (0, 1):
        chosen = rows & (label == value)
        counts = np.bincount(codes[chosen], minlength=size)
        means.append(np.bincount(codes[chosen], column.numbers[chosen], size) / np.maximum(1, counts))
    there = np.unique(codes[rows])
    return len(there) > 1 and bool((means[1][there] < means[0][there]).mean() > 0.95)


def _both(codes: Ints, classes: Ints) -> NDArray[np.bool_]:
    """Whether a row's value occurs with both labels [n]."""
    size = int(codes.max()) + 1
    ones, rows = np.bincount(codes, classes, size), np.bincount(codes, minlength=size)
    found: NDArray[np.bool_] = ((ones > 0) & (ones < rows))[codes]
    return found


def _codes(first: Ints, second: Ints) -> Ints:
    found: Ints = first * (int(second.max()) + 1) + second
    return found


def _pairs(first: Ints, second: Ints) -> int:
    return len(np.unique(_codes(first, second)))
