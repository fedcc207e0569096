"""Which rows are asked about, what label each ends with, and how far the endpoint agrees with people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelyard.methods.data.annotators.pairwise import cohen_kappa
from modelyard.methods.data.endpoint.answering import Answer
from modelyard.methods.data.row_random import ranks
from modelyard.methods.statistics.wilson import wilson


@dataclass(frozen=True)
class Agreement:
    """The endpoint beside people, on `n` rows; an answer that is none disagrees.

    Attributes:
        low, high: Wilson's 95 % interval of `hits` / `n`.
        kappa: Cohen's kappa with its large-sample interval; not-a-number if there is only one class.
    """

    n: int
    hits: int
    low: float
    high: float
    kappa: float
    kappa_low: float
    kappa_high: float

    @property
    def share(self) -> float:
        return self.hits / self.n


def rows_to_ask(
    ids: Sequence[str], people: Sequence[str | None], classes: Sequence[str], check: int, seed: int
) -> list[int]:
    """Places of the rows that are asked about: first `check` of those that people labelled, then all without a label.

    The rows to check are drawn by the seed and their ids, whatever their order.
    """
    known = [place for place, label in enumerate(people) if label in classes]
    order = ranks(seed, "check the endpoint", [ids[place] for place in known])
    checked = [known[place] for place in np.argsort(order, kind="stable")[:check].tolist()]
    return sorted(checked) + [place for place, label in enumerate(people) if not label]


def compare(people: Sequence[str], answers: Sequence[Answer], classes: Sequence[str]) -> Agreement | None:
    """How far answers agree with people; None without a row."""
    if not people:
        return None
    place = {name: number for number, name in enumerate(classes)}
    table = np.zeros((len(classes) + 1, len(classes) + 1))
    for label, answer in zip(people, answers, strict=True):
        table[place[label], len(classes) if answer.label is None else place[answer.label]] += 1
    n, hits = len(people), int(np.trace(table))
    _, kappa, low, high = cohen_kappa(table)
    return Agreement(n, hits, *wilson(hits, n), kappa, low, high)
