"""Evidence: a measured value with its uncertainty, about exact bytes, on named data, by a recorded run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Interval = tuple[float, float]
Exact = Literal["exact"]
TASK = "task"
"""Of a slice: one task of a model of several. Its figure is of everything, as of a model of that task alone."""
Subject = Literal["bytes", "lineage", "pair"]
"""Whom evidence speaks about: the bytes themselves, everything that descends from them, or a comparison."""


@dataclass(frozen=True)
class Claim:
    """What a stage can measure. The name is `family.quantity`.

    Attributes:
        name: for instance `quality.accuracy`.
        description: one line, with the definition.
        unit: `` for a ratio or a count, else the unit (`ms`, `bytes`, `rows`).
        better: which direction is good.
        subject: see `Subject`.
        timing: True if it depends on the machine; timing evidence pools over runs instead of taking the worst.
        sizing: how `plan` computes the rows a rule needs: `rate` (a proportion) or None.
        any_split: True if rules accept it on any data, not only on test.
    """

    name: str
    description: str
    unit: str = ""
    better: Literal["higher", "lower", "none"] = "higher"
    subject: Subject = "bytes"
    timing: bool = False
    sizing: Literal["rate"] | None = None
    any_split: bool = False


@dataclass(frozen=True)
class Measurement:
    """What a stage hands to `Context.measure`: evidence before the engine has tied it to digests.

    Attributes:
        about: name of the input or output port whose artifact it speaks about.
        on: `port/split` of the data it was measured on, or `` if it needs none.
        against: name of the port it is compared with (`pair` claims), or None.
    """

    claim: str
    value: float
    about: str
    on: str
    n: int
    unit: str
    interval: Interval | Exact | None
    slice: Mapping[str, str] = field(default_factory=dict)
    against: str | None = None


@dataclass(frozen=True)
class Evidence:
    """A measurement tied to bytes.

    Attributes:
        claim: name of the claim.
        value: the point estimate.
        interval: 95 % confidence interval, `exact` (a count over everything, a size), or None (no gate passes).
        n: rows (or timings) it rests on.
        subject: digest of the artifact it speaks about.
        dataset: digest of the artifact it was measured on, `` if none.
        split: which split of it, `` if none.
        slice: the subgroup, empty for everything.
        against: digest of the artifact compared with, or None.
        evaluator: digest of the code and the settings that measured.
        run: id of the run that measured.
        sequence: the ledger's counter: order in time.
        withdrawn: `name: reason` if a person withdrew it, else None.
    """

    claim: str
    value: float
    interval: Interval | Exact | None
    n: int
    unit: str
    subject: str
    dataset: str
    split: str
    evaluator: str
    run: int
    sequence: int
    slice: Mapping[str, str] = field(default_factory=dict)
    against: str | None = None
    withdrawn: str | None = None

    @property
    def whole(self) -> bool:
        """Whether it speaks of all rows, be it of one task, and not of a group of them."""
        return set(self.slice) <= {TASK}

    @property
    def exact(self) -> bool:
        return self.interval == "exact"

    def ends(self) -> Interval | None:
        """Lower and upper end; the point twice if exact; None if unknown."""
        if self.interval is None:
            return None
        if isinstance(self.interval, str):
            return (self.value, self.value)
        return self.interval

    def sound(self) -> bool:
        """False for NaN, infinity, n = 0 or an interval that is not one."""
        ends = self.ends()
        if ends is None or self.n <= 0 or not math.isfinite(self.value):
            return False
        low, high = ends
        return math.isfinite(low) and math.isfinite(high) and low <= high
