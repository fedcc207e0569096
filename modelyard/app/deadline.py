"""A bound on time: what runs in the main thread is interrupted as by Ctrl-C, so that it leaves what it has behind."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from modelyard.base.clock import monotonic


class Deadline:
    """A context manager. Outside the main thread, and on systems without timers, only `over` tells.

    Args:
        seconds: None: no bound.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else monotonic() + seconds
        self._armed = False
        self._before: object = None

    def over(self) -> bool:
        """Whether the time is up."""
        return self._end is not None and monotonic() >= self._end

    def __enter__(self) -> Deadline:
        here = threading.current_thread() is threading.main_thread()
        if self._seconds is not None and here and hasattr(signal, "setitimer"):
            self._before = signal.signal(signal.SIGALRM, _stop)
            signal.setitimer(signal.ITIMER_REAL, self._seconds)
            self._armed = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._armed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before)  # type: ignore[arg-type]


def _stop(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
