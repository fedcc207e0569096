"""Intervals of the harness' figures, from its value for each question: questions are what is independent.

| the harness combines by | interval |
|---|---|
| mean of rights and wrongs | Wilson |
| mean of shares | bootstrap-t on the logit scale |
| perplexities, bits per byte | bootstrap-t of the ratio of sums, through the exponential |
| anything of its own (BLEU, F1, MCC, Brier's score, a median) | percentiles of 1,000 resamples of questions |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.intervals import Interval
from modelyard.methods.evaluation.means import LEAST, ratio_interval, share_interval
from modelyard.methods.statistics.wilson import wilson

DRAWS = 1000
MOST = 2_000_000
"""Questions that resamples may hold together: figures of large corpora get fewer resamples."""
FEWEST = 200
WEIGHTED = ("word_perplexity", "byte_perplexity", "bits_per_byte")


@dataclass(frozen=True)
class Figure:
    """One number of a task.

    Attributes:
        filter: by which answers were read; empty if as they are.
        n: questions.
    """

    metric: str
    filter: str
    value: float
    interval: Interval | None
    n: int


def figure(
    metric: str, chosen: str, value: float, rows: Sequence[Any], combine: Callable[[Any], Any] | None, seed: int
) -> Figure:
    """A figure with its interval.

    Args:
        rows: what the harness computed for each question.
        combine: how it made one number of them.
    """
    found = interval_of(metric, rows, combine, seed) if math.isfinite(value) else None
    return Figure(metric, chosen, value, found, len(rows))


def interval_of(metric: str, rows: Sequence[Any], combine: Callable[[Any], Any] | None, seed: int) -> Interval | None:
    """95 %; None where the questions cannot carry one."""
    name = getattr(combine, "__name__", "mean")
    if metric in WEIGHTED:
        tops, sizes = (np.array([one[place] for one in rows], np.float64) for place in (0, 1))
        return _exponentials(ratio_interval(-tops, sizes, seed), metric == "bits_per_byte")
    if metric == "perplexity" and name == "perplexity":
        losses = -np.array(rows, np.float64)
        return _exponentials(ratio_interval(losses, np.ones(losses.size), seed), False)
    if name == "mean" and all(isinstance(one, int | float | np.number) for one in rows):
        values = np.array(rows, np.float64)
        if np.isin(values, (0.0, 1.0)).all():
            return wilson(int(values.sum()), values.size)
        if (values >= 0).all() and (values <= 1).all():
            return share_interval(values, seed)
        return ratio_interval(values, np.ones(values.size), seed)
    return None if combine is None else _resampled(rows, combine, seed)


def _exponentials(ends: Interval | None, as_bits: bool) -> Interval | None:
    if ends is None:
        return None
    low, high = ends
    if as_bits:
        return low / math.log(2), high / math.log(2)
    return math.exp(min(low, 700.0)), math.exp(min(high, 700.0))


def _resampled(rows: Sequence[Any], combine: Callable[[Any], Any], seed: int) -> Interval | None:
    n = len(rows)
    if n < LEAST:
        return None
    draws = max(FEWEST, min(DRAWS, MOST // n))
    generator = np.random.default_rng(seed)
    values: list[float] = []
    for _ in range(draws):
        take: NDArray[np.int64] = generator.integers(0, n, n)
        try:
            values.append(float(combine([rows[place] for place in take.tolist()])))
        except (ValueError, ZeroDivisionError, IndexError):  # a resample of one class has no F1
            continue
    kept = [one for one in values if math.isfinite(one)]
    if len(kept) < draws / 2:
        return None
    low, high = np.quantile(kept, [0.025, 0.975]).tolist()
    return low, high
