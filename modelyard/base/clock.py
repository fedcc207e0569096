"""Time, injectable. Order never comes from the wall clock: ledgers count; durations are monotonic."""

from __future__ import annotations

import datetime
import time


def now_utc() -> str:
    """The wall clock as ISO 8601 in UTC with seconds, for people to read."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def monotonic() -> float:
    """Seconds that never go back; only differences mean anything."""
    return time.monotonic()


def processor_seconds() -> float:
    """Seconds that this process has computed, on all cores together; what others compute does not count."""
    return time.process_time()
