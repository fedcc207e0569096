"""Waiting between attempts: how long, told as it begins, and when a server that keeps asking for it is given up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.egress.faults import Passing
from modelyard.methods.data.egress.limits import Limits, backoff


class StillBusy(InputError):
    """The server asked to wait once more than there is patience for: the service's fault, not the request's."""


@dataclass(frozen=True)
class Waiting:
    """A wait that begins.

    Attributes:
        seconds: how long.
        asked: whether the server asked for it.
        attempt: the one that failed, from 1, of `attempts`.
        reason: why it failed.
    """

    seconds: float
    asked: bool
    attempt: int
    attempts: int
    reason: str

    def told(self) -> str:
        """In words."""
        values: dict[str, Any] = {
            "seconds": self.seconds,
            "attempt": self.attempt,
            "attempts": self.attempts,
            "reason": self.reason,
        }
        if self.asked:
            return t("waiting {seconds:,.0f} s, as the server asks (try {attempt} of {attempts}): {reason}", **values)
        return t("waiting {seconds:,.1f} s (try {attempt} of {attempts}): {reason}", **values)


Tell = Callable[[Waiting], None]


class Telling:
    """Says what several clients wait for, once for all that wait at the same time.

    Args:
        who: makes them wait.
    """

    def __init__(self, who: str, say: Callable[[str], None]) -> None:
        self._who, self._say = who, say
        self._told, self._lock = 0, threading.Lock()

    def __call__(self, waiting: Waiting) -> None:
        with self._lock:
            is_news, self._told = waiting.attempt > self._told, max(self._told, waiting.attempt)
        if is_news:
            self._say(f"{self._who}: {waiting.told()}")

    def over(self) -> None:
        """An answer came: the next wait is news again."""
        with self._lock:
            self._told = 0


@dataclass
class Patience:
    """The waits of one request."""

    limits: Limits
    seed: int
    subject: str
    sleep: Callable[[float], None]
    tell: Tell | None = None
    attempt: int = 0
    waited: float = field(default=0.0)

    def wait(self, fault: Passing) -> None:
        """Until the next attempt. Raises what the fault comes to if there is none."""
        limits, problem = self.limits, fault.error.problems[0]
        bound = limits.patience_s
        if fault.after is not None and bound is not None and self.waited + fault.after > bound:
            raise StillBusy(
                t("{reason}; it asks to wait {after:,.0f} s more, after {waited:,.0f} s of waiting",
                  reason=problem.found, after=fault.after, waited=self.waited),
                where=problem.where,
                expected=t("an answer after at most {bound:,.0f} s of waiting", bound=bound),
                remedy=t("run it again later, ask more slowly (`requests_per_second`), or wait longer (`timeout_s`)"),
            ) from fault  # fmt: skip
        if self.attempt >= limits.retries:
            raise fault.error from fault
        asked = 0.0 if fault.after is None else min(fault.after, limits.max_wait_s)
        seconds = max(asked, backoff(limits, self.attempt, self.seed, self.subject))
        self.attempt += 1
        if self.tell is not None:
            self.tell(Waiting(seconds, asked >= seconds > 0, self.attempt, limits.retries + 1, problem.found))
        self.sleep(seconds)
        self.waited += seconds
