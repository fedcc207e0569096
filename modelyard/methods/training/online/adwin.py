"""ADWIN: a window over a stream of numbers that drops its old end when its two ends differ in the mean (Bifet & Gavaldà
2007, "Learning from Time-Changing Data with Adaptive Windowing"), with an exponential histogram of memory O(log n).

Its state is plain numbers, so that a stream may be cut anywhere and go on with the same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

BUCKETS = 5
"""Of each size, before the two oldest become one."""
CLOCK = 32
"""Numbers between two looks for a change."""
SHORTEST = 5
"""Numbers either end of the window must have."""
GRACE = 10
"""Numbers before the first look."""


@dataclass
class Bucket:
    """Numbers that are kept as their sum and their squared distance from their mean."""

    total: float
    spread: float


@dataclass
class Adwin:
    """The window.

    Attributes:
        delta: chance of a false alarm a look, at most.
        levels: buckets of 1, 2, 4, … numbers, each level oldest first.
        seen: numbers since the beginning.
    """

    delta: float = 0.002
    levels: list[list[Bucket]] = field(default_factory=lambda: [[]])
    width: int = 0
    total: float = 0.0
    spread: float = 0.0
    seen: int = 0

    @property
    def mean(self) -> float:
        """Of the window; 0 if it is empty."""
        return self.total / self.width if self.width else 0.0

    def update(self, value: float) -> float | None:
        """Take one number.

        Returns:
            how much greater the mean of what stays is than that of the whole window was, if the window was cut; None
            if it was not.
        """
        self.seen += 1
        self._insert(value)
        if self.seen % CLOCK or self.width <= GRACE:
            return None
        before, cut = self.mean, False
        while self._differs():
            self._drop_oldest()
            cut = True
        return self.mean - before if cut else None

    def _insert(self, value: float) -> None:
        if self.width:
            self.spread += self.width * (value - self.mean) ** 2 / (self.width + 1)
        self.width += 1
        self.total += value
        self.levels[0].append(Bucket(value, 0.0))
        for level, size in enumerate(1 << power for power in range(len(self.levels))):
            if len(self.levels[level]) <= BUCKETS:
                break
            if level + 1 == len(self.levels):
                self.levels.append([])
            first, second = self.levels[level].pop(0), self.levels[level].pop(0)
            apart = size * (first.total / size - second.total / size) ** 2 / 2
            self.levels[level + 1].append(Bucket(first.total + second.total, first.spread + second.spread + apart))

    def _differs(self) -> bool:
        """Whether the window has a place where the means on both sides differ by more than chance allows."""
        num_old, sum_old = 0, 0.0
        for level in range(len(self.levels) - 1, -1, -1):
            for bucket in self.levels[level]:
                num_old += 1 << level
                sum_old += bucket.total
                num_new = self.width - num_old
                if num_new < SHORTEST:
                    return False
                if num_old >= SHORTEST:
                    gap = abs(sum_old / num_old - (self.total - sum_old) / num_new)
                    if gap > self._bound(num_old, num_new):
                        return True
        return False

    def _bound(self, num_old: int, num_new: int) -> float:
        """Theorem 3.2 with the variance of the window, as the authors' own program has it."""
        log = math.log(2 * math.log(self.width) / self.delta)
        harmonic = 1 / (num_old - SHORTEST + 1) + 1 / (num_new - SHORTEST + 1)
        variance = max(self.spread, 0.0) / self.width
        return math.sqrt(2 * harmonic * variance * log) + 2 / 3 * log * harmonic

    def _drop_oldest(self) -> None:
        level = max(place for place, some in enumerate(self.levels) if some)
        bucket, size = self.levels[level].pop(0), 1 << level
        self.width -= size
        self.total -= bucket.total
        apart = size * self.width * (bucket.total / size - self.mean) ** 2 / (size + self.width) if self.width else 0.0
        self.spread -= bucket.spread + apart
        while len(self.levels) > 1 and not self.levels[-1]:
            self.levels.pop()

    def state(self) -> NDArray[np.float64]:
        """[1 + buckets, 3]: width, sum, spread; then level, sum, spread of each bucket."""
        rows = [[float(self.width), self.total, self.spread], [float(self.seen), 0.0, 0.0]]
        rows += [[float(level), one.total, one.spread] for level, some in enumerate(self.levels) for one in some]
        return np.array(rows, np.float64)

    @classmethod
    def of(cls, state: NDArray[np.float64], delta: float) -> Adwin:
        """The window that gave this state."""
        width, total, spread = state[0].tolist()
        levels: list[list[Bucket]] = [[] for _ in range(1 + int(state[2:, 0].max(initial=0)))]
        for level, one, apart in state[2:].tolist():
            levels[int(level)].append(Bucket(one, apart))
        return cls(delta, levels, int(width), total, spread, int(state[1, 0]))
