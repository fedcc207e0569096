"""What a division is worth: rows that stand on two sides, sides without rows, classes that are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.splitting.sides import (
    CALIBRATION,
    NAMES,
    NO_GROUP,
    ORDER,
    REMOVED,
    TEST,
    TRAIN,
    VALIDATION,
    Rows,
    Sides,
)


@dataclass(frozen=True)
class Overlap:
    """Rows whose text or group stands on another side.

    Attributes:
        shared: rows of the first side that the second has too, by (first, second) of ORDER, the first the later.
        leaking: for each row, the side it must make way for, or REMOVED if none.
    """

    shared: Mapping[tuple[int, int], int]
    leaking: Sides

    @property
    def num_leaking(self) -> int:
        return int((self.leaking != REMOVED).sum())


def overlap(rows: Rows, sides: Sides) -> Overlap:
    """What each side shares with those before it in ORDER."""
    there = [side for side in ORDER if side != CALIBRATION or (sides == CALIBRATION).any()]
    held = {side: also_on(rows, sides, side) for side in there}
    pairs = [(of, other) for place, of in enumerate(there) for other in there[:place]]
    leaking = np.full(len(sides), REMOVED, dtype=np.int8)
    for place, later in enumerate(there[1:], start=1):  # the latest side counts
        leaking[np.isin(sides, there[:place]) & held[later]] = later
    return Overlap({(of, other): int(((sides == of) & held[other]).sum()) for of, other in pairs}, leaking)


def also_on(rows: Rows, sides: Sides, side: int) -> NDArray[np.bool_]:
    """Whether each row's text or group stands on a side."""
    there = sides == side
    texts = np.zeros(int(rows.texts.max(initial=0)) + 1, dtype=np.bool_)
    texts[rows.texts[there]] = True
    found = texts[rows.texts]
    if rows.groups is not None:
        groups = np.zeros(int(rows.groups.max(initial=0)) + 2, dtype=np.bool_)
        groups[rows.groups[there]] = True
        groups[NO_GROUP] = False  # the place behind the last
        found |= groups[rows.groups]
    return found


def leakage_rate(rows: Rows, sides: Sides) -> float:
    """Share of the test rows whose text or group stands on another side; 0 without test rows."""
    test = sides == TEST
    if not test.any():
        return 0.0
    merged = np.where(np.isin(sides, (VALIDATION, CALIBRATION)), np.int8(TRAIN), sides).astype(np.int8)
    return int((test & also_on(rows, merged, TRAIN)).sum()) / int(test.sum())


def side_counts(sides: Sides) -> tuple[int, ...]:
    """Rows of each side, in the order of NAMES."""
    return tuple(np.bincount(sides[sides != REMOVED], minlength=len(NAMES)).tolist())


def future_rate(rows: Rows, sides: Sides) -> float | None:
    """Share of the training rows that are newer than the oldest test row; None without times or without test rows."""
    if rows.times is None or not (sides == TEST).any() or not (sides == TRAIN).any():
        return None
    return float((rows.times[sides == TRAIN] > rows.times[sides == TEST].min()).mean())


def check(rows: Rows, sides: Sides, wanted: Sequence[int]) -> None:
    """Raise InputError if a wanted side has no row, or train, if it is wanted, has fewer than two classes."""
    counts = side_counts(sides)
    different = len(np.unique(rows.texts))
    for side in wanted:
        if not counts[side] and different < max(2, len(wanted)) <= len(sides):
            raise InputError(
                t("no row goes to {split}: the {n:,} rows hold {different:,} different texts or records in all",
                  split=NAMES[side], n=len(sides), different=different),
                where="data.split",
                expected=t("a different one for each split at least: equal ones never lie on two sides"),
                remedy=t("is `text` the right column in data.read? is it empty, or the same in all rows?"),
            )  # fmt: skip
        if not counts[side]:
            raise InputError(
                t("no row goes to {split}: {n:,} rows are too few", split=NAMES[side], n=len(sides)),
                where="data.split",
                expected=t("at least one row in each split"),
                remedy=t("bring more rows, or change `validation` and `test`; one group or moment may hold too many"),
            )
    if rows.labels is not None and TRAIN in wanted:
        there = np.flatnonzero(rows.labels.counts(sides == TRAIN))
        if len(there) < 2:
            raise InputError(
                t("train holds one class only: {label}", label=", ".join(rows.labels.names[code] for code in there)),
                where="data.split",
                expected=t("at least two classes"),
                remedy=t("is `label` the right column in data.read? did data.clean drop the other class?"),
            )


def missing_classes(rows: Rows, sides: Sides, side: int) -> list[str]:
    """Classes that occur but have no row on `side`, by name."""
    if rows.labels is None:
        return []
    missing = (rows.labels.counts(sides != REMOVED) > 0) & (rows.labels.counts(sides == side) == 0)
    return [rows.labels.names[code] for code in np.flatnonzero(missing)]
