"""Answers with a guarantee: sets of labels, or an interval, that hold the truth with a stated probability.

Split conformal prediction: a score says how badly a label fits a record; the threshold is the ⌈(n + 1)(1 - α)⌉-th
smallest score of n rows the model did not learn from. A new row of the same kind then has a score above it with
probability at most α, whatever the model is (Vovk, Gammerman and Shafer 2005; Lei et al. 2018). With a threshold for
each class or group of rows it holds for each of them (Mondrian).

Scores of a label: `lac` 1 - p (Sadinle, Lei and Wasserman 2019: the smallest sets); `aps` the sum of p down to and with
the label (Romano, Sesia and Candès 2020, without their random last label: sets are a little larger, and the same every
time); `raps` the same with a penalty for each place after the first few (Angelopoulos et al. 2021). Of a number:
intervals.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.postprocessing.step import Floats, Records, Step, log_softmax, need_columns, number

SCORES = ("lac", "aps", "raps")
UNKNOWN = ""
"""The group of a record whose column is null: it may belong to any."""
ROUNDING = 1e-9
"""Scores within it are equal: a batch of another size rounds otherwise."""


def threshold(scores: Floats, alpha: float) -> float | None:
    """The ⌈(n + 1)(1 - α)⌉-th smallest score; None if n is too small for α: everything is in."""
    place = math.ceil(round((scores.size + 1) * (1 - alpha), 9))
    return None if place > scores.size else float(np.partition(scores, place - 1)[place - 1])


def label_scores(probabilities: Floats, kind: str, penalty: float = 0.0, free: int = 0) -> Floats:
    """How badly each label fits [rows, classes].

    Args:
        kind: of SCORES.
        penalty, free: `raps`: for each place after the first `free`.
    """
    if kind == "lac":
        return 1 - probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
    if kind == "raps":
        sums = sums + penalty * np.maximum(np.arange(1, sums.shape[1] + 1) - free, 0)
    scores = np.empty_like(sums)
    np.put_along_axis(scores, order, sums, axis=1)
    return scores


def group_of(record: Mapping[str, Any], column: str) -> str:
    """A record's group as the thresholds name it; UNKNOWN if it does not say."""
    value = record.get(column)
    return UNKNOWN if value is None or value != value else str(value)


def known(groups: Mapping[str, float | None]) -> dict[str, float | None]:
    """Thresholds without that of rows that did not say their group, if these were too few for one."""
    return {name: one for name, one in groups.items() if name != UNKNOWN or one is not None}


class Thresholds:
    """Which threshold a row, or a label, has. None stands for none at all: everything is in.

    A record of a group that was never seen, or that does not say its group, may be of the group that is hardest: it has
    the largest threshold of all groups. A record without the column at all is refused.

    Args:
        one: for all rows, where they share it.
        classes: one for each label; empty if they share it.
        column, groups: of the record, and the threshold of each of its values.
    """

    def __init__(
        self,
        one: float | None,
        classes: Sequence[float | None] = (),
        column: str = "",
        groups: Mapping[str, float | None] | None = None,
    ) -> None:
        self.one, self.classes, self.column, self.groups = one, tuple(classes), column, dict(groups or {})
        self.careful = max(limit(each) for each in (one, *known(self.groups).values()))

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the record that are read."""
        return (self.column,) if self.column else ()

    def of(self, records: Records) -> Floats:
        """[rows, 1] or [1, classes]."""
        if self.classes:
            return np.array([[limit(one) for one in self.classes]])
        if self.column:
            need_columns(records, (self.column,))
            return np.array([[self._of_group(group_of(record, self.column))] for record in records])
        return np.full((len(records), 1), limit(self.one))

    def _of_group(self, name: str) -> float:
        return self.careful if name == UNKNOWN or name not in self.groups else limit(self.groups[name])

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"threshold": self.one}
        if self.classes:
            value["classes"] = list(self.classes)
        if self.column:
            value |= {"column": self.column, "groups": self.groups}
        return value


def limit(value: float | None) -> float:
    """Infinite for none."""
    return math.inf if value is None else value


class LabelSets(Step):
    """Adds `set` to answers: labels whose score is within the threshold, the likeliest first.

    Args:
        empty: whether a set may be empty; else it holds at least the answer.
    """

    def __init__(
        self, labels: Sequence[str], kind: str, thresholds: Thresholds, penalty: float, free: int, empty: bool
    ) -> None:
        self.labels, self.kind, self.thresholds = tuple(labels), kind, thresholds
        self.penalty, self.free, self.empty = penalty, free, empty
        self.columns = thresholds.columns

    def inside(self, probabilities: Floats, records: Records) -> NDArray[np.bool_]:
        """[rows, classes]."""
        scores = label_scores(probabilities, self.kind, self.penalty, self.free)
        found: NDArray[np.bool_] = scores <= self.thresholds.of(records) + ROUNDING
        if not self.empty:
            bare = np.flatnonzero(~found.any(axis=1))
            found[bare, probabilities[bare].argmax(axis=1)] = True
        return found

    def answers(self, answers: list[Any], outputs: Floats, records: Records) -> list[Any]:
        probabilities = np.exp(log_softmax(outputs))
        inside = self.inside(probabilities, records)
        order = np.argsort(-probabilities, axis=1, kind="stable")
        return [
            replace(answer, set=tuple(self.labels[place] for place in ranked if row[place]))
            for answer, row, ranked in zip(answers, inside, order.tolist(), strict=True)
        ]


def open_sets(settings: Mapping[str, Any], labels: Sequence[str]) -> LabelSets:
    kind = settings.get("score")
    if kind not in SCORES:
        raise ValueError(f"`score` is none of {', '.join(SCORES)}")
    penalty, free = number(settings, "penalty", 0, 1e3), int(number(settings, "free", 0, 1e6))
    return LabelSets(labels, kind, open_thresholds(settings, len(labels)), penalty, free, settings.get("empty") is True)


def open_thresholds(settings: Mapping[str, Any], num_labels: int) -> Thresholds:
    """Thresholds as `to_json` wrote them. Raises ValueError for what is none."""
    classes, groups, column = settings.get("classes", ()), settings.get("groups", {}), settings.get("column", "")
    if not isinstance(classes, list | tuple) or (classes and len(classes) != num_labels):
        raise ValueError("`classes` has not one threshold for each label")
    if not isinstance(groups, Mapping) or not isinstance(column, str):
        raise ValueError("`groups` are no thresholds by name")
    by_group = {str(name): one_threshold(one) for name, one in groups.items()}
    return Thresholds(
        one_threshold(settings.get("threshold")), [one_threshold(one) for one in classes], column, by_group
    )


def one_threshold(value: Any) -> float | None:
    """A number, or None for none."""
    return None if value is None else number({"threshold": value}, "threshold", -math.inf, math.inf)
