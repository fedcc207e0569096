"""How many rows a rule about a rate needs, and what must be observed on the rows there are.

A rate's interval is Wilson's (E. B. Wilson 1927, JASA 22): it inverts the score test, so its lower end is at least b
exactly when the observed rate is at least b + z sqrt(b (1 - b) / n). The power is that of the exact binomial, not of
its normal approximation. A rule `max` is the same question about the misses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from modelyard.core.evidence import Claim
from modelyard.core.project import Rule
from modelyard.methods.statistics.wilson import Z95, wilson

POWER = 0.8
Z_POWER = 0.8416212335729143  # 80 % quantile
MARGINS = (0.01, 0.02, 0.05)


OTHER_CASES = ("attacks", "checklist", "concepts", "explanation", "fairness", "harness", "maps", "memorization",
               "privacy", "robustness", "safety")  # fmt: skip
"""Families whose rates are of cases, questions, changed or chosen rows, not of the test rows."""
OTHER_UNITS = ("quality.hit_rate", "quality.mask_accuracy", "uncertainty.answered_error")
"""Rates of users, masks, and answers given."""


def of_test_rows(claim: Claim) -> bool:
    """Whether a claim is a rate among all test rows, so that their number is its n."""
    other = claim.any_split or claim.name.split(".")[0] in OTHER_CASES or claim.name in OTHER_UNITS
    return claim.sizing == "rate" and not other


@dataclass(frozen=True)
class SampleSize:
    """What a rule about a rate asks of the test data.

    Attributes:
        bound: the rule's.
        upper: True for a `max` rule.
        needed: margin to rows. With so many rows, a model that truly is better than the bound by the margin passes
            with a probability of 80 %. None: no model can be better by that margin.
        rows: test rows at hand, if known.
        must_observe: the rate that must be observed on those rows (at least it, at most it for `max`); None if the
            rows are unknown or cannot decide the rule whatever is observed.
        decidable: False if even a perfect result on the rows at hand would fail.
    """

    bound: float
    upper: bool
    needed: dict[float, int | None]
    rows: int | None = None
    must_observe: float | None = None

    @property
    def decidable(self) -> bool:
        return self.rows is None or self.must_observe is not None


def sample_size(rule: Rule, rows: int | None = None) -> SampleSize | None:
    """The sizing of a rule on a claim that is a rate. None for a bound that is none for a rate (below 0, above 1).

    Args:
        rule: with exactly one bound.
        rows: test rows at hand, or None.
    """
    upper = rule.max is not None
    bound = rule.max if rule.max is not None else rule.min
    if bound is None or not 0 <= bound <= 1:
        return None
    low = 1 - bound if upper else bound
    needed = {margin: rows_for(low, margin) for margin in MARGINS}
    rate = None
    if rows:
        hits = fewest_hits(low, rows)
        rate = None if hits is None else (rows - hits if upper else hits) / rows
    return SampleSize(bound, upper, needed, rows, rate)


def fewest_hits(bound: float, rows: int) -> int | None:
    """The fewest hits in `rows` whose lower end reaches the bound; None if not even all hits do."""
    if bound <= 0:
        return 0
    hits = math.ceil(rows * bound + Z95 * math.sqrt(rows * bound * (1 - bound)))
    while hits > 0 and wilson(hits - 1, rows)[0] >= bound:  # mends rounding where the sum is a whole number
        hits -= 1
    while hits <= rows and wilson(hits, rows)[0] < bound:
        hits += 1
    return hits if hits <= rows else None


def power(bound: float, true: float, rows: int) -> float:
    """Probability that `rows` draws from a model with the true rate pass the bound."""
    hits = fewest_hits(bound, rows)
    return 0.0 if hits is None else _upper_tail(hits, rows, true)


def _upper_tail(hits: int, rows: int, rate: float) -> float:
    """P(X >= hits), X binomial; summed away from its largest term, so that rounding stays at the last digits."""
    if hits <= 0 or rate >= 1:
        return 1.0
    if rate <= 0:
        return 0.0
    if hits <= rows * rate:
        return 1.0 - _sum(hits - 1, rows, rate, -1)
    return _sum(hits, rows, rate, 1)


def _sum(start: int, rows: int, rate: float, step: int) -> float:
    """Sum of binomial terms from `start` outwards, where they fall."""
    odds = rate / (1 - rate)
    log_term = math.lgamma(rows + 1) - math.lgamma(start + 1) - math.lgamma(rows - start + 1)
    term = math.exp(log_term + start * math.log(rate) + (rows - start) * math.log1p(-rate))
    total, position = 0.0, start
    while 0 <= position <= rows and term > total * 1e-15:
        total += term
        if step > 0:
            term *= odds * (rows - position) / (position + 1)
        else:
            term *= position / (rows - position + 1) / odds
        position += step
    return total


@lru_cache(maxsize=256)
def rows_for(bound: float, margin: float) -> int | None:
    """Rows from which on a model better than the bound by the margin passes with a probability of POWER or more.

    The exact power is a saw (a row more can need a hit more), so the answer is the number after the last tooth that
    is too low. It is found from above: past the normal approximation with a tenth to spare no tooth is too low.
    """
    true = bound + margin
    if not 0 <= bound < 1 or true > 1 + 1e-12:
        return None
    if bound == 0:
        return 1
    true = min(true, 1.0)
    spread = Z95 * math.sqrt(bound * (1 - bound)) + Z_POWER * math.sqrt(true * (1 - true))
    tooth = math.ceil(1 / bound + 1 / (1 - bound)) + 2
    rows = math.ceil((spread / margin) ** 2 * 1.1) + 4 * tooth
    while rows > 1 and power(bound, true, rows - 1) >= POWER:
        rows -= 1
    return rows
