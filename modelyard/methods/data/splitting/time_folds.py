"""Folds in the order of time: each model learns from rows older than those it is measured on.

The rows, oldest first, are cut into k + 1 blocks of equal length. Fold f holds out block f + 1 and learns from what is
older (an expanding window), or from no more than the last `window` of it (a sliding one). Rows closer than `gap` before
the held-out block stay out of both: where a label is known only some time after its row, or neighbours resemble each
other, they would tell what is to be predicted (purging: Lopez de Prado 2018, Advances in Financial Machine Learning,
section 7.4.1). Rows of one moment stay together, on the older side, as in `choosing.split_by_time`.

Sources: expanding windows as out-of-sample evaluation are Tashman 2000 (International Journal of Forecasting 16); that
held-out blocks must come last where the process drifts, Cerqueira, Torgo and Mozetic 2020 (Machine Learning 109).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.splitting.checking import also_on
from modelyard.methods.data.splitting.sides import REMOVED, TRAIN, VALIDATION, Rows, Sides

MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class TimeFolds:
    """How rows are cut by time.

    Attributes:
        k: held-out blocks.
        gap_s: rows so close before the held-out block are left out (seconds).
        window_s: older rows are left out; None: all older rows are learned from (seconds).
        keep_overlap: leave rows in train whose text or group also stands in the held-out block.
    """

    k: int
    gap_s: int = 0
    window_s: int | None = None
    keep_overlap: bool = False


@dataclass(frozen=True)
class TimeCut:
    """One fold.

    Attributes:
        sides: TRAIN, VALIDATION (held out), or REMOVED of each row; rows newer than the held-out block are REMOVED.
        num_gap, num_old, num_shared: rows left out for the gap, the window, and what they share with held-out rows.
    """

    sides: Sides
    num_gap: int
    num_old: int
    num_shared: int


def cut_by_time(rows: Rows, folds: TimeFolds, fold: int) -> TimeCut:
    """The fold `fold`, 0 to k - 1.

    Raises:
        InputError: the rows have no times, a block holds no moment of its own, or nothing is left to learn from.
    """
    times = _times(rows)
    cut = _cut(rows, *_block(times, folds.k, fold), folds)
    _check(rows, cut.sides, t("fold {fold}", fold=fold + 1))
    return cut


def newest(rows: Rows, share: float, folds: TimeFolds) -> TimeCut:
    """The newest `share` of the rows held out, the older ones to learn from, with the folds' gap between.

    Raises:
        InputError: as `cut_by_time`.
    """
    times = _times(rows)
    later = np.sort(times)
    start = int(np.searchsorted(later, later[max(0, round(len(later) * (1 - share)) - 1)], "right"))
    if start >= len(later):
        raise _too_coarse(later, 1)
    cut = _cut(rows, int(later[start]), int(later[-1]), folds)
    _check(rows, cut.sides, t("the part of a fold that steps learn from"))
    return cut


def _times(rows: Rows) -> NDArray[np.int64]:
    if rows.times is None or not len(rows):
        raise InputError(
            t("no column has the role `{role}`", role="time"),
            expected=t("the time of every row, to cut by"),
            remedy=t("`time: COLUMN` in the step that reads the data"),
        )
    return rows.times


def _block(times: NDArray[np.int64], k: int, fold: int) -> tuple[int, int]:
    """First and last moment of a held-out block."""
    later = np.sort(times)
    bounds = np.arange(k + 2) * len(later) // (k + 1)
    ends = np.searchsorted(later, later[np.maximum(bounds, 1) - 1], "right")  # a moment is never cut
    start, end = int(ends[fold + 1]), int(ends[fold + 2])
    if len(later) <= k or start >= end:
        raise _too_coarse(later, k)
    return int(later[start]), int(later[end - 1])


def _too_coarse(later: NDArray[np.int64], k: int) -> InputError:
    return InputError(
        t(
            "{n:,} rows at {moments:,} different times cannot be cut into {blocks} blocks",
            n=len(later),
            moments=len(np.unique(later)),
            blocks=k + 1,
        ),
        expected=t("rows of different times in every block"),
        remedy=t("a smaller `k`, or finer times"),
    )


def _cut(rows: Rows, first: int, last: int, folds: TimeFolds) -> TimeCut:
    """Held out: the rows from `first` to `last`."""
    times = _times(rows)
    distance = first - times
    older, beyond = times < first, folds.gap_s * MICROSECONDS
    near = older & (distance <= beyond) if folds.gap_s else np.zeros(len(times), dtype=np.bool_)
    old = np.zeros(len(times), dtype=np.bool_)
    if folds.window_s is not None:
        old = distance > beyond + folds.window_s * MICROSECONDS
    sides = np.full(len(times), REMOVED, dtype=np.int8)
    sides[older & ~near & ~old] = TRAIN
    sides[(times >= first) & (times <= last)] = VALIDATION
    num_shared = 0
    if not folds.keep_overlap:
        shared = (sides == TRAIN) & also_on(rows, sides, VALIDATION)
        sides[shared] = REMOVED
        num_shared = int(shared.sum())
    return TimeCut(sides, int(near.sum()), int(old.sum()), num_shared)


def _check(rows: Rows, sides: Sides, what: str) -> None:
    train = sides == TRAIN
    if not train.any():
        raise InputError(
            t("{what} has no row to learn from", what=what),
            expected=t("older rows that neither `gap`, `window` nor `overlap` leaves out"),
            remedy=t("a shorter `gap`, a longer `window`, or a smaller `k`"),
        )
    if rows.labels is not None and int((rows.labels.counts(train) > 0).sum()) < 2:
        raise InputError(
            t("{what} has one class only to learn from", what=what),
            expected=t("at least two classes"),
            remedy=t("a longer `window`, or a smaller `k`"),
        )
