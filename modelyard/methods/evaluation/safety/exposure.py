"""Exposure of canaries: how much likelier a secret is to a model than other secrets of the same form, in bits.

exposure = log2 |R| - log2 rank, where R holds all secrets of the form and rank is the canary's place among them by
likelihood, 1 the likeliest. A model that never saw the canary gives it a uniform rank: exposure 1.44 bits in the mean
(1 / ln 2), above b bits once in 2^b. Source: Carlini et al. 2019, "The Secret Sharer", definition 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from modelyard.methods.data.canaries import DIGITS
from modelyard.methods.data.row_random import generator
from modelyard.methods.statistics import clopper_pearson

Likelihoods = Callable[[Sequence[tuple[str, str]]], list[float]]
"""Log-probabilities of (prefix, answer)."""
NULL_MEAN = 1 / math.log(2)


@dataclass(frozen=True)
class Exposure:
    """Of one canary, in bits, with its 95 % interval from the candidates drawn (a point if all were compared)."""

    bits: float
    low: float
    high: float
    better: int
    candidates: int


def exposure(better: int, candidates: int, space: int) -> Exposure:
    """From how many of the candidates are at least as likely as the canary.

    All of R compared: exact. Else the share is estimated as (better + 1) / (candidates + 1), which is never 0 and makes
    exposure an under-estimate of at most log2(candidates + 1) bits; the interval is Clopper and Pearson's.

    Args:
        candidates: other secrets compared, distinct if all, else drawn with replacement.
        space: |R|, the canary included.
    """
    if candidates >= space - 1:
        bits = math.log2(space) - math.log2(better + 1)
        return Exposure(bits, bits, bits, better, candidates)
    top = clopper_pearson.upper(better, candidates, 0.975)
    bottom = 1 - clopper_pearson.upper(candidates - better, candidates, 0.975)
    ends = [math.log2(space) - math.log2(1 + share * (space - 1)) for share in (top, bottom)]
    bits = -math.log2((better + 1) / (candidates + 1))
    return Exposure(bits, max(0.0, min(ends[0], bits)), max(ends[1], bits), better, candidates)


def candidates_of(secret: str, count: int, seed: int, name: str) -> list[str]:
    """Other secrets of the same form: all if there are at most `count`, else `count` drawn."""
    length = len(secret)
    if 10**length - 1 <= count:
        return [text for text in (f"{number:0{length}d}" for number in range(10**length)) if text != secret]
    digits = generator(seed, "candidates", name).integers(0, 10, (2 * count, length))
    texts = ("".join(DIGITS[digit] for digit in row) for row in digits)
    return [text for text in texts if text != secret][:count]


def measure(prefix: str, secret: str, count: int, seed: int, name: str, likelihoods: Likelihoods) -> Exposure:
    """Ask the model about the canary and its candidates. Ties count against the canary."""
    others = candidates_of(secret, count, seed, name)
    told = np.array(likelihoods([(prefix, text) for text in (secret, *others)]))
    return exposure(int((told[1:] >= told[0]).sum()), len(others), int(10 ** len(secret)))
