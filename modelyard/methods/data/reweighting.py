"""Weights that make the label independent of a group in training rows (Kamiran and Calders 2012, "Data preprocessing
techniques for classification without discrimination", Knowledge and Information Systems 33, 1-33, reweighing)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from modelyard.methods.data.account import Account
from modelyard.methods.data.balancing import Progress, weigh_rows
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.group_columns import JOIN, labels

Cell = tuple[str, str]
"""Group and label."""


@dataclass(frozen=True)
class Masses:
    """Weight of the training rows by group and label; rows without a label are none of it."""

    of: Mapping[Cell, float]
    rows: int
    squares: Mapping[Cell, float]

    def factors(self) -> dict[Cell, float]:
        """W(group) · W(label) / (W · W(group, label)): with them every group has the same share of every label."""
        total = sum(self.of.values())
        groups, classes = _sums(self.of, 0), _sums(self.of, 1)
        return {cell: groups[cell[0]] * classes[cell[1]] / (total * mass) for cell, mass in self.of.items() if mass > 0}

    def effective(self) -> float:
        """Kish's effective share of rows under the new weights: (Σ w)² / (n Σ w²), over that of the old ones."""
        factors = self.factors()
        after = sum(factors[cell] * self.of[cell] for cell in factors) ** 2 / sum(
            factors[cell] ** 2 * self.squares[cell] for cell in factors
        )
        before = sum(self.of.values()) ** 2 / sum(self.squares.values())
        return after / before

    def gap(self, weighted: bool) -> float:
        """Largest difference between two groups in the share of one label, before or with the new weights."""
        factors = self.factors() if weighted else {}
        masses = {cell: mass * factors.get(cell, 1.0) for cell, mass in self.of.items()}
        groups, classes = _sums(masses, 0), _sums(masses, 1)
        shares = {one: [masses.get((group, one), 0.0) / groups[group] for group in groups] for one in classes}
        return max(max(each) - min(each) for each in shares.values())

    def empty(self) -> list[Cell]:
        """Groups and labels that never meet: no weight can make them independent."""
        groups, classes = _sums(self.of, 0), _sums(self.of, 1)
        return [(group, one) for group in groups for one in classes if not self.of.get((group, one))]


def _sums(masses: Mapping[Cell, float], axis: int) -> dict[str, float]:
    found: Counter[str] = Counter()
    for cell, mass in masses.items():
        found[cell[axis]] += mass  # type: ignore[assignment]  # a Counter of floats
    return {name: float(mass) for name, mass in sorted(found.items())}


def cells(
    batch: pa.RecordBatch, columns: Sequence[str], bins: Mapping[str, Sequence[float]], label: str
) -> list[Cell | None]:
    """Group and label of each row; None without a label."""
    parts = [labels(name, batch.column(name).to_pylist(), bins.get(name)) for name in columns]
    classes = batch.column(label).to_pylist()
    return [
        None if one is None else (JOIN.join(group), str(one))
        for group, one in zip(zip(*parts, strict=True), classes, strict=True)
    ]


def masses(data: Dataset, columns: Sequence[str], bins: Mapping[str, Sequence[float]]) -> Masses:
    """Of the training rows. Raises InputError if a column is cut and is no number, or has too many values."""
    label, weight = data.need("label"), data.role("weight")
    found: dict[Cell, float] = {}
    squares: dict[Cell, float] = {}
    rows = 0
    for batch in data.batches("train", [*dict.fromkeys((*columns, label, *([weight] if weight else [])))]):
        own = batch.column(weight).to_pylist() if weight else [1.0] * batch.num_rows
        for cell, mass in zip(cells(batch, columns, bins, label), own, strict=True):
            if cell is not None:
                each = 1.0 if mass is None else float(mass)
                found[cell] = found.get(cell, 0.0) + each
                squares[cell] = squares.get(cell, 0.0) + each * each
                rows += 1
    return Masses(dict(sorted(found.items())), rows, squares)


def write(
    data: Dataset,
    columns: Sequence[str],
    bins: Mapping[str, Sequence[float]],
    factors: Mapping[Cell, float],
    target: Path,
    removed: Path,
    progress: Progress,
) -> Account:
    """Both splits with the new weights; see `balancing.weigh_rows`."""
    label = data.need("label")

    def of_rows(batch: pa.RecordBatch) -> list[float | None]:
        return [None if cell is None else factors.get(cell) for cell in cells(batch, columns, bins, label)]

    return weigh_rows(data, of_rows, target, removed, progress)
