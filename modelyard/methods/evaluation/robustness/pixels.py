"""A network of images in the units of images: pixels from 0 to 1, however it scales them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from modelyard.methods.runtimes.batching import Arrays
from modelyard.methods.runtimes.differentiable import Differentiable

LEAF = "pixels"


class InPixels:
    """The same network, its leaf `pixels` [B, C, H, W] before mean and deviation are taken out."""

    def __init__(self, model: Differentiable) -> None:
        self._model = model
        shape = (1, -1, 1, 1)
        self._mean = torch.tensor(model.preprocessor.mean, dtype=torch.float32).reshape(shape)
        self._deviation = torch.tensor(model.preprocessor.std, dtype=torch.float32).reshape(shape)

    def encode(self, records: Sequence[Any]) -> Arrays:
        return self._model.encode(records)

    def embed(self, arrays: Arrays) -> dict[str, Tensor]:
        found = self._model.embed(arrays)
        return {**found, LEAF: (found[LEAF].detach() * self._deviation + self._mean).requires_grad_(True)}

    def logits(self, arrays: Arrays, leaves: Mapping[str, Tensor] | None = None) -> Tensor:
        if leaves is None:
            return self._model.logits(arrays)
        return self._model.logits(arrays, {**leaves, LEAF: (leaves[LEAF] - self._mean) / self._deviation})
