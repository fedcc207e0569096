"""Latency and throughput of a predictor, with intervals that assume nothing about the distribution of times.

Single records in random order, after a warm-up, one after the other from one thread: what a caller waits when nobody
else calls. Quantiles get order-statistic intervals (David and Nagaraja 2003, 7.1): the ranks between which the true
quantile lies with at least 95 %, whatever the distribution. A p99 needs about 370 timings for one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom
from scipy.stats import t as student

from modelyard.methods.evaluation.intervals import bootstrap_t
from modelyard.methods.runtimes.predictor import Predictor, Record

Floats = NDArray[np.float64]
Clock = Callable[[], int]
Note = Callable[[int, int], None]

QUANTILES: Mapping[str, float] = {"p50_ms": 0.50, "p95_ms": 0.95, "p99_ms": 0.99}
HISTOGRAM_BINS = 40


def quantile(values: Floats, q: float) -> float:
    """The smallest value that at least a share q of the values does not exceed; NaN without values."""
    return float(np.quantile(values, q, method="inverted_cdf")) if values.size else math.nan


def quantile_interval(values: Floats, q: float, level: float = 0.95) -> tuple[float, float] | None:
    """Distribution-free interval of the q-quantile; None if there are too few values for one.

    The quantile lies between the values of ranks l and u (from 1) unless fewer than l, or u and more, of n values
    lie below it; each is binomial (n, q) and gets at most half of what may go wrong.
    """
    n, tail = values.size, (1 - level) / 2
    # Largest l with P(Bin <= l - 1) <= tail; smallest u with P(Bin >= u) <= tail.
    low = int(binom.ppf(tail, n, q))
    low = low if binom.cdf(low - 1, n, q) <= tail else low - 1
    high = int(binom.isf(tail, n, q)) + 1
    high = high if binom.sf(high - 1, n, q) <= tail else high + 1
    if low < 1 or high > n:
        return None
    ranked = np.sort(values)
    return float(ranked[low - 1]), float(ranked[high - 1])


def log_mean_interval(values: Floats) -> tuple[float, float] | None:
    """Interval of the typical (geometric mean) value of a few positive times: Student's t on logarithms."""
    if values.size < 2 or not (values > 0).all():
        return None
    logs = np.log(values)
    half = student.ppf(0.975, values.size - 1) * logs.std(ddof=1) / math.sqrt(values.size)
    return math.exp(logs.mean() - half), math.exp(logs.mean() + half)


@dataclass(frozen=True)
class Timings:
    """Milliseconds of each call [n] at one batch size, and the length of the records."""

    batch: int
    milliseconds: Floats
    characters: NDArray[np.int64]

    def percentiles(self) -> dict[str, tuple[float, tuple[float, float] | None]]:
        """Value and interval by name (`p95_ms`)."""
        ms = self.milliseconds
        return {name: (quantile(ms, q), quantile_interval(ms, q)) for name, q in QUANTILES.items()}

    def rows_per_second(self, seed: int = 0) -> tuple[float, tuple[float, float] | None]:
        """Rows answered in a second of calls on end, and its interval (bootstrap-t on the mean call)."""
        rate = self.batch * 1000
        ends = bootstrap_t(self.milliseconds, seed=seed)
        # A mean call of no time at all has no rate.
        interval = (rate / ends[1], rate / ends[0]) if ends and ends[0] > 0 else None
        return rate / float(self.milliseconds.mean()), interval


def length_of(record: Record) -> int:
    """Characters of a record's texts, bytes of its picture; numbers have none."""
    return sum(len(value) for value in record.values() if isinstance(value, str | bytes))


def time_calls(
    predictor: Predictor,
    records: Sequence[Record],
    batch: int,
    calls: int,
    warmup: int,
    seed: int = 0,
    note: Note = lambda done, total: None,
    clock: Clock = time.perf_counter_ns,
) -> Timings:
    """Time `calls` calls of `batch` records each, after `warmup` calls that do not count.

    Every record is taken once, in random order, before any is taken again. Raises ValueError without records.
    """
    if not records:
        raise ValueError("no records to time")
    generator = np.random.default_rng(seed)
    needed = (calls + warmup) * batch
    rounds = math.ceil(needed / len(records))
    order = np.concatenate([generator.permutation(len(records)) for _ in range(rounds)])[:needed].reshape(-1, batch)
    nanoseconds, characters = np.empty(calls), np.empty(calls, dtype=np.int64)
    for call, chosen in enumerate(order.tolist()):
        asked = [records[position] for position in chosen]
        start = clock()
        predictor.predict(asked)
        elapsed = clock() - start
        if call >= warmup:
            nanoseconds[call - warmup] = elapsed
            characters[call - warmup] = sum(length_of(record) for record in asked)
            note(call - warmup + 1, calls)
    return Timings(batch, nanoseconds / 1e6, characters)


def histogram(milliseconds: Floats) -> dict[str, list[float]]:
    """Counts in bins of equal ratio between the fastest and the slowest call: times have long tails."""
    low, high = float(milliseconds.min()), float(milliseconds.max())
    if not 0 < low < high:
        return {"edges_ms": [low, high], "counts": [int(milliseconds.size)]}
    edges = np.geomspace(low, high, HISTOGRAM_BINS + 1)
    edges[0], edges[-1] = low, high
    return {"edges_ms": edges.tolist(), "counts": np.histogram(milliseconds, edges)[0].tolist()}


def by_length(timings: Timings, groups: int = 5) -> list[dict[str, Any]]:
    """p50 and p95 in groups of equal size by length of the record (`length_of`, the group's median).

    Empty if all are equally long: then there is nothing to see.
    """
    if len(np.unique(timings.characters)) < 2:
        return []
    order = np.argsort(timings.characters, kind="stable")
    parts = [part for part in np.array_split(order, groups) if part.size]
    return [
        {
            "length": float(np.median(timings.characters[part])),
            "n": int(part.size),
            "p50_ms": quantile(timings.milliseconds[part], 0.5),
            "p95_ms": quantile(timings.milliseconds[part], 0.95),
        }
        for part in parts
    ]


def resident_bytes() -> int | None:
    """Memory this process holds now, where the system tells (Linux)."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            line = next((line for line in status if line.startswith("VmRSS:")), "")
    except OSError:
        return None
    return int(line.split()[1]) * 1024 if line else None
