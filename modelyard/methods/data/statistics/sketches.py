"""Summaries of streams in bounded memory: distinct values, frequent values, quantiles.

Each is exact while the stream is small and says when it is not. None depends on the order of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.statistics.hashing import Hashes

DISTINCT = 16_384
SAMPLE = 32_768
TOP = 20_000
SHARES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


class Distinct:
    """How many distinct values: exact up to `limit`, then from the k-th smallest hash.

    K minimum values: Bar-Yossef et al., RANDOM 2002; the unbiased estimate (k - 1)/u with its relative standard error
    1/sqrt(k - 2) is Beyer et al., SIGMOD 2007. At the limit of 16,384 that is 0.8 %.
    """

    def __init__(self, limit: int = DISTINCT) -> None:
        self._limit = limit
        self._least: Hashes = np.zeros(0, dtype=np.uint64)
        self.exact = True

    def update(self, hashed: Hashes) -> None:
        """Take hashes in; missing values left out by the caller."""
        if not self.exact:
            hashed = hashed[hashed < self._least[-1]]
        found = np.union1d(self._least, hashed)
        if len(found) > self._limit:
            self.exact = False
            found = found[: self._limit]
        self._least = found

    @property
    def count(self) -> int:
        """The number, or the estimate when `exact` is False."""
        if self.exact:
            return len(self._least)
        return round((self._limit - 1) / ((float(self._least[-1]) + 1) / 2.0**64))


class Top:
    """The most frequent values.

    Misra-Gries counters with Agarwal et al.'s merge (PODS 2012): a count is too low by at most `error`, and every
    value more frequent than `error` is kept. Up to twice `size` distinct values are held, and are then cut to `size`.
    """

    def __init__(self, size: int = TOP) -> None:
        self._size = size
        self._counts: dict[int, int] = {}
        self._shown: dict[int, str] = {}
        self.error = 0

    def update(self, hashed: Hashes, show: Callable[[int], str]) -> None:
        """Take hashes in; `show(place)` is the text of the value at a place, asked for once per new value."""
        distinct, places, counts = np.unique(hashed, return_index=True, return_counts=True)
        for value, place, count in zip(distinct.tolist(), places.tolist(), counts.tolist(), strict=True):
            if value not in self._counts:
                self._counts[value] = 0
                self._shown[value] = show(place)
            self._counts[value] += count
        self._prune()

    def _prune(self) -> None:
        if len(self._counts) <= 2 * self._size:
            return
        cut = sorted(self._counts.values(), reverse=True)[self._size]
        self.error += cut
        self._counts = {value: count - cut for value, count in self._counts.items() if count > cut}
        self._shown = {value: self._shown[value] for value in self._counts}

    @property
    def exact(self) -> bool:
        return self.error == 0

    def most(self, num: int) -> list[tuple[str, int]]:
        """Up to `num` values with their counts (at least that many), the most frequent first."""
        ordered = sorted(self._counts.items(), key=lambda item: (-item[1], self._shown[item[0]], item[0]))
        return [(self._shown[value], count) for value, count in ordered[:num]]


class Sample:
    """The numbers of the rows with the smallest draws: a uniform sample that any order of the rows gives.

    Quantiles of it are exact up to `size` rows; past that their rank is off by at most sqrt(ln(40)/(2 size)) with
    probability 0.95 (Dvoretzky-Kiefer-Wolfowitz with Massart's constant, 1990): 0.75 % at 32,768.
    """

    def __init__(self, size: int = SAMPLE) -> None:
        self._size = size
        self._draws: list[Hashes] = []
        self._values: list[NDArray[np.float64]] = []
        self._held = 0
        self._bound: np.uint64 | None = None
        self.num_seen = 0

    def update(self, drawn: Hashes, values: NDArray[np.float64]) -> None:
        """Take in finite numbers with their rows' draws."""
        self.num_seen += len(values)
        if self._bound is not None:
            chosen = drawn < self._bound
            drawn, values = drawn[chosen], values[chosen]
        self._draws.append(drawn)
        self._values.append(values)
        self._held += len(values)
        if self._held > 2 * self._size:
            self._shrink()

    def _shrink(self) -> None:
        drawn, values = np.concatenate(self._draws), np.concatenate(self._values)
        if len(drawn) > self._size:
            kept = np.argpartition(drawn, self._size - 1)[: self._size]
            drawn, values = drawn[kept], values[kept]
            self._bound = drawn.max()
        self._draws, self._values, self._held = [drawn], [values], len(values)

    @property
    def exact(self) -> bool:
        return self.num_seen <= self._size

    @property
    def rank_error(self) -> float:
        """Half-width of the 95 % band of a quantile's rank; 0 if exact."""
        return 0.0 if self.exact else math.sqrt(math.log(40) / (2 * self._size))

    def values(self) -> NDArray[np.float64]:
        """The sampled numbers, ascending."""
        if not self._values:
            return np.zeros(0)
        self._shrink()
        return np.sort(self._values[0])

    def quantiles(self, shares: Sequence[float] = SHARES) -> list[float]:
        """Values below or at which the shares of the rows lie; empty without a number."""
        found = self.values()
        return [] if not len(found) else [float(q) for q in np.quantile(found, shares, method="inverted_cdf")]


@dataclass
class Moments:
    """Count, mean and variance; batches are merged as in Chan, Golub and LeVeque, 1983."""

    num: int = 0
    mean: float = 0.0
    squares: float = 0.0
    least: float = math.inf
    greatest: float = -math.inf

    def update(self, values: NDArray[np.float64]) -> None:
        """Take in finite numbers."""
        if not len(values):
            return
        num, mean = len(values), float(values.mean())
        squares = float(np.square(values - mean).sum())
        gap, total = mean - self.mean, self.num + num
        self.squares += squares + gap * gap * self.num * num / total
        self.mean += gap * num / total
        self.num = total
        self.least, self.greatest = min(self.least, float(values.min())), max(self.greatest, float(values.max()))

    def to_json(self) -> dict[str, Any]:
        """Mean, standard deviation (n - 1), least and greatest; nothing without a number."""
        if not self.num:
            return {}
        spread = math.sqrt(self.squares / (self.num - 1)) if self.num > 1 else 0.0
        figures = {"mean": self.mean, "std": spread, "min": self.least, "max": self.greatest}
        return {name: value if math.isfinite(value) else None for name, value in figures.items()}
