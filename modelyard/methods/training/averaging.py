"""An exponential moving average of the weights, evaluated and kept in place of the raw ones (Polyak & Juditsky 1992;
Morales-Brotons et al. 2024, "Exponential Moving Average of Weights in Deep Learning"), or the plain mean of the last
ones (Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima"; statistics of batch normalisation are averaged
too).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from modelyard.methods.training.parallel.parts import local
from modelyard.methods.training.settings import Ema


def decay_at(settings: Ema, step: int, num_steps: int = 0) -> float:
    """The decay of update number `step` (from 1): θ̄ ← d θ̄ + (1 − d) θ.

    `bias` makes the result the corrected average of Adam (Kingma & Ba 2015), Σ (1 − d) d^(t−i) θ_i / (1 − d^t), in
    which the first weights count nothing; `warmup` is min(d, (1 + t) / (10 + t)) as TensorFlow has it. With `tail` the
    last weights of `num_steps` count alike: the nth of them 1 / n; before, the average is the weights themselves.
    """
    if settings.tail:
        count = step - (num_steps - max(1, round(settings.tail * num_steps)))
        return 1 - 1 / max(count, 1)
    decay = settings.decay
    if settings.start == "bias":
        return float(decay * (1 - decay ** (step - 1)) / (1 - decay**step))
    return min(decay, (1 + step) / (10 + step)) if settings.start == "warmup" else decay


class Average:
    """The average of what a module trains, and of its floating buffers.

    Attributes:
        values: averaged tensors by name, on the module's device.
    """

    def __init__(self, module: nn.Module, settings: Ema, num_steps: int = 0) -> None:
        self._settings, self._num_steps = settings, num_steps
        parameters = {name: one for name, one in module.named_parameters() if one.requires_grad}
        buffers = {name: one for name, one in module.named_buffers() if one.is_floating_point()}
        self._live: dict[str, Tensor] = {**parameters, **buffers}
        self.values = {name: tensor.detach().clone() for name, tensor in self._live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` optimizer steps."""
        live = [local(tensor.detach()) for tensor in self._live.values()]
        values = [local(value) for value in self.values.values()]
        torch._foreach_lerp_(values, live, 1 - decay_at(self._settings, step, self._num_steps))

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Put saved values back."""
        for name, value in self.values.items():
            value.copy_(tensors[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the module has the averaged weights; after, its own again, to the bit."""
        own = {name: tensor.detach().clone() for name, tensor in self._live.items()}
        self._put(self.values)
        try:
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, tensor in self._live.items():
            tensor.copy_(values[name])
