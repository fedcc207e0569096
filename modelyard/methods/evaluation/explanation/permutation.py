"""Permutation importance: how much worse the answers get when a column's values change places among the rows.

Breiman 2001, "Random Forests"; Fisher, Rudin & Dominici 2019, "All Models are Wrong, but Many are Useful". Columns that
say the same share what they know: each alone may look unimportant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelyard.methods.evaluation.estimates import Interval
from modelyard.methods.evaluation.explanation.game import Floats, Oracle
from modelyard.methods.evaluation.means import ratio_interval
from modelyard.methods.runtimes.predictor import Record

Loss = Callable[[Floats], Floats]
"""Outputs [n, outputs] of the rows in order to losses [n]."""


@dataclass(frozen=True)
class Importance:
    """Of one column: the mean increase of the loss, over rows and repeats.

    Attributes:
        interval: 95 % over the rows, bootstrap-t of the mean of each row's own increase.
    """

    column: str
    value: float
    interval: Interval | None
    n: int


def permutation(
    oracle: Oracle, records: Sequence[Record], columns: Sequence[str], loss: Loss, repeats: int, seed: int
) -> list[Importance]:
    """The columns, most important first."""
    before = loss(oracle.outputs(records))
    found = []
    for place, column in enumerate(columns):
        generator = np.random.default_rng([seed, place])
        increases = np.zeros(len(records))
        for _ in range(repeats):
            order = generator.permutation(len(records))
            increases += (loss(oracle.outputs(swapped(records, column, order.tolist()))) - before) / repeats
        interval = ratio_interval(increases, np.ones(len(increases)), seed)
        found.append(Importance(column, float(increases.mean()), interval, len(records)))
    return sorted(found, key=lambda one: (-one.value, one.column))


def swapped(records: Sequence[Record], column: str, order: Sequence[int]) -> list[Record]:
    """The records, with the column's values from the rows `order`."""
    return [{**record, column: records[other][column]} for record, other in zip(records, order, strict=True)]


def wrongness(truths: Sequence[Any], labels: Sequence[str]) -> Loss:
    """1 where the most probable label is not the true one; a label the model does not know is never answered."""
    places = {label: place for place, label in enumerate(labels)}
    actual = np.array([places.get(truth, -1) for truth in truths])
    return lambda outputs: (outputs.argmax(1) != actual).astype(np.float64)


def absolute_error(truths: Sequence[float]) -> Loss:
    """In the target's unit."""
    actual = np.array(truths, np.float64)
    return lambda outputs: np.abs(outputs[:, 0] - actual)
