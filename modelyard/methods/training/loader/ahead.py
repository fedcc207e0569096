"""Work done ahead of need by one thread, through a queue that holds only so much."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from modelyard.base.clock import monotonic
from modelyard.methods.training.axes import Batch, Feed

Item = TypeVar("Item")
_STEP_SECONDS = 0.05


class Ahead(Generic[Item]):
    """The items of an iterator, made by a thread up to `depth` ahead of who takes them.

    An exception in the thread is raised to the one who takes. `close` ends the thread, at any time.

    Attributes:
        wait_seconds: that the taker has waited in all.
    """

    def __init__(self, make: Callable[[], Iterator[Item]], depth: int) -> None:
        self.wait_seconds = 0.0
        self._queue: queue.Queue[tuple[Item | None, BaseException | None, bool]] = queue.Queue(depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(make,), daemon=True, name="modelyard-ahead")
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        while True:
            start = monotonic()
            item, error, last = self._queue.get()
            self.wait_seconds += monotonic() - start
            if error is not None:
                raise error
            if last:
                return
            yield item  # type: ignore[misc]  # an item of a kind that may be None is one too

    def close(self) -> None:
        """End the thread and drop what is ready."""
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=_STEP_SECONDS)
            except queue.Empty:
                self._thread.join(_STEP_SECONDS)

    def _work(self, make: Callable[[], Iterator[Item]]) -> None:
        try:
            for item in make():
                if not self._put((item, None, False)):
                    return
            self._put((None, None, True))
        except BaseException as error:  # whatever it is, it belongs to the one who takes
            self._put((None, error, False))

    def _put(self, entry: tuple[Item | None, BaseException | None, bool]) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(entry, timeout=_STEP_SECONDS)
                return True
            except queue.Full:
                continue
        return False


class FeedAhead:
    """A feed whose next steps are made by a thread while the device computes. The batches are those of the feed.

    Attributes:
        epoch_steps: of the feed.
        wait_seconds: that `step` has waited in all.
    """

    def __init__(self, feed: Feed, depth: int = 2) -> None:
        self.epoch_steps = feed.epoch_steps
        self.wait_seconds = 0.0
        self._feed, self._depth = feed, depth
        self._next = -1
        self._ahead: Ahead[Sequence[Batch]] | None = None
        self._items: Iterator[Sequence[Batch]] = iter(())

    def step(self, epoch: int, position: int) -> Sequence[Batch]:
        """The batches of one step; steps in order are ready, any other begins anew from there."""
        number = epoch * self.epoch_steps + position
        if self._ahead is None or number != self._next:
            self.close()
            self._ahead = Ahead(lambda: self._from(number), self._depth)
            self._items = iter(self._ahead)
        before = self._ahead.wait_seconds
        found = next(self._items)
        self.wait_seconds += self._ahead.wait_seconds - before
        self._next = number + 1
        return found

    def close(self) -> None:
        """End the thread."""
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    def _from(self, number: int) -> Iterator[Sequence[Batch]]:
        while True:
            yield self._feed.step(*divmod(number, self.epoch_steps))
            number += 1
