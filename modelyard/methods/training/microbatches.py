"""Batches cut into parts that fit the memory; losses are sums, so the parts' gradients add up to the batch's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from modelyard.methods.training.axes import Batch


@runtime_checkable
class Divisible(Protocol):
    """An objective whose batches may be cut: the loss of a batch is the sum of its parts' losses."""

    def rows(self, batch: Batch) -> int:
        """How many rows the batch has."""
        ...

    def split(self, batch: Batch, rows: int) -> Sequence[Batch]:
        """Parts of at most so many rows, in order."""
        ...


class ByRow:
    """For objectives that treat rows alone: every tensor's first axis is the row."""

    def rows(self, batch: Batch) -> int:
        """Length of the first axis."""
        return int(next(iter(batch.inputs.values())).shape[0])

    def split(self, batch: Batch, rows: int) -> Sequence[Batch]:
        """Each tensor cut along its first axis. `weight`, `names` and `tokens` stay with the first part."""
        total = self.rows(batch)
        if total <= rows:
            return [batch]
        starts = range(0, total, rows)
        return [
            Batch(
                inputs=_cut(batch.inputs, start, start + rows),
                targets=_cut(batch.targets, start, start + rows),
                weight=batch.weight if start == 0 else 0.0,
                names=batch.names if start == 0 else (),
                tokens=batch.tokens if start == 0 else 0,
            )
            for start in starts
        ]


def _cut(values: Mapping[str, Any], start: int, end: int) -> dict[str, Any]:
    return {name: value[start:end] if isinstance(value, Tensor) else value for name, value in values.items()}


class Limits:
    """How many rows go through the network at once, from which step on. Remembered, so that a resumed run does alike.

    Attributes:
        changes: (step, rows) in order of steps; empty: no limit.
    """

    def __init__(self, changes: Sequence[Sequence[int]] = ()) -> None:
        self.changes = [(int(step), int(rows)) for step, rows in changes]

    def at(self, step: int) -> int | None:
        """Rows at once at this step; None: as many as the batch has."""
        return next((rows for since, rows in reversed(self.changes) if since <= step), None)

    def halve(self, step: int, rows: int) -> int:
        """From this step on half as many as `rows`, which were too many."""
        self.changes.append((step, max(rows // 2, 1)))
        return self.changes[-1][1]
