"""Test-then-train (prequential) accuracy over a stream of any length, in bounded memory (Gama, Sebastião & Rodrigues
2013, "On evaluating stream learning algorithms")."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MOST = 256
"""Points kept; then every two become one, and each stands for twice as many rows."""


@dataclass
class Curve:
    """Right answers, in all and by window.

    Attributes:
        window: rows of a point.
        points: right answers of each whole window.
        rows, hits: in all.
        majority, last: right answers of two who do not learn: always the class seen most so far, always the class of
            the row before.
    """

    window: int = 500
    points: list[int] = field(default_factory=list)
    pending: int = 0
    rows: int = 0
    hits: int = 0
    majority: int = 0
    last: int = 0

    def add(self, hit: bool, majority: bool, last: bool) -> float | None:
        """One answer. Returns the accuracy of the window that it ends, if it ends one."""
        self.rows += 1
        self.hits += hit
        self.pending += hit
        self.majority += majority
        self.last += last
        if self.rows % self.window:
            return None
        accuracy = self.pending / self.window
        self.points.append(self.pending)
        self.pending = 0
        if len(self.points) == MOST:
            self.points = [a + b for a, b in zip(self.points[::2], self.points[1::2], strict=True)]
            self.window *= 2
        return accuracy

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))
