"""What an update learns from: new rows with replayed old ones, and what it is judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.training.batching import RowBatches

SHOWN = 5


@dataclass(frozen=True)
class Lesson:
    """Rows as the model reads them.

    Attributes:
        labels: the model's, then those it has not known.
        training: new rows, then the replayed ones.
        num_new: of the training rows, how many are new.
        validation: new rows.
        old: training rows of the old data; None without.
        old_validation: validation rows of the old data; None without.
        records: a few validation records, for golden answers.
        notes: what a user should know of the rows.
    """

    labels: tuple[str, ...]
    training: RowBatches
    num_new: int
    validation: RowBatches
    old: RowBatches | None = None
    old_validation: RowBatches | None = None
    records: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = field(default=())


@dataclass(frozen=True)
class SideBySide:
    """The same rows as several networks of a blend read them; labels, names and weights are those of the first."""

    parts: tuple[RowBatches, ...]

    @property
    def labels(self) -> NDArray[np.int64]:
        return self.parts[0].labels

    @property
    def names(self) -> Sequence[str]:
        return self.parts[0].names

    @property
    def weights(self) -> NDArray[np.float32]:
        return self.parts[0].weights

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[rows] of the part that has most."""
        longest: NDArray[np.int64] = np.max([part.lengths for part in self.parts], axis=0)
        return longest

    def __len__(self) -> int:
        return len(self.parts[0])

    def batch(self, rows: NDArray[np.int64], device: torch.device) -> dict[str, Any]:
        return {name: array for part in self.parts for name, array in part.batch(rows, device).items()}


def refuse_strangers(found: Sequence[str], known: Sequence[str]) -> None:
    """Raises InputError if the old data has labels that the model does not know: then it is not its old data."""
    strange = [label for label in found if label not in set(known)]
    if strange:
        some = ", ".join(f"`{label}`" for label in strange[:SHOWN]) + (", …" if len(strange) > SHOWN else "")
        raise InputError(
            t("the old data has labels that the model does not know: {labels}", labels=some),
            where="old/train",
            expected=t("the data the model was trained on"),
            remedy=t("bind the data the model learned from to `old`; rows with new labels belong to `data`"),
        )


def replayed(count: float, num_old: int) -> int:
    """Rows that a share of the old ones is. Raises InputError if it comes to none."""
    rows = round(count * num_old)
    if count and not rows:
        raise InputError(
            t("a replay of {share:g} of {count} old rows is no row", share=count, count=num_old),
            where="replay",
            expected=t("a share that comes to a row or more"),
        )
    return rows
