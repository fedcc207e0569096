"""How answers depend on one column: partial dependence, individual curves' mean, and accumulated local effects.

Partial dependence (Friedman 2001) sets the column to a value in every row and averages; where columns hang together it
asks about rows that cannot be. Accumulated local effects (Apley & Zhu 2020) only move each row inside its own bin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelyard.methods.evaluation.explanation.game import Floats, Oracle
from modelyard.methods.runtimes.predictor import Record
from modelyard.methods.statistics.wilson import Z95


@dataclass(frozen=True)
class Curve:
    """Values of a column, and for each the mean answer [points, outputs] with the error of that mean.

    Attributes:
        at: numbers, or categories' names.
        errors: standard error over rows; 95 % is ± 1.96 of it.
    """

    at: tuple[Any, ...]
    means: Floats
    errors: Floats

    def band(self, output: int) -> list[tuple[float, float]]:
        """95 % of one output."""
        half = Z95 * self.errors[:, output]
        return list(zip(self.means[:, output] - half, self.means[:, output] + half, strict=True))


def partial_dependence(oracle: Oracle, records: Sequence[Record], column: str, at: Sequence[Any]) -> Curve:
    """The mean answer over the rows, with the column set to each value."""
    asked = [{**record, column: value} for value in at for record in records]
    outputs = oracle.outputs(asked).reshape(len(at), len(records), -1)
    errors = outputs.std(1, ddof=1) / np.sqrt(len(records)) if len(records) > 1 else np.zeros(outputs.mean(1).shape)
    return Curve(tuple(at), outputs.mean(1), errors)


def quantile_grid(values: Sequence[float], points: int) -> list[float]:
    """Distinct quantiles of what is there, from the least to the most: about so many."""
    there = np.array([value for value in values if value is not None and np.isfinite(value)], np.float64)
    if not there.size:
        return []
    steps = np.linspace(0, 1, points)
    found = np.unique(np.quantile(there, steps))
    if len(found) <= points // 2:
        # Most rows share one number: quantiles of the distinct numbers show the others too.
        found = np.unique(np.concatenate([found, np.quantile(np.unique(there), steps)]))
    return [float(one) for one in found]


def accumulated_effects(
    oracle: Oracle, records: Sequence[Record], column: str, numbers: Sequence[float], bins: int
) -> Curve:
    """ALE of a number column: local differences inside bins of equal mass, summed up, with mean 0 over the rows.

    Args:
        numbers: the column's values of the records, as numbers.
    """
    edges = np.array(quantile_grid(numbers, bins + 1))
    values = np.array(numbers, np.float64)
    if len(edges) < 2:
        width = max(1, len(oracle.labels))
        return Curve(tuple(edges.tolist()), np.zeros((len(edges), width)), np.zeros((len(edges), width)))
    # A value on an edge belongs to the bin below it, the least to the first.
    where = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, len(edges) - 2)
    low = [{**record, column: float(edges[place])} for record, place in zip(records, where, strict=True)]
    high = [{**record, column: float(edges[place + 1])} for record, place in zip(records, where, strict=True)]
    both = oracle.outputs([*low, *high])
    steps = both[len(low) :] - both[: len(low)]
    counts = np.bincount(where, minlength=len(edges) - 1)[:, None]
    means, squares = (
        np.stack([np.bincount(where, part[:, each], len(edges) - 1) for each in range(part.shape[1])], 1)
        / np.maximum(counts, 1)
        for part in (steps, steps**2)
    )
    spread = np.maximum(squares - means**2, 0) / np.maximum(counts - 1, 1)
    zero = np.zeros((1, steps.shape[1]))
    rising, variance = (np.concatenate([zero, np.cumsum(part, 0)]) for part in (means, spread))
    # Centred over the rows, a row counting as the middle of its bin.
    middle = (rising[:-1] + rising[1:]) / 2
    return Curve(tuple(edges.tolist()), rising - (middle * counts).sum(0) / counts.sum(), np.sqrt(variance))
