"""Stop when validation stops getting better, and keep the weights of the best evaluation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from modelyard.methods.training.settings import Stopping

STILL = 3
"""So many times the patience while the metric has not moved at all."""


@dataclass(frozen=True)
class Watch:
    """Where the watching stands; part of every checkpoint.

    Attributes:
        best: (metric with higher better, minus the loss): equal accuracy is decided by the loss. None at first.
        best_step: when that was.
        since: evaluations since.
        moved: whether the metric has had two values. A fresh network may give every row the commonest class for a
            while: until then it has not begun to learn, and is waited for longer.
    """

    best: tuple[float, float] | None = None
    best_step: int = 0
    since: int = 0
    moved: bool = False

    def update(self, settings: Stopping, metrics: dict[str, float], step: int) -> Watch:
        """The watch after one evaluation with `loss` and the metric that is watched."""
        value = -metrics["loss"] if settings.metric == "loss" else metrics[settings.metric]
        found = (value, -metrics["loss"])
        better = (
            self.best is None
            or value > self.best[0] + settings.min_delta
            or (value == self.best[0] and found[1] > self.best[1])
        )
        moved = self.moved or (self.best is not None and value != self.best[0])
        return Watch(found, step, 0, moved) if better else replace(self, since=self.since + 1, moved=moved)

    def done(self, settings: Stopping) -> bool:
        return 0 < settings.patience * (1 if self.moved else STILL) <= self.since
