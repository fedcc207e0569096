"""What trials are judged by, and which of them wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelyard.base.canonical import Json
from modelyard.core.evidence import Evidence


@dataclass(frozen=True)
class Goal:
    """One objective.

    Attributes:
        step, claim: whose evidence counts.
        higher: True if greater is better.
        slice: the subgroup, empty for everything.
    """

    step: str
    claim: str
    higher: bool
    slice: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        part = "".join(f" {key}={value}" for key, value in sorted(self.slice.items()))
        return f"{self.step}.{self.claim}{part}"

    def read(self, evidence: Sequence[Evidence]) -> float | None:
        """The value a run measured, on validation or without data; None if it did not."""
        fits = [
            item
            for item in evidence
            if item.claim == self.claim and dict(item.slice) == dict(self.slice) and item.split in ("validation", "")
        ]
        return sorted(fits, key=lambda item: item.split, reverse=True)[0].value if fits else None


@dataclass(frozen=True)
class Trial:
    """One trial that ended.

    Attributes:
        number: from 1, in the order proposed.
        values: setting by `step.setting`.
        state: `done`, or `failed`: a step raised, or what was measured is no number.
        scores: what was measured, in the order of the goals; empty if it failed.
        keys: member step to the key of its run, as far as it came.
        error: the kind of the error.
    """

    number: int
    values: Mapping[str, Json]
    state: str
    scores: tuple[float, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "values": dict(self.values),
            "state": self.state,
            "scores": list(self.scores),
            "keys": dict(self.keys),
            "error": self.error,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Trial:
        return cls(**{**value, "scores": tuple(value["scores"])})


def gains(trial: Trial, goals: Sequence[Goal]) -> tuple[float, ...]:
    """Scores turned so that greater is better."""
    return tuple(score if goal.higher else -score for score, goal in zip(trial.scores, goals, strict=True))


def front(trials: Sequence[Trial], goals: Sequence[Goal]) -> list[Trial]:
    """The Pareto front: trials that no other is at least equal to in all goals and better in one. Of equal ones the
    first stands for all."""
    found: list[Trial] = []
    points = [(trial, gains(trial, goals)) for trial in trials if trial.state == "done"]
    for position, (trial, point) in enumerate(points):
        beaten = any(
            all(a >= b for a, b in zip(other, point, strict=True)) and (other != point or place < position)
            for place, (_, other) in enumerate(points)
            if place != position
        )
        if not beaten:
            found.append(trial)
    return found


def winner(trials: Sequence[Trial], goals: Sequence[Goal], within: float = 0.0) -> Trial | None:
    """The trial that wins: of the front, those within `within` of the best first goal; of these the best in the second,
    the third …; then the best in the first, then the earliest. None if no trial is done."""
    points = front(trials, goals)
    if not points:
        return None
    best = max(gains(trial, goals)[0] for trial in points)
    near = [trial for trial in points if gains(trial, goals)[0] >= best - within]

    def rank(trial: Trial) -> tuple[Any, ...]:
        first, *rest = gains(trial, goals)
        return (*rest, first, -trial.number)

    return max(near, key=rank)
