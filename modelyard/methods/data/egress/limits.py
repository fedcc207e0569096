"""How long, how much, how often: the limits of outgoing requests, and the waits between them."""

from __future__ import annotations

import datetime
import email.utils
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

FIRST_WAIT_S = 0.5


@dataclass(frozen=True)
class Limits:
    """What a client of one source may take.

    Attributes:
        connect_s: seconds to connect.
        read_s: seconds without a byte.
        whole_s: seconds for one answer, from the first byte sent to the last one read. Downloads to a file have none.
        max_bytes: of one answer in memory, decompressed.
        max_file_bytes: of one downloaded file.
        retries: further attempts after one that failed for a passing reason.
        max_wait_s: longest wait before an attempt, whatever `Retry-After` asks for.
        patience_s: longest wait for a server that asks to wait (429, 503), over all attempts of one request; None: only
            `retries` and `max_wait_s` bound it.
        requests_per_second: None: as fast as the server answers.
        max_redirects: hops, each judged like a request of its own.
        allow_private: private and loopback addresses may be connected to. True by default, since the project names its
            sources itself and many are servers of one's own network; link-local and metadata addresses never may.
    """

    connect_s: float = 10.0
    read_s: float = 60.0
    whole_s: float = 600.0
    max_bytes: int = 64 << 20
    max_file_bytes: int = 1 << 40
    retries: int = 5
    max_wait_s: float = 60.0
    patience_s: float | None = None
    requests_per_second: float | None = None
    max_redirects: int = 5
    allow_private: bool = True


def backoff(limits: Limits, attempt: int, seed: int, subject: str) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 0): exponential, with full jitter in the upper half.

    The jitter comes from (seed, subject, attempt), so that clients differ and a test does not.
    """
    longest = min(limits.max_wait_s, FIRST_WAIT_S * 2.0**attempt)
    digest = hashlib.sha256(f"{seed}\n{subject}\n{attempt}".encode()).digest()
    return longest * (0.5 + 0.5 * int.from_bytes(digest[:8], "big") / 2**64)


def retry_after(value: str, now: datetime.datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for (RFC 9110 10.2.3: seconds or a date); None if it says neither."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return max(0.0, (moment - now).total_seconds())


class TokenBucket:
    """Lets `rate` requests a second through, after a burst of one: it waits, it never refuses."""

    def __init__(self, rate: float | None, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._gap = 0.0 if rate is None else 1.0 / rate
        self._clock, self._sleep = clock, sleep
        self._next: float | None = None

    def take(self) -> None:
        """Wait for one's turn."""
        if not self._gap:
            return
        now = self._clock()
        if self._next is not None and self._next > now:
            self._sleep(self._next - now)
            now = self._next
        self._next = now + self._gap
