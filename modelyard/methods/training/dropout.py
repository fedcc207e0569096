"""Dropout on a CPU at a fraction of its usual cost.

torch draws dropout masks on the CPU one number at a time from one Mersenne twister, whatever the number of threads:
measured, a tenth to a fifth of the time of training a small encoder. Here a mask takes one byte an element from SFC64
(Doty-Humphrey's generator, in numpy), keyed by the place in the run like all our random numbers. The share dropped is
rounded to 1/256, and the rest is scaled by exactly what the rounded share asks for, so the expectation is unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from modelyard.methods.training import attention
from modelyard.methods.training.random import generator

LEVELS = 256


class Masks:
    """The source of masks of one training. `seek` before every forward pass."""

    def __init__(self) -> None:
        self._bits: Any = np.random.SFC64(0)

    def seek(self, seed: int, *place: int) -> None:
        """Put the source where it belongs at this place of the run."""
        self._bits = np.random.SFC64(int(generator(seed, "dropout", *place).integers(2**63)))

    @property
    def place(self) -> Any:
        """Where the source stands, to come back to."""
        return self._bits.state

    @place.setter
    def place(self, place: Any) -> None:
        self._bits.state = place

    def drop(self, x: Tensor, share: float) -> Tensor:
        """`x` with about `share` of its elements set to 0 and the others scaled up."""
        dropped = min(round(share * LEVELS), LEVELS - 1)
        if dropped == 0:
            return x
        words = self._bits.random_raw(-(-x.numel() // 8))
        numbers = torch.from_numpy(words.view(np.uint8)[: x.numel()]).view(x.shape)
        return x * (numbers >= dropped).to(x.dtype).mul_(LEVELS / (LEVELS - dropped))


@contextmanager
def fast(module: nn.Module, masks: Masks) -> Iterator[None]:
    """Inside, every dropout of the module draws from `masks`: layers, and attention of transformers' networks."""
    layers = [layer for layer in module.modules() if type(layer) is nn.Dropout and layer.p > 0]
    configs = _attention_configs(module)
    if configs:
        attention.register(masks)
    try:
        for layer in layers:
            layer.forward = _forward(layer, masks)  # type: ignore[method-assign]
        for config in configs:
            config._attn_implementation = attention.NAME
        yield
    finally:
        for layer in layers:
            del layer.forward
        for config in configs:
            config._attn_implementation = "sdpa"


def _forward(layer: nn.Dropout, masks: Masks) -> Any:
    def forward(x: Tensor) -> Tensor:
        return masks.drop(x, layer.p) if layer.training else x

    return forward


def _attention_configs(module: nn.Module) -> list[Any]:
    """The configurations of transformers' networks in the module that use torch's attention."""
    found = {id(part.config): part.config for part in module.modules() if hasattr(part, "config")}
    return [config for config in found.values() if getattr(config, "_attn_implementation", None) == "sdpa"]
