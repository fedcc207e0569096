"""What happens during a run, told to whoever watches: the terminal, a notebook, a log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Listener(Protocol):
    """Watches a run. Every method must return quickly and must not raise."""

    def step_started(self, step: str, uses: str, position: int, total: int) -> None: ...

    def step_cached(self, step: str, uses: str, position: int, total: int) -> None: ...

    def step_done(self, step: str, seconds: float) -> None: ...

    def step_failed(self, step: str, message: str) -> None: ...

    def step_left_out(self, step: str, reason: str) -> None:
        """It does not fit what it was given, and is not missed."""
        ...

    def waiting(self, step: str) -> None:
        """Another run is making the same thing; this one waits for it."""
        ...

    def progress(self, step: str, done: int, total: int, what: str) -> None: ...

    def note(self, step: str, message: str) -> None: ...


class Silent:
    """A listener that does nothing."""

    def step_started(self, step: str, uses: str, position: int, total: int) -> None:
        pass

    def step_cached(self, step: str, uses: str, position: int, total: int) -> None:
        pass

    def step_done(self, step: str, seconds: float) -> None:
        pass

    def step_failed(self, step: str, message: str) -> None:
        pass

    def step_left_out(self, step: str, reason: str) -> None:
        pass

    def waiting(self, step: str) -> None:
        pass

    def progress(self, step: str, done: int, total: int, what: str) -> None:
        pass

    def note(self, step: str, message: str) -> None:
        pass


@dataclass(frozen=True)
class StepOutcome:
    """One step after a run.

    Attributes:
        run: the ledger's id of the run whose outputs these are.
        cached: True if nothing had to be done.
        seconds: how long the stage took when it ran.
        outputs: port to artifact digest.
    """

    step: str
    uses: str
    run: int
    cached: bool
    seconds: float | None
    outputs: Mapping[str, str] = field(default_factory=dict)
