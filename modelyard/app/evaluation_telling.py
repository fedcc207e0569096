"""What is told of families as they go on: a part by its rows, and no failure before it is known what it means."""

from __future__ import annotations

from collections.abc import Mapping

from modelyard.app.evaluation_project import CUT
from modelyard.base.messages import t
from modelyard.engine.events import Listener


class Telling:
    """Passes on what happens. Steps of families that end early are told by `ended`, once, or not at all."""

    def __init__(
        self, listener: Listener, families: tuple[str, ...], cuts: Mapping[str, Mapping[str, tuple[int, int]]]
    ) -> None:
        self._listener = listener
        self._held = {*families, *(f"{CUT}{name}" for name in cuts)}
        self._names = {f"{CUT}{name}": _as_part(name, rows) for name, rows in cuts.items()}
        self._told: set[str] = set()

    def _name(self, step: str) -> str:
        return self._names.get(step, step)

    def ended(self, family: str, reason: str, fits: bool) -> None:
        """A family that measured nothing: it failed, or does not fit what it was given."""
        if family in self._told:
            return
        self._told.add(family)
        if fits:
            self._listener.step_failed(family, reason)
        else:
            self._listener.step_left_out(family, reason)

    def step_started(self, step: str, uses: str, position: int, total: int) -> None:
        if step not in self._told:
            self._listener.step_started(self._name(step), uses, position, total)

    def step_cached(self, step: str, uses: str, position: int, total: int) -> None:
        self._listener.step_cached(self._name(step), uses, position, total)

    def step_done(self, step: str, seconds: float) -> None:
        self._listener.step_done(self._name(step), seconds)

    def step_failed(self, step: str, message: str) -> None:
        if step not in self._held:
            self._listener.step_failed(step, message)

    def step_left_out(self, step: str, reason: str) -> None:
        self._listener.step_left_out(self._name(step), reason)

    def waiting(self, step: str) -> None:
        self._listener.waiting(self._name(step))

    def progress(self, step: str, done: int, total: int, what: str) -> None:
        self._listener.progress(self._name(step), done, total, what)

    def note(self, step: str, message: str) -> None:
        self._listener.note(self._name(step), message)


def _as_part(name: str, rows: Mapping[str, tuple[int, int]]) -> str:
    """`robustness (cut: 125 of 1,000 rows)`."""
    whole, to = max(rows.values())
    return t("{family} (cut: {to:,} of {whole:,} rows)", family=name, to=to, whole=whole)
