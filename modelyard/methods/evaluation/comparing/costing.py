"""What quality costs: bytes of two model folders, and the time of both on the same records, one after the other."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.intervals import bootstrap_t
from modelyard.methods.evaluation.latency import log_mean_interval, quantile, quantile_interval
from modelyard.methods.runtimes.predictor import Predictor, Record

Floats = NDArray[np.float64]
Interval = tuple[float, float]
WARMUP = 10
RECORDED = "recorded"
"""How the runtime of recorded answers is called."""


@dataclass(frozen=True)
class Times:
    """Milliseconds of both on the same records [n]; empty of what answers from a record."""

    model: Floats
    against: Floats

    @property
    def paired(self) -> bool:
        """Whether both were timed."""
        return bool(self.model.size and self.against.size)

    @property
    def ratio(self) -> float:
        """Geometric mean of time of the model by time of the other; below 1 the model is faster."""
        return math.exp(float(np.log(self.model / self.against).mean()))

    @property
    def ratio_interval(self) -> Interval | None:
        return log_mean_interval(self.model / self.against)


def median(values: Floats) -> tuple[float, Interval | None]:
    """Median of times with its distribution-free interval."""
    return quantile(values, 0.5), quantile_interval(values, 0.5)


def price_per_1000(costs: Sequence[float], seed: int) -> tuple[float, Interval | None]:
    """Of records like these, from what each cost."""
    values = 1000 * np.array(costs)
    return float(values.mean()), bootstrap_t(values, seed=seed, non_negative=True)


def time_models(
    predictors: tuple[Predictor, Predictor],
    records: Sequence[Record],
    seed: int,
    note: Callable[[int, int], None],
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Times:
    """Ask both about each record, alone, in an order tossed for each: what slows the machine slows both.

    The first records are asked once before, untimed. Recorded answers are not timed: they take no time.
    """
    timed = [which for which, one in enumerate(predictors) if not one.runtime.startswith(RECORDED)]
    for which in timed:
        for record in records[:WARMUP]:
            predictors[which].predict([record])
    first = np.random.default_rng(seed).integers(0, 2, size=len(records)).tolist()
    spent = np.empty((2, len(records)))
    for place, record in enumerate(records):
        for which in (first[place], 1 - first[place]):
            if which not in timed:
                continue
            start = clock()
            predictors[which].predict([record])
            spent[which, place] = max(1, clock() - start) / 1e6
        note(place + 1, len(records))
    return Times(*(spent[which] if which in timed else np.empty(0) for which in (0, 1)))
