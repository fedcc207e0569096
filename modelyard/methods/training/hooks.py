"""Where training tells how it goes. Values of time go to the log only, never into what is saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Log(Protocol):
    def __call__(self, step: int, **values: float) -> None: ...


class Progress(Protocol):
    def __call__(self, done: int, total: int, what: str) -> None: ...


class Say(Protocol):
    def __call__(self, message: str) -> None: ...


def _no_log(step: int, **values: float) -> None:
    """Nobody listens."""


def _no_progress(done: int, total: int, what: str) -> None:
    """Nobody listens."""


def _no_say(message: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Hooks:
    """Three listeners: points of curves, how far, and lines for the user."""

    log: Log = _no_log
    progress: Progress = _no_progress
    say: Say = _no_say
