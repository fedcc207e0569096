"""One way to change a record, at one severity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from modelyard.methods.data.row_random import generator
from modelyard.methods.runtimes.predictor import Record

Draw = np.random.Generator
Check = Literal["", "same", "falls"]
Pair = tuple[Record, Any]
"""A record and its truth."""


@dataclass(frozen=True)
class Perturbation:
    """A change of one field (or of the whole record) that is a function of the record and its draws.

    Attributes:
        kind, severity: its name; severities count from 1, the larger the worse.
        change: the changed record; None where there is nothing to change.
        check: empty where the right answer stays the right one, so that accuracy can be measured. `same`: the right
            answer may be another, but the model should answer as before (a name swapped for another). `falls`: the
            probability of the answer before should fall (a negation).
        with_truth: the changed record and its right answer, where a change moves that too (spans of a text).
    """

    kind: str
    severity: int
    change: Callable[[Record, Draw], Record | None]
    check: Check = ""
    with_truth: Callable[[Record, Any, Draw], Pair | None] | None = None

    def of(self, record: Record, seed: int, row_id: str) -> Record | None:
        """The changed record: the same for a seed, a row and a kind, whatever is asked beside it."""
        return self.change(record, self._draw(seed, row_id))

    def of_row(self, record: Record, truth: Any, seed: int, row_id: str) -> Pair | None:
        """The changed record and its right answer, None where there is nothing to change."""
        if self.with_truth is not None:
            return self.with_truth(record, truth, self._draw(seed, row_id))
        after = self.of(record, seed, row_id)
        return None if after is None else (after, truth)

    def _draw(self, seed: int, row_id: str) -> Draw:
        return generator(seed, f"robustness/{self.kind}", row_id, self.severity)


def on_field(name: str, change: Callable[[Any, Draw], Any]) -> Callable[[Record, Draw], Record | None]:
    """A change of one field; None where it leaves the value as it is."""

    def changed(record: Record, draw: Draw) -> Record | None:
        after = change(record[name], draw)
        return None if after is None or after == record[name] else {**record, name: after}

    return changed
