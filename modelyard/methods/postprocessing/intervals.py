"""Intervals of numbers that hold the truth with a stated probability, as wide as the method makes them for each row.

`split`: the value, more and less by one threshold (Lei et al. 2018). `normalized`: by the threshold times an estimate
of how hard the row is (Papadopoulos, Gammerman and Vovk 2008; Lei et al. 2018, section 5.2). `cqr`: the model's own
quantiles, moved out (or in) by the threshold (Romano, Patterson and Candès 2019). All are split conformal prediction:
the scores are |y - ŷ|, |y - ŷ| / σ, and max(q_low - y, y - q_high), and the threshold is that of conformal.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from modelyard.methods.postprocessing.conformal import Thresholds, limit, one_threshold, open_thresholds
from modelyard.methods.postprocessing.quantiles import name_of
from modelyard.methods.postprocessing.step import NUMBERS, Floats, Records, Step, number, numbers

Method = Literal["split", "normalized", "cqr"]
Binned = Literal["answer", "width"]
METHODS: tuple[Method, ...] = ("split", "normalized", "cqr")


@dataclass(frozen=True)
class Difficulty:
    """How large an error is to be expected, from what the model answers itself.

    Attributes:
        low, high: names of two quantiles whose distance it is; empty for a curve over the answered value.
        x, y: knots of that curve, straight between them, flat beyond.
        floor: the least of it, so that no row is thought to be without error.
    """

    floor: float
    low: str = ""
    high: str = ""
    x: Floats | None = None
    y: Floats | None = None

    def of(self, answers: Sequence[Any]) -> Floats:
        """[answers] at least `floor`."""
        if self.x is not None and self.y is not None:
            found = np.interp([answer.value for answer in answers], self.x, self.y)
        else:
            low, high = quantile(answers, self.low), quantile(answers, self.high)
            found = high - low
        result: Floats = np.maximum(found, self.floor)
        return result

    def to_json(self) -> dict[str, Any]:
        if self.x is not None and self.y is not None:
            return {"floor": self.floor, "x": self.x.tolist(), "y": self.y.tolist()}
        return {"floor": self.floor, "low": self.low, "high": self.high}


def quantile(answers: Sequence[Any], name: str) -> Floats:
    """A quantile of each answer [answers]. Raises ValueError if one has it not."""
    try:
        return np.array([answer.quantiles[name] for answer in answers], dtype=np.float64)
    except (TypeError, KeyError):
        raise ValueError(f"the model answers no quantile {name}") from None


@dataclass(frozen=True)
class Shape:
    """The method, and what it needs of an answer.

    Attributes:
        low, high: `cqr`: names of the quantiles that are moved.
    """

    method: Method = "split"
    difficulty: Difficulty | None = None
    low: str = ""
    high: str = ""

    def scores(self, answers: Sequence[Any], truths: Floats) -> Floats:
        """How far each truth is from its answer [answers], in the units of the threshold."""
        if self.method == "cqr":
            return np.maximum(quantile(answers, self.low) - truths, truths - quantile(answers, self.high))
        errors: Floats = np.abs(truths - _values(answers))
        return errors / self.difficulty.of(answers) if self.difficulty else errors

    def ends(self, answers: Sequence[Any], reach: Floats) -> tuple[Floats, Floats]:
        """Ends of each interval [answers] whose score is at most `reach` [answers]."""
        if self.method == "cqr":
            low, high = quantile(answers, self.low) - reach, quantile(answers, self.high) + reach
            middle = (low + high) / 2  # moved in so far that nothing is left: its middle stands for it
            return np.where(low > high, middle, low), np.where(low > high, middle, high)
        half = reach * self.difficulty.of(answers) if self.difficulty else reach
        values = _values(answers)
        return values - half, values + half

    def widths(self, answers: Sequence[Any]) -> Floats | None:
        """What the method expects of each row before the threshold [answers]; None where all rows are alike."""
        if self.method == "cqr":
            return quantile(answers, self.high) - quantile(answers, self.low)
        return self.difficulty.of(answers) if self.difficulty else None

    def to_json(self) -> dict[str, Any]:
        if self.method == "cqr":
            return {"method": self.method, "low": self.low, "high": self.high}
        return {"method": self.method} | ({"difficulty": self.difficulty.to_json()} if self.difficulty else {})


def _values(answers: Sequence[Any]) -> Floats:
    return np.array([answer.value for answer in answers], dtype=np.float64)


class Intervals(Step):
    """Adds `interval` to answers, from a threshold for all rows, of a row's group, or of the bin it lies in.

    Args:
        edges: of what the bins are of, rising, one fewer than there are bins; empty for one bin.
        bins: threshold of each bin.
        binned: what the bins are of: the answered value, or the width the shape expects.
    """

    tasks: ClassVar[tuple[str, ...]] = NUMBERS

    def __init__(
        self, thresholds: Thresholds, edges: Floats, bins: Sequence[float | None], shape: Shape | None = None,
        binned: Binned = "answer",
    ) -> None:  # fmt: skip
        self.thresholds, self.edges, self.shape, self.binned = thresholds, edges, shape or Shape(), binned
        self.bins = np.array([limit(one) for one in bins])
        self.columns = thresholds.columns

    def reach(self, answers: Sequence[Any], records: Records) -> Floats:
        """The threshold of each row [rows]; infinite where there is none."""
        if self.bins.size:
            placed = placing(self.binned, self.shape, answers)
            found: Floats = self.bins[np.searchsorted(self.edges, placed, side="right")]
            return found
        return self.thresholds.of(records)[:, 0]

    def answers(self, answers: list[Any], outputs: Floats, records: Records) -> list[Any]:
        reach = self.reach(answers, records)
        low, high = self.shape.ends(answers, reach)
        return [
            replace(answer, interval=(one, other) if math.isfinite(one) and math.isfinite(other) else None)
            for answer, one, other in zip(answers, low.tolist(), high.tolist(), strict=True)
        ]


def placing(binned: Binned, shape: Shape, answers: Sequence[Any]) -> Floats:
    """What says in which bin each answer lies [answers]. Raises ValueError for a shape of one width."""
    if binned == "answer":
        return _values(answers)
    widths = shape.widths(answers)
    if widths is None:
        raise ValueError("`split` has one width")
    return widths


def open_intervals(settings: Mapping[str, Any], labels: Sequence[str]) -> Intervals:
    edges = numbers(settings, "edges") if "edges" in settings else np.empty(0)
    bins = [one_threshold(one) for one in settings.get("bins", ())]
    if len(bins) != (len(edges) + 1 if len(edges) else 0) or (np.diff(edges) <= 0).any():
        raise ValueError("`bins` does not fit `edges`")
    shape, binned = _shape(settings), settings.get("binned", "answer")
    if binned not in ("answer", "width") or (binned == "width" and shape.method == "split"):
        raise ValueError("`binned` is neither `answer` nor the `width` of a method that has several")
    return Intervals(open_thresholds(settings, 0), edges, bins, shape, binned)


def _shape(settings: Mapping[str, Any]) -> Shape:
    method = settings.get("method", "split")
    if method not in METHODS:
        raise ValueError(f"`method` is none of {', '.join(METHODS)}")
    if method == "cqr":
        return Shape(method, None, *_pair(settings))
    if method == "normalized":
        found = settings.get("difficulty")
        if not isinstance(found, Mapping):
            raise ValueError("`difficulty` is missing")
        return Shape(method, _difficulty(found))
    return Shape()


def _difficulty(settings: Mapping[str, Any]) -> Difficulty:
    floor = number(settings, "floor", 0, 1e300)
    if floor == 0:
        raise ValueError("`floor` is 0")
    if "x" not in settings:
        return Difficulty(floor, *_pair(settings))
    x, y = numbers(settings, "x"), numbers(settings, "y")
    if not x.size or x.size != y.size or (np.diff(x) <= 0).any():
        raise ValueError("the knots of `difficulty` do not rise")
    return Difficulty(floor, x=x, y=y)


def _pair(settings: Mapping[str, Any]) -> tuple[str, str]:
    low, high = settings.get("low"), settings.get("high")
    if not isinstance(low, str) or not isinstance(high, str) or not 0 < float(low) < float(high) < 1:
        raise ValueError("`low` and `high` are no two levels")
    return name_of(float(low)), name_of(float(high))
