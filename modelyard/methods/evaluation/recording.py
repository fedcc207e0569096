"""The answers of a model as it gave them, for what a family of tasks does not keep: sets, intervals, quantiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Recorder:
    """A predictor that keeps what it said: a family judges labels, sets and silence stand in the answers."""

    def __init__(self, predictor: Any) -> None:
        self._predictor = predictor
        self.said: list[Any] = []
        self.digest, self.runtime = predictor.digest, predictor.runtime
        self.task, self.labels = predictor.task, predictor.labels

    def predict(self, records: Sequence[Mapping[str, Any]]) -> list[Any]:
        found: list[Any] = self._predictor.predict(records)
        self.said += found
        return found

    def close(self) -> None:
        """Who opened it closes it."""
