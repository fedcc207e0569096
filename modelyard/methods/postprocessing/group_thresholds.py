"""A threshold for each group: of two classes the positive one is answered from another score on in every group.

The record must hold the group's columns when it is asked; scores stay as they are, only the label changes. Whatever
they hold, it is answered: by the threshold for all where its group has none of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from modelyard.errors import InputError
from modelyard.methods.data.group_columns import JOIN, MISSING, label
from modelyard.methods.postprocessing.step import Floats, Records, Step, log_softmax, need_columns, number, numbers


class GroupThresholds(Step):
    """Answers the positive class where its score reaches the group's threshold.

    Args:
        by: columns of the record; bins: where numbers are cut.
        positive: place of the class.
        thresholds: by group; `default` for groups that are not among them.
    """

    tasks: ClassVar[tuple[str, ...]] = ("tabular-classification",)

    def __init__(
        self,
        by: Sequence[str],
        bins: Mapping[str, Sequence[float]],
        positive: int,
        names: Sequence[str],
        thresholds: Mapping[str, float],
        default: float,
    ) -> None:
        self.columns = tuple(by)
        self.by, self.bins, self.positive, self.names = tuple(by), dict(bins), positive, tuple(names)
        self.thresholds, self.default = dict(thresholds), default

    def groups(self, records: Records) -> list[str]:
        """Group of each record, however many there are. Raises InputError if one lacks a column."""
        need_columns(records, self.by)
        return [JOIN.join(self._part(name, one[name]) for name in self.by) for one in records]

    def _part(self, name: str, value: Any) -> str:
        try:
            return label(name, value, self.bins.get(name))
        except InputError:
            return MISSING  # no number where one is cut: it says no group

    def answers(self, answers: list[Any], outputs: Floats, records: Records) -> list[Any]:
        scores = np.exp(log_softmax(outputs)[:, self.positive]).tolist()
        chosen = [
            score >= self.thresholds.get(group, self.default)
            for group, score in zip(self.groups(records), scores, strict=True)
        ]
        other = self.names[1 - self.positive]
        return [
            replace(answer, label=self.names[self.positive] if yes else other)
            for answer, yes in zip(answers, chosen, strict=True)
        ]


def open_group_thresholds(settings: Mapping[str, Any], names: Sequence[str]) -> GroupThresholds:
    by, bins, found = settings.get("by"), settings.get("bins", {}), settings.get("thresholds")
    if not isinstance(by, list | tuple) or not by or not all(isinstance(one, str) for one in by):
        raise ValueError("`by` is no list of columns")
    if not isinstance(bins, Mapping) or not isinstance(found, Mapping):
        raise ValueError("`bins` or `thresholds` is no object")
    if len(names) != 2 or settings.get("positive") not in names:
        raise ValueError("`positive` is not one of two labels")
    cuts = {str(name): numbers(bins, name).tolist() for name in bins}
    limits = {str(group): number(found, group, 0, 2) for group in found}
    positive = list(names).index(str(settings["positive"]))
    return GroupThresholds(by, cuts, positive, names, limits, number(settings, "default", 0, 2))
