"""What intervals of numbers need, from rows the model did not learn from. What the methods are: intervals.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.postprocessing.intervals import Difficulty, Method, Shape, quantile
from modelyard.methods.postprocessing.quantiles import name_of
from modelyard.methods.postprocessing.step import Floats

NEIGHBOURS = 50
"""Rows whose mean error is the difficulty at a point of the curve."""
KNOTS = 64
FLOOR = 0.1
"""Share of the median difficulty below which none falls: one lucky row must not make the threshold huge."""


def outer(levels: Sequence[float], alpha: float) -> tuple[str, str] | None:
    """The two levels nearest to α/2 and 1 - α/2, one on either side of the middle; None if there are none."""
    low, high = [one for one in levels if one < 0.5], [one for one in levels if one > 0.5]
    if not low or not high:
        return None
    return (
        name_of(min(low, key=lambda one: abs(one - alpha / 2))),
        name_of(min(high, key=lambda one: abs(one - 1 + alpha / 2))),
    )


def spread(answers: Sequence[Any], low: str, high: str) -> Difficulty:
    """The distance of two quantiles that the model answers."""
    found = quantile(answers, high) - quantile(answers, low)
    return Difficulty(_floor(found), low, high)


def neighbours(values: Floats, errors: Floats) -> Difficulty:
    """The mean error of the rows whose answers are nearest: k neighbours on the line of answers (Papadopoulos, Vovk
    and Gammerman 2011, whose neighbours are those of the row; here the answer alone says where it lies).

    Args:
        values: answered, errors: |y - ŷ| [n], n at least 1; rows that the threshold does not see.
    """
    order = np.argsort(values, kind="stable")
    ranked, own = values[order], errors[order]
    sums = np.concatenate([[0.0], np.cumsum(own)])
    k = min(NEIGHBOURS, ranked.size)
    starts = np.unique(np.linspace(0, ranked.size - k, KNOTS).round().astype(np.int64))
    y = (sums[starts + k] - sums[starts]) / k
    x = np.array([ranked[start : start + k].mean() for start in starts])
    x, first = np.unique(x, return_index=True)
    return Difficulty(_floor(y), x=x, y=y[first])


def _floor(found: Floats) -> float:
    middle = float(np.median(found))
    return FLOOR * middle if middle > 0 else 1.0


def shape(
    method: Method,
    answers: Sequence[Any],
    truths: Floats,
    levels: Sequence[float],
    alpha: float,
    ordering: NDArray[np.bool_],
) -> tuple[Shape, NDArray[np.bool_]]:
    """The method with what is fitted of it, and the rows [n] that are left for the threshold.

    Args:
        answers: of n rows, truths [n].
        levels: of the model's quantiles.
        ordering: rows [n] that a curve of difficulty may use up; a model of quantiles needs none.

    Raises ValueError if `cqr` finds no quantile on either side of the middle.
    """
    everything = np.ones(len(answers), dtype=np.bool_)
    pair = outer(levels, alpha)
    if method == "cqr":
        if pair is None:
            raise ValueError("no quantile on either side of 0.5")
        return Shape("cqr", None, *pair), everything
    if method == "normalized" and pair is not None:
        return Shape(method, spread(answers, *pair)), everything
    if method == "normalized":
        values = np.array([answer.value for answer in answers], dtype=np.float64)
        errors = np.abs(truths - values)
        return Shape(method, neighbours(values[ordering], errors[ordering])), ~ordering
    return Shape(), everything
