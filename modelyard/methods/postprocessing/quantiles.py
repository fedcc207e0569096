"""Quantiles beside a number: the network's further outputs, in order, so that they never cross.

A network that learned several quantiles alone may give a higher value to a lower level. Sorting them moves each nearer
to the true quantile, never farther (Chernozhukov, Fernández-Val and Galichon 2010, "rearrangement").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from modelyard.methods.postprocessing.step import NUMBERS, Floats, Records, Step, numbers

KIND = "quantiles"


class Quantiles(Step):
    """Adds `quantiles`: the value below which the truth lies with each probability.

    Args:
        levels: rising, inside (0, 1); that of each output behind the first.
    """

    tasks: ClassVar[tuple[str, ...]] = NUMBERS

    def __init__(self, levels: Floats) -> None:
        self.names = tuple(name_of(level) for level in levels.tolist())
        self.extra = len(self.names)

    def answers(self, answers: list[Any], outputs: Floats, records: Records) -> list[Any]:
        values = np.sort(outputs[:, 1 : 1 + self.extra].astype(np.float64), axis=1).tolist()
        return [
            replace(answer, quantiles=dict(zip(self.names, row, strict=True)))
            for answer, row in zip(answers, values, strict=True)
        ]


def name_of(level: float) -> str:
    """How a level is named in answers: `0.05`."""
    return f"{level:g}"


def open_quantiles(settings: Mapping[str, Any], labels: Sequence[str]) -> Quantiles:
    levels = numbers(settings, "levels")
    if not levels.size or levels[0] <= 0 or levels[-1] >= 1 or (np.diff(levels) <= 0).any():
        raise ValueError("`levels` do not rise inside 0 and 1")
    return Quantiles(levels)


def levels_of(postprocessing: Sequence[Mapping[str, Any]]) -> list[float]:
    """The levels a model answers with; empty if it gives no quantiles."""
    found = [one for one in postprocessing if one.get("kind") == KIND]
    return [float(level) for level in found[-1]["levels"]] if found else []
