"""Which of two answers a judge prefers: asked in both orders, so that a liking for a place decides nothing.

A judge that is a language model often prefers what stands first (Zheng et al. 2023, "Judging LLM-as-a-judge"): each
pair is shown twice, the second time the other way round. A verdict counts if both say the same; else it is a draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelyard.methods.data.annotators.pairwise import cohen_kappa
from modelyard.methods.evaluation.paired import Pairs, difference_interval
from modelyard.methods.statistics.wilson import wilson

FIRST, SECOND, TIE = "first", "second", "tie"
PLACES = {
    FIRST: "the first answer is better",
    SECOND: "the second answer is better",
    TIE: "both are equally good, or equally bad",
}
OURS, OTHER = "model", "against"
VERDICTS = (OURS, OTHER, TIE)
INSTRUCTION = (
    "You compare two answers to the same request. Judge which one is more correct and helpful. Neither their order "
    "nor their length counts."
)
Interval = tuple[float, float]


def shown(request: str, first: str, second: str) -> str:
    """What the judge reads of a pair."""
    return f"Request:\n{request}\n\nFirst answer:\n{first}\n\nSecond answer:\n{second}"


@dataclass(frozen=True)
class Verdict:
    """What was said of a row in both orders: places, None where there was no valid answer."""

    straight: str | None
    swapped: str | None

    @property
    def judged(self) -> bool:
        return self.straight is not None and self.swapped is not None

    @property
    def consistent(self) -> bool:
        """Whether both orders say the same."""
        return self.judged and self.straight == {FIRST: SECOND, SECOND: FIRST, TIE: TIE}[self.swapped or TIE]

    @property
    def winner(self) -> str:
        """`model`, `against` or `tie`: what was said twice, else a draw. The model's answer stood first at first."""
        return {FIRST: OURS, SECOND: OTHER}.get(self.straight or "", TIE) if self.consistent else TIE


@dataclass(frozen=True)
class Share:
    """A share of `n` rows with its interval."""

    value: float
    interval: Interval | None
    n: int


def win_rate(verdicts: Sequence[Verdict]) -> Share:
    """Share of rows the model wins, draws counted half.

    The interval is that of the difference of shares won and lost (Newcombe 1998, method 10), halved and moved.
    """
    winners = [one.winner for one in verdicts if one.judged]
    won, lost = winners.count(OURS), winners.count(OTHER)
    n = len(winners)
    ends = difference_interval(Pairs(0, won, lost, n - won - lost))
    value = 0.5 + (won - lost) / n / 2 if n else float("nan")
    return Share(value, (0.5 + ends[0] / 2, 0.5 + ends[1] / 2) if ends else None, n)


def consistency(verdicts: Sequence[Verdict]) -> Share:
    """Share of rows that got the same verdict in both orders, with Wilson's interval."""
    judged = [one for one in verdicts if one.judged]
    return _rate(sum(one.consistent for one in judged), len(judged))


def agreement(verdicts: Sequence[Verdict], people: Sequence[str | None]) -> Share:
    """Share of the rows that people judged too on which both say the same, with Wilson's interval."""
    both = _both(verdicts, people)
    return _rate(sum(said == label for said, label in both), len(both))


def kappa(verdicts: Sequence[Verdict], people: Sequence[str | None]) -> Share:
    """Cohen's kappa of the judge and people over the three verdicts."""
    both = _both(verdicts, people)
    table = np.zeros((len(VERDICTS), len(VERDICTS)))
    for said, label in both:
        table[VERDICTS.index(label), VERDICTS.index(said)] += 1
    if not both:
        return Share(float("nan"), None, 0)
    _, value, low, high = cohen_kappa(table)
    return Share(value, (low, high) if value == value else None, len(both))


def _both(verdicts: Sequence[Verdict], people: Sequence[str | None]) -> list[tuple[str, str]]:
    return [
        (one.winner, label) for one, label in zip(verdicts, people, strict=True) if one.judged and label in VERDICTS
    ]


def _rate(hits: int, n: int) -> Share:
    return Share(hits / n if n else float("nan"), wilson(hits, n) if n else None, n)
