"""The ways rows are changed: texts by rules, texts through two translations, images, and images mixed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from modelyard.methods.data.augmentation import images as pictures
from modelyard.methods.data.augmentation.copies import Row, soft
from modelyard.methods.data.augmentation.images import ImageChanges
from modelyard.methods.data.dataset import ROW_ID
from modelyard.methods.data.row_random import generator

PURPOSE = "augment"
Mix = Literal["none", "mixup", "cutmix"]


@dataclass(frozen=True)
class ImageChanger:
    """Changes the image of each row, and mixes it with that of another row of the block where that is asked for.

    Attributes:
        image, label, soft_label: column names; the last two are needed for mixing only.
        alpha: of the Beta distribution that shares are drawn from.
    """

    changes: ImageChanges
    seed: int
    image: str
    label: str = ""
    soft_label: str = ""
    mix: Mix = "none"
    alpha: float = 0.2

    def __call__(self, rows: Sequence[Row], numbers: Sequence[int]) -> list[Row | None]:
        """Images of one size and mode are changed together; a mixture needs a partner of the same."""
        found: list[Row | None] = [None] * len(rows)
        decoded = [pictures.decode(row[self.image]) if row[self.image] else None for row in rows]
        groups: dict[tuple[int, ...], list[int]] = {}
        for place, image in enumerate(decoded):
            if image is not None:
                groups.setdefault(tuple(image.shape), []).append(place)
        for places in groups.values():
            stacked = torch.stack([image for place in places if (image := decoded[place]) is not None])
            of_group = [rows[place] for place in places]
            changed = self._group(stacked, of_group, [numbers[place] for place in places])
            for place, row in zip(places, changed, strict=True):
                found[place] = row
        return found

    def _group(self, stacked: Tensor, rows: Sequence[Row], numbers: Sequence[int]) -> list[Row]:
        draws = [generator(self.seed, PURPOSE, row[ROW_ID], n) for row, n in zip(rows, numbers, strict=True)]
        changed = pictures.change_images(stacked, self.changes, draws)
        labels: list[str | None] = [None] * len(rows)
        if self.mix != "none":
            changed, labels = self._mixed(changed, rows, draws)
        return [
            {**row, self.image: pictures.encode(image), **({} if shares is None else self._shared(shares))}
            for row, image, shares in zip(rows, changed, labels, strict=True)
        ]

    def _shared(self, shares: str) -> Row:
        """The soft label, and as the label the class with the largest share."""
        known = json.loads(shares)
        return {self.soft_label: shares, self.label: max(sorted(known), key=known.__getitem__)}

    def _mixed(
        self, changed: Tensor, rows: Sequence[Row], draws: Sequence[np.random.Generator]
    ) -> tuple[Tensor, list[str | None]]:
        others = [int(draw.integers(len(rows))) for draw in draws]
        shares = [float(draw.beta(self.alpha, self.alpha)) for draw in draws]
        shares = [max(share, 1 - share) for share in shares]  # the row it is a copy of weighs most
        if self.mix == "mixup":
            found = pictures.mixup(changed, changed[others], shares)
        else:
            found, shares = pictures.cutmix(changed, changed[others], shares, draws)
        return found, [
            soft(row, rows[other], share, self.label, self.soft_label)
            for row, other, share in zip(rows, others, shares, strict=True)
        ]
