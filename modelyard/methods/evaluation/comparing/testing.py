"""Whether two predictors differ on the same rows: exact and by shuffling, with the interval of the mean difference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm
from scipy.stats import t as student

from modelyard.methods.evaluation.comparing.scoring import Scored
from modelyard.methods.evaluation.intervals import bootstrap_t
from modelyard.methods.evaluation.paired import Pairs, difference_interval

Floats = NDArray[np.float64]
Interval = tuple[float, float]
DRAWS = 9_999
ENUMERATED = 16
"""So many rows that differ have 65,536 ways to be shuffled: all are tried."""
CELLS = 4_000_000


@dataclass(frozen=True)
class Test:
    """One test of no difference, two-sided. `n`: rows that it rests on: those that differ."""

    name: str
    p: float
    n: int


@dataclass(frozen=True)
class Difference:
    """Mean gain of the model, positive where it is better, with its 95 % interval and the tests of none."""

    value: float
    interval: Interval | None
    n: int
    tests: tuple[Test, ...]


def compare(scored: Scored, seed: int) -> Difference:
    """All tests that fit the kind of score. Right and wrong: exact McNemar. Other numbers: sign flips and signs."""
    gain = scored.gain
    n = int(gain.size)
    if scored.measure.binary:
        tests: tuple[Test, ...] = (mcnemar(pairs_of(scored)),)
    else:
        tests = (sign_flips(gain, seed), signs(gain))
    return Difference(float(gain.mean()) if n else math.nan, interval_of(scored, seed), n, tests)


def pairs_of(scored: Scored) -> Pairs:
    """Rows by who was right."""
    return Pairs.of(scored.model > 0.5, scored.against > 0.5)


def mcnemar(pairs: Pairs) -> Test:
    """Exact: among the rows that only one got right, each is as likely (McNemar 1947; binomial, two-sided)."""
    differing = pairs.first + pairs.second
    return Test("mcnemar", _binomial(pairs.first, differing), differing)


def signs(gain: Floats) -> Test:
    """The sign test: rows that got better against rows that got worse; equal ones do not count (Dixon, Mood 1946)."""
    better, worse = int((gain > 0).sum()), int((gain < 0).sum())
    return Test("sign", _binomial(better, better + worse), better + worse)


def _binomial(hits: int, n: int) -> float:
    return float(two_sided(np.array([hits]), np.array([n]))[0])


def two_sided(hits: NDArray[np.int64], n: NDArray[np.int64]) -> Floats:
    """Exact p-values of `hits` in `n` tosses of a fair coin, at once: twice the smaller tail, at most 1."""
    found: Floats = np.minimum(1.0, 2 * binom.cdf(np.minimum(hits, n - hits), n, 0.5))
    return found


def sign_flips(gain: Floats, seed: int) -> Test:
    """The permutation test of paired scores: which predictor gave which score is shuffled in each row.

    Of the mean, two-sided. All ways are tried for up to 16 rows that differ; else 9,999 at random, the data counted as
    one of them, so that the test keeps its level (Fisher 1935; Phipson and Smyth 2010).
    """
    differing = gain[gain != 0]
    n = int(differing.size)
    if not n:
        return Test("permutation", 1.0, 0)
    reached = abs(float(differing.sum())) * (1 - 1e-12)
    if n <= ENUMERATED:
        codes = np.arange(2**n)[:, None] >> np.arange(n) & 1
        return Test("permutation", float((np.abs((1 - 2 * codes) @ differing) >= reached).mean()), n)
    return Test("permutation", float(flipped(differing[:, None], seed)[0]), n)


def flipped(gains: Floats, seed: int, draws: int = DRAWS) -> Floats:
    """p-values of the sign-flip test of many columns at once.

    Args:
        gains: [rows, columns], 0 where a row is not in a column's group; all columns see the same shuffles.
    """
    generator = np.random.default_rng(seed)
    reached = np.abs(gains.sum(axis=0)) * (1 - 1e-12)
    hits, done = np.zeros(gains.shape[1]), 0
    at_once = max(1, CELLS // max(gains.shape))
    while done < draws:
        count = min(at_once, draws - done)
        flips = 1.0 - 2.0 * generator.integers(0, 2, size=(count, gains.shape[0]))
        hits += (np.abs(flips @ gains) >= reached).sum(axis=0)
        done += count
    found: Floats = (hits + 1) / (draws + 1)
    return found


def interval_of(scored: Scored, seed: int, level: float = 0.95) -> Interval | None:
    """Of the mean gain. Right and wrong: Newcombe's for paired rates. Numbers: the paired bootstrap-t at 95 %,
    Student's at other levels, which the search for groups asks for."""
    if scored.measure.binary:
        return difference_interval(pairs_of(scored), float(norm.ppf(0.5 + level / 2)))
    gain = scored.gain
    if level == 0.95:
        return bootstrap_t(gain, seed=seed)
    if gain.size < 2:
        return None
    half = float(student.ppf(0.5 + level / 2, gain.size - 1)) * float(gain.std(ddof=1)) / math.sqrt(gain.size)
    return float(gain.mean()) - half, float(gain.mean()) + half
