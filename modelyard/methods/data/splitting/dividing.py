"""A data set divided: the side of every row is chosen, what stands on two sides is taken out, and all is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.splitting import checking
from modelyard.methods.data.splitting.choosing import split_by_time, split_given, split_stratified
from modelyard.methods.data.splitting.sides import CALIBRATION, NAMES, REMOVED, TEST, TRAIN, Rows, Sides

SHOWN = 5
By = Literal["auto", "label", "time", "given"]


@dataclass
class Division:
    """Where every row goes, and what was found on the way.

    Attributes:
        names: splits that are written, in the order of `sides.NAMES`; calibration only if rows were kept for it.
        sides: of each row, in the order of the data; REMOVED if it is taken out.
        came: the same before rows were taken out.
        leaking: of a removed row the side it had to make way for, of others REMOVED.
        leakage_rate: after the split; see `checking.leakage_rate`.
        overlap_found_rate: the same before rows were removed.
        duplicate_rate: share of the rows in a split that repeat the text of an earlier one in any.
        future_rate: share of the training rows newer than the oldest test row; None without times.
        notes: lines for the user.
    """

    sides: Sides
    came: Sides
    leaking: Sides
    leakage_rate: float = 0.0
    overlap_found_rate: float = 0.0
    duplicate_rate: float = 0.0
    future_rate: float | None = None
    notes: list[str] = field(default_factory=list)
    names: tuple[str, ...] = NAMES[:CALIBRATION]

    @property
    def counts(self) -> tuple[int, ...]:
        """Rows of train, validation, test and calibration."""
        return checking.side_counts(self.sides)


@dataclass(frozen=True)
class Shares:
    """Of the rows, each at least 0 and together below 1, the rest is train; or all of them for test."""

    validation: float
    test: float
    calibration: float = 0.0

    @property
    def all_test(self) -> bool:
        """Whether no row is to learn from."""
        return self.test == 1


def divide(rows: Rows, data: Dataset, by: By, shares: Shares, seed: int, keep_overlap: bool) -> Division:
    """Choose the side of every row.

    Raises:
        InputError: a role that `by` needs is missing, a split would be empty, or there is one class only.
    """
    if not len(rows):
        raise InputError(t("the data set has no row"), where="data.split")
    notes: list[str] = []
    if shares.all_test:
        return _resolved(rows, np.full(len(rows), TEST, dtype=np.int8), "test", shares, keep_overlap, notes)
    _check_classes(rows)
    chosen = by if by != "auto" else "given" if rows.given is not None else "label"
    if chosen == "given":
        sides = _given(rows, data, shares, seed, notes)
    elif chosen == "time":
        if rows.times is None:
            data.need("time")
            raise InputError(t("no column has the role `{role}`", role="time"), where="data.split")
        sides = split_by_time(rows.times, shares.validation, shares.test, shares.calibration)
    else:
        sides = split_stratified(rows, shares.validation, shares.test, seed, shares.calibration)
    return _resolved(rows, sides, chosen, shares, keep_overlap, notes)


def _check_classes(rows: Rows) -> None:
    if rows.labels is not None and len(rows.labels.names) < 2:
        raise InputError(
            t("the data holds one class only: {label}", label=", ".join(rows.labels.names)),
            where="data.split",
            expected=t("at least two classes"),
            remedy=t("is `label` the right column in data.read? did data.clean drop the other class?"),
        )


def _given(rows: Rows, data: Dataset, shares: Shares, seed: int, notes: list[str]) -> Sides:
    if rows.given is None:
        data.need("split")
        raise InputError(t("no column has the role `{role}`", role="split"), where="data.split")
    if not (rows.given == TRAIN).any():
        raise InputError(t("no row of the data is given as train"), where="data.split")
    sides, carved = split_given(rows, shares.validation, shares.test, seed, shares.calibration)
    for side in carved:
        n = int((sides == side).sum())
        notes.append(t("the data comes without {split}: {n:,} rows carved from train", split=NAMES[side], n=n))
    if not set(carved) - {CALIBRATION}:
        notes.append(t("the data comes split; `validation` and `test` are not used"))
    return sides


def _resolved(rows: Rows, sides: Sides, by: str, shares: Shares, keep: bool, notes: list[str]) -> Division:
    """Take out what stands on two sides, check, and count."""
    found = checking.overlap(rows, sides)
    nothing = np.full(len(sides), REMOVED, dtype=np.int8)
    division = Division(sides.copy(), sides, nothing, notes=notes)
    if shares.calibration:
        division.names = NAMES
    division.overlap_found_rate = checking.leakage_rate(rows, sides)
    counts = division.counts
    for (side, other), num in sorted(found.shared.items(), key=lambda item: (item[0][1], -item[0][0])):
        if num:
            notes.append(_also(num, counts[side], NAMES[side], NAMES[other]))
    if found.num_leaking and not keep:
        division.leaking = found.leaking
        division.sides[found.leaking != REMOVED] = REMOVED
        notes.append(
            t(
                "{n:,} rows are taken out of {splits} for it, kept in `removed`",
                n=found.num_leaking,
                splits=", ".join(name for name in division.names if name != NAMES[TEST]),
            )
        )
    elif found.num_leaking:
        notes.append(t("they stay, as `overlap: keep` says: a model is tested on what it has seen"))
    held_out = [NAMES.index(name) for name, share in vars(shares).items() if share > 0]
    wanted = held_out if shares.all_test else [TRAIN, *held_out]
    checking.check(rows, division.sides, wanted)
    if not shares.all_test:
        _note_classes(rows, division, by)
    division.leakage_rate = checking.leakage_rate(rows, division.sides)
    division.duplicate_rate = _repeated(rows, division.sides)
    division.future_rate = checking.future_rate(rows, division.sides)
    if division.future_rate:
        notes.append(
            t(
                "{share:.0%} of the training rows are newer than the oldest test row; if the model is to answer about "
                "what comes, divide with `by: time`",
                share=division.future_rate,
            )
        )
    train, validation, test, calibration = division.counts
    notes.append(
        t("by {by}: {train:,} rows to train, {validation:,} to validation, {test:,} to test", by=by, train=train,
          validation=validation, test=test)
    )  # fmt: skip
    if shares.calibration:
        notes.append(t("{n:,} rows to calibration: calibrate.* stages see them, nothing else", n=calibration))
    return division


def _repeated(rows: Rows, sides: Sides) -> float:
    """Share of the rows on a side that repeat the text of an earlier one on any."""
    kept = sides != REMOVED
    there = np.zeros(int(rows.texts.max()) + 1, dtype=np.bool_)
    there[rows.texts[kept]] = True
    return 1 - int(there.sum()) / int(kept.sum())


def _also(num: int, total: int, split: str, other: str) -> str:
    return t("{num:,} of {total:,} {split} rows also stand in {other}", num=num, total=total, split=split, other=other)


def _note_classes(rows: Rows, division: Division, by: str) -> None:
    labels = rows.labels
    single = [labels.names[code] for code in np.flatnonzero(labels.counts() == 1)] if labels is not None else []
    if single and by == "label":
        division.notes.append(
            t("{n:,} classes have a single row, which stays in train: {names}", n=len(single), names=_some(single))
        )
    for side in (TRAIN, TEST):
        missing = checking.missing_classes(rows, division.sides, side)
        if missing and division.counts[side]:
            division.notes.append(
                t(
                    "{n:,} classes have no row in {split}: {names}",
                    n=len(missing),
                    split=NAMES[side],
                    names=_some(missing),
                )
            )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
