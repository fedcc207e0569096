"""Labelled images out of a data set: decoded once, kept as bytes of pixels, normalised a batch at a time.

Pixels that would fill the memory lie in a file in the run's scratch folder, mapped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.augmentation.images import ImageChanges, change_images
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.data.row_random import generator
from modelyard.methods.preprocessing.image import Fit, Image, Unreadable, is_grey, size_of
from modelyard.methods.training import fixed, targets
from modelyard.methods.training.hooks import Hooks

IN_MEMORY = 1 << 29
SMALL, USUAL, STEP = 64, 224, 32
LOOKED_AT = 2000
SHOWN = 5


@dataclass(frozen=True)
class Images:
    """One split as the network's preprocessing reads it.

    Attributes:
        pixels: [rows, channels, height, width] uint8.
        labels: [rows] places in the labels.
        names: row ids.
        weights: [rows] of each row in training.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: Sequence[str]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)


def labels_of(data: Dataset) -> tuple[str, ...]:
    """The labels of train, sorted. Raises InputError if train and validation cannot be learned from."""
    found = [[str(value) for value in data.column(split, data.need("label")) if value is not None]
             for split in ("train", "validation")]  # fmt: skip
    problems = [problem for split, names in zip(("train", "validation"), found, strict=True)
                for problem in targets.row_problems(split, len(names))]  # fmt: skip
    problems = problems or targets.class_problems(*found)
    if problems:
        raise InputError.of(problems)
    return tuple(sorted(set(found[0])))


def reading_of(data: Dataset, side: int | None, fit: Fit) -> Image:
    """How to read images so that the training images lose little: their own size if it is small and the same for all,
    else a square of a multiple of 32, at most 224. Grey if all are. Mean and deviation are those of no image yet."""
    sizes: Counter[tuple[int, int]] = Counter()
    grey = True
    for _, encoded, _, _ in _encoded(data, "train", LOOKED_AT):
        size = size_of(encoded)
        if size is not None:
            sizes[size] += 1
            grey = grey and is_grey(encoded)
    if not sizes:
        raise InputError(t("no training image can be opened"), where="data/train")
    channels = 1 if grey else 3
    height, width = (side, side) if side else _size(sizes)
    return Image(height, width, channels, (0.0,) * channels, (1.0,) * channels, fit)


def _size(sizes: Mapping[tuple[int, int], int]) -> tuple[int, int]:
    if len(sizes) == 1 and max(next(iter(sizes))) <= SMALL:
        return next(iter(sizes))
    shorter = sorted(side for size, count in sizes.items() for side in [min(size)] * count)
    middle = min(USUAL, shorter[len(shorter) // 2])
    side = max(STEP, middle // STEP * STEP)
    return side, side


def normalised(reading: Image, pixels: NDArray[np.uint8]) -> Image:
    """The reading with mean and deviation of the training pixels, each channel by itself."""
    counts = np.zeros((reading.channels, 256), np.int64)
    for start in range(0, len(pixels), 1024):
        part = pixels[start : start + 1024]
        for channel in range(reading.channels):
            counts[channel] += np.bincount(part[:, channel].reshape(-1), minlength=256)
    values = np.arange(256) / 255
    shares = counts / counts.sum(1, keepdims=True)
    mean = shares @ values
    deviation = np.sqrt(np.maximum(shares @ values**2 - mean**2, 0))
    std = [float(f"{value:.6g}") if value > 1e-3 else 1.0 for value in deviation]
    return replace(reading, mean=tuple(float(f"{value:.6g}") for value in mean), std=tuple(std))


def read(data: Dataset, split: str, reading: Image, labels: Sequence[str], scratch: Path, hooks: Hooks) -> Images:
    """Decode every image of a split that has a label. One that cannot be read is left out, counted and named.

    Raises:
        InputError: none can be read.
    """
    total = data.num_rows(split)
    shape = (total, reading.channels, reading.height, reading.width)
    pixels = _room(shape, scratch / f"{split}.pixels")
    places = {label: place for place, label in enumerate(labels)}
    kept: list[tuple[str, int, float]] = []
    bad: list[str] = []
    for name, encoded, label, weight in _encoded(data, split, None):
        try:
            pixels[len(kept)] = reading.pixels(encoded)
        except Unreadable as error:
            bad.append(f"{name} ({error})")
            continue
        kept.append((name, places[label], weight))
        if len(kept) % 500 == 0:
            hooks.progress(len(kept), total, "images")
    if bad:
        some = ", ".join(bad[:SHOWN])
        hooks.say(
            t("{count} {split} images cannot be read and were left out: {some}", count=len(bad), split=split, some=some)
        )
    if not kept:
        raise InputError(t("no {split} image can be read", split=split), where=f"data/{split}")
    names, found, weights = zip(*kept, strict=True)
    return Images(pixels[: len(kept)], np.array(found, np.int64), names, np.array(weights, np.float32))


def _room(shape: tuple[int, ...], path: Path) -> NDArray[np.uint8]:
    if np.prod(shape, dtype=np.int64) <= IN_MEMORY:
        return np.empty(shape, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    return np.memmap(path, np.uint8, "w+", shape=shape)


def _encoded(data: Dataset, split: str, most: int | None) -> Iterator[tuple[str, bytes, str, float]]:
    """Row id, encoded image, label and weight of the rows that have an image and a label, at most so many."""
    image, label, weight = data.need("image"), data.need("label"), data.role("weight")
    names = [ROW_ID, image, label, *([weight] if weight else [])]
    left = most
    for batch in data.batches(split, names, rows=256):
        columns = [batch.column(name).to_pylist() for name in names]
        for row_id, encoded, of_class, *rest in zip(*columns, strict=True):
            if encoded is None or of_class is None:
                continue
            if left is not None:
                if left == 0:
                    return
                left -= 1
            yield str(row_id), encoded, str(of_class), 1.0 if not rest or rest[0] is None else float(rest[0])


def reader(images: Images, reading: Image, changes: ImageChanges | None, seed: int) -> fixed.Read:
    """The network's inputs; in training every image is changed anew in every epoch, by draws of its own row."""
    mean, std = (torch.tensor(each).reshape(1, -1, 1, 1) for each in (reading.mean, reading.std))

    def of(rows: NDArray[np.int64], epoch: int | None) -> Mapping[str, Any]:
        pixels = images.pixels[rows]
        if epoch is None or changes is None:
            return {name: torch.from_numpy(array) for name, array in reading.arrays(pixels).items()}
        draws = [generator(seed, "augment", images.names[row], epoch) for row in rows.tolist()]
        changed = change_images(torch.from_numpy(pixels).float() / 255, changes, draws)
        return {"pixel_values": (changed - mean) / std}

    return of
