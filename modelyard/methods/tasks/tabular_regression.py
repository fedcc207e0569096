"""Tabular regression: a record is `{column: value}`, a prediction one number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.methods.tasks.tabular_classification import placed

NAME = "tabular-regression"
DIGITS = 7
"""Significant digits of a golden value: the network's own."""


@dataclass(frozen=True)
class Quantity:
    """One answer.

    Attributes:
        value: in the unit of the training target.
        interval: ends between which the truth lies with the model's stated probability; None if it gives none.
        quantiles: by level (`0.05`), what the truth lies below with that probability; None if the model learned none.
    """

    value: float
    interval: tuple[float, float] | None = None
    quantiles: Mapping[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"value": self.value}
        if self.interval is not None:
            found["interval"] = list(self.interval)
        if self.quantiles is not None:
            found["quantiles"] = dict(self.quantiles)
        return found


class TabularRegression:
    """The task's face to runtimes, golden answers and serving."""

    name = NAME
    opener = "batching"
    inputs: Mapping[str, Any] = {}

    def values(self, records: Sequence[Mapping[str, Any]]) -> list[Any]:
        return placed(records)

    def sample(self) -> Mapping[str, Any]:
        return {}

    def answers(self, outputs: NDArray[np.float32], labels: Sequence[str]) -> list[Quantity]:
        return [Quantity(value) for value in outputs[:, 0].astype(np.float64).tolist()]

    def labels_problem(self, labels: Sequence[str]) -> str:
        return t("a model that answers a number has no labels") if labels else ""

    def width_problem(self, shape: tuple[int, ...], labels: Sequence[str]) -> str:
        if shape == (1, 1):
            return ""
        return t("the network answers {found} numbers a record", found=shape[1] if len(shape) == 2 else shape)

    def distance(self, answer: Quantity, wanted: Mapping[str, Any]) -> float:
        """Relative to the stored value, or absolute where that is below 1; of value and quantiles the largest."""
        own, stored = answer.quantiles or {}, wanted.get("quantiles", {})
        if not isinstance(stored, Mapping) or set(own) != set(stored):
            return float("inf")
        pairs = [(answer.value, wanted.get("value")), *((own[level], stored[level]) for level in own)]
        return max(_distance(*pair) for pair in pairs)

    def stored(self, answer: Quantity) -> dict[str, Any]:
        found: dict[str, Any] = {"value": _rounded(answer.value)}
        if answer.quantiles is not None:
            found["quantiles"] = {level: _rounded(value) for level, value in answer.quantiles.items()}
        return found


def _distance(value: float, wanted: Any) -> float:
    if isinstance(wanted, bool) or not isinstance(wanted, int | float) or not math.isfinite(wanted):
        return float("inf")
    return abs(value - wanted) / max(1.0, abs(wanted))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


TASK = TabularRegression()
