"""Numbers that are none: found in the data before training, and named when a step meets one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError, StageError
from modelyard.methods.training.axes import Batch

NAMED = 8
"""Rows named in a message."""


def require_finite(columns: Mapping[str, NDArray[np.floating]], names: Sequence[str], where: str) -> None:
    """Refuse values that are not finite, before anything is learned from them.

    Args:
        columns: [rows, …] by name.
        names: [rows] row ids.
        where: the split, for the message.

    Raises:
        InputError: names the columns and the first rows of each.
    """
    found = []
    for column, values in columns.items():
        bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(1))
        if len(bad):
            rows = ", ".join(names[row] for row in bad[:NAMED])
            found.append(t("{column}: {count:,} rows ({rows})", column=column, count=len(bad), rows=rows))
    if found:
        raise InputError(
            t("values that are no numbers: {columns}", columns="; ".join(found)),
            where=where,
            expected=t("finite numbers"),
            remedy=t("fill or drop them before training (data.clean_table)"),
        )


def breakdown(loss: float, norm: float, step: int, num_steps: int, batches: Sequence[Batch]) -> StageError:
    """The error of a step whose loss or gradient is no longer a number: the step, the rows, and what they hold."""
    rows = ", ".join([name for batch in batches for name in batch.names][:NAMED])
    broken = sorted({name for batch in batches for name, value in batch.inputs.items() if not _is_finite(value)})
    remedy = t("lower `optimizer.learning_rate`, raise `schedule.warmup`, or set `precision: fp32`")
    if broken:
        remedy = t("the inputs {names} hold values that are no numbers: clean the data", names=", ".join(broken))
    return StageError(
        t("training broke down: loss {loss:g}, gradient {norm:g}", loss=loss, norm=norm),
        where=t("step {step} of {total}, rows {rows}", step=step, total=num_steps, rows=rows),
        expected=t("finite numbers"),
        remedy=remedy,
    )


def _is_finite(value: object) -> bool:
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return True
    return bool(torch.isfinite(value).all())
