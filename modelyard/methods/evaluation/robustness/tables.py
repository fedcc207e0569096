"""Cells of a table as pipelines break them: missing, shifted, exchanged, in another unit, of an unseen category."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation.robustness.perturbation import Draw, Perturbation
from modelyard.methods.preprocessing.table import number_of
from modelyard.methods.runtimes.predictor import Record

MISSING = (0.1, 0.3, 0.5)
SHIFTS = (0.25, 0.5, 1.0)
"""In standard deviations of the training rows."""
FACTORS = (10.0, 100.0, 1000.0)
UNSEEN = "unseen-category"
ROWS = 5_000
NUMBERS = 0.95
"""A column of words is read as numbers if at least this share of its values are."""


@dataclass(frozen=True)
class Columns:
    """The features of a table: standard deviations of those with numbers, and the others."""

    spread: Mapping[str, float]
    categories: Sequence[str]

    @classmethod
    def of(cls, data: Dataset, split: str = "train") -> Columns:
        """From the first rows of a split."""
        names = [one.name for one in data.columns if one.role == "feature"]
        spread: dict[str, float] = {}
        categories: list[str] = []
        batch = next(iter(data.batches(split, names, ROWS)), None) if names else None
        for name in names if batch is not None else ():
            values = [value for value in batch.column(name).to_pylist() if value is not None]  # type: ignore[union-attr]
            numbers = [number for value in values if (number := _number(value)) is not None]
            if values and len(numbers) >= NUMBERS * len(values):
                spread[name] = float(np.std(numbers))
            else:
                categories.append(name)
        return cls(spread, tuple(categories))


def perturbations(columns: Columns) -> list[Perturbation]:
    """All that the table has columns for, in a fixed order."""
    numbers = [name for name, spread in columns.spread.items() if spread > 0]
    features = [*columns.spread, *columns.categories]
    found = [Perturbation("missing", level, _missing(features, share)) for level, share in enumerate(MISSING, 1)]
    if numbers:
        found += [Perturbation("shifted", n, _shifted(columns, numbers, far)) for n, far in enumerate(SHIFTS, 1)]
        found += [Perturbation("unit_change", n, _unit(numbers, factor)) for n, factor in enumerate(FACTORS, 1)]
    if len(numbers) > 1:
        found += [
            Perturbation("swapped", pairs, _swapped(numbers, pairs)) for pairs in (1, 2) if len(numbers) >= 2 * pairs
        ]
    count = len(columns.categories)
    if count:
        levels = sorted({1, math.ceil(count / 2), count})
        found += [Perturbation("unseen", n, _unseen(columns.categories, many)) for n, many in enumerate(levels, 1)]
    return found


def _some(names: Sequence[str], count: int, draw: Draw) -> list[str]:
    return [names[place] for place in sorted(draw.permutation(len(names))[:count].tolist())]


def _missing(names: Sequence[str], share: float) -> Any:
    def change(record: Record, draw: Draw) -> Record | None:
        there = [name for name in names if record.get(name) is not None]
        gone = _some(there, max(1, round(share * len(there))), draw) if there else []
        return {**record, **dict.fromkeys(gone)} if gone else None

    return change


def _shifted(columns: Columns, names: Sequence[str], far: float) -> Any:
    """Every number moved by so many standard deviations, all up or all down: a sensor that drifts."""

    def change(record: Record, draw: Draw) -> Record | None:
        sign = 1.0 if draw.random() < 0.5 else -1.0
        known = {name: _number(record.get(name)) for name in names}
        moved = {name: value + sign * far * columns.spread[name] for name, value in known.items() if value is not None}
        return {**record, **moved} if moved else None

    return change


def _unit(names: Sequence[str], factor: float) -> Any:
    """One column's number in another unit: kilometres where metres were meant."""

    def change(record: Record, draw: Draw) -> Record | None:
        name = names[int(draw.integers(len(names)))]
        value = _number(record.get(name))
        return {**record, name: value * factor} if value else None

    return change


def _swapped(names: Sequence[str], pairs: int) -> Any:
    """Pairs of columns that hold each other's values."""

    def change(record: Record, draw: Draw) -> Record | None:
        chosen = [names[place] for place in draw.permutation(len(names))[: 2 * pairs].tolist()]
        after = dict(record)
        for first, second in zip(chosen[::2], chosen[1::2], strict=True):
            after[first], after[second] = record.get(second), record.get(first)
        return after if after != dict(record) else None

    return change


def _unseen(names: Sequence[str], count: int) -> Any:
    return lambda record, draw: {**record, **dict.fromkeys(_some(names, count, draw), UNSEEN)}


def _number(value: Any) -> float | None:
    try:
        number = number_of(value)
    except (ValueError, TypeError):
        return None
    return number if math.isfinite(number) else None
