"""Several models by accuracy and gap: which are beaten in both, and what each costs against the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.group_columns import Grouping
from modelyard.methods.evaluation.blocks import Bar, Bars, Block, Figures, Phrase, Point, Scatter, Text
from modelyard.methods.evaluation.fairness import classes
from modelyard.methods.evaluation.paired import Pairs, difference_interval
from modelyard.methods.evaluation.quality import Answers
from modelyard.methods.statistics.wilson import wilson

Interval = tuple[float, float]


@dataclass(frozen=True)
class Spot:
    """A model by accuracy and gap.

    Attributes:
        gap, gap_interval: None if fewer than two groups have enough rows.
        cost: accuracy of the first model less its own, on the same rows.
        right: [rows] whether it answers rightly.
    """

    name: str
    accuracy: float
    interval: Interval
    gap: float | None
    gap_interval: Interval | None
    n: int
    right: NDArray[np.bool_]
    cost: float = 0.0
    cost_interval: Interval | None = None


def spot(
    name: str,
    answers: Answers,
    groupings: Sequence[Grouping],
    places: Sequence[int],
    metric: str,
    min_n: int,
    first: Spot | None,
) -> Spot:
    """One model's place.

    Args:
        metric: a gap of `classes.DIFFERENCES`.
        first: what costs are reckoned against; None: this is it.
    """
    found = classes.measure(answers, groupings, places, min_n)
    gap = next((one for one in found.estimates if one.name == metric and not one.slice), None)
    hits, n = int(answers.right.sum()), len(answers.right)
    ends = gap.interval if gap is not None and isinstance(gap.interval, tuple) else None
    value = None if gap is None else gap.value
    if first is None:
        return Spot(name, hits / n, wilson(hits, n), value, ends, n, answers.right)
    pairs = Pairs.of(first.right, answers.right)
    cost = difference_interval(pairs)
    return Spot(name, hits / n, wilson(hits, n), value, ends, n, answers.right, pairs.difference, cost)


def front(spots: Sequence[Spot]) -> list[int]:
    """Places of the models that no other beats in both: at least as accurate and as small a gap, one of them truly
    better (Pareto). A model without a gap is on no front."""
    found = []
    for place, one in enumerate(spots):
        if one.gap is not None and not any(_beats(other, one) for other in spots):
            found.append(place)
    return found


def _beats(other: Spot, one: Spot) -> bool:
    if other.gap is None or one.gap is None:
        return False
    as_good = other.accuracy >= one.accuracy and other.gap <= one.gap
    return as_good and (other.accuracy > one.accuracy or other.gap < one.gap)


def page(spots: Sequence[Spot], metric: str, names: Sequence[str]) -> list[Block]:
    """The picture, and every model's two figures with their intervals.

    Args:
        names: of the claims.
    """
    kept = set(front(spots))
    points = tuple(
        Point(one.gap, one.accuracy, "front" if place in kept else "beaten", one.name)
        for place, one in enumerate(spots)
        if one.gap is not None
    )
    return [
        Text(
            "Each point is a model: to the left the groups differ less, upwards more answers are right. A model is "
            "beaten if another is no worse in both. What is near may be chance: see the intervals."
        ),
        Scatter(Phrase("Accuracy over {metric}", {"metric": metric}), metric, "accuracy", points),
        Bars("Accuracy by model", tuple(Bar(one.name, one.accuracy, *one.interval) for one in spots)),
        Bars(
            Phrase("{metric} by model", {"metric": metric}),
            tuple(Bar(one.name, one.gap, *(one.gap_interval or (None, None))) for one in spots if one.gap is not None),
        ),
        Figures("Every model", tuple(names)),
    ]
