"""Images as a model that was trained before reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.preprocessing.image import Image
from modelyard.methods.runtimes.golden import NUM_RECORDS
from modelyard.methods.training.continual import replay
from modelyard.methods.training.continual.lessons import Lesson, refuse_strangers, replayed
from modelyard.methods.training.continual.opening import Known
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.vision import rows as vision
from modelyard.methods.training.vision.saving import record

VALUES = 128
"""A row counts as so many values, so that evaluation takes 64 images at a time."""


@dataclass(frozen=True)
class ImageRows:
    """Images as rows that the loop's feed takes."""

    images: vision.Images
    reading: Image

    @property
    def labels(self) -> NDArray[np.int64]:
        return self.images.labels

    @property
    def names(self) -> Sequence[str]:
        return self.images.names

    @property
    def weights(self) -> NDArray[np.float32]:
        return self.images.weights

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.full(len(self), VALUES, np.int64)

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: NDArray[np.int64], device: torch.device) -> dict[str, Any]:
        arrays = self.reading.arrays(self.images.pixels[rows])
        return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}


def read(
    known: Known, data: Dataset, old: Dataset | None, share: float, seed: int, scratch: Path, hooks: Hooks
) -> Lesson:
    """The lesson of an image classifier; see `texts.read`."""
    reading: Image = known.reader
    labels = [*known.card.labels, *(label for label in _labels(data, "data") if label not in known.card.labels)]
    training, validation = (
        vision.read(data, split, reading, labels, scratch / "new", hooks) for split in ("train", "validation")
    )
    num_new, before, before_validation = len(training), None, None
    if old is not None:
        refuse_strangers(_labels(old, "old"), known.card.labels)
        before, before_validation = (
            vision.read(old, split, reading, labels, scratch / "old", hooks) for split in ("train", "validation")
        )
        count = replayed(share, len(before))
        chosen = replay.choose(before.labels, before.names, count, seed)
        training = _joined(training, before, chosen)
    return Lesson(
        labels=tuple(labels),
        training=ImageRows(training, reading),
        num_new=num_new,
        validation=ImageRows(validation, reading),
        old=None if before is None else ImageRows(before, reading),
        old_validation=None if before_validation is None else ImageRows(before_validation, reading),
        records=[record(pixels) for pixels in validation.pixels[:NUM_RECORDS]],
    )


def _labels(data: Dataset, port: str) -> list[str]:
    """Labels of train and validation, sorted. Raises InputError if a split has none."""
    found = [
        {str(value) for value in data.column(split, data.need("label")) if value is not None}
        for split in ("train", "validation")
    ]
    problems = [
        Problem(f"{port}/{split}", t("no {split} row has a label", split=split), t("rows with a label"))
        for split, labels in zip(("train", "validation"), found, strict=True)
        if not labels
    ]
    if problems:
        raise InputError.of(problems)
    return sorted(found[0] | found[1])


def _joined(images: vision.Images, more: vision.Images, rows: NDArray[np.int64]) -> vision.Images:
    return vision.Images(
        pixels=np.concatenate([images.pixels, more.pixels[rows]]),
        labels=np.concatenate([images.labels, more.labels[rows]]),
        names=[*images.names, *(more.names[row] for row in rows.tolist())],
        weights=np.concatenate([images.weights, more.weights[rows]]),
    )
