"""Gradual unfreezing: the head learns first, deeper layers join one by one (Howard & Ruder 2018, ULMFiT)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from modelyard.methods.training import parameters


class Unfreezing:
    """Which parameters learn at which step: a pure function of the step, nothing of it is saved.

    Args:
        share: of all steps, over which layers join; 0: all learn from the first step.
    """

    def __init__(self, module: nn.Module, share: float, num_steps: int) -> None:
        self._steps = share * num_steps
        depth, self._top = parameters.depths(module) if share else ({}, 0)
        self._trained = [(one, depth[id(one)]) for one in module.parameters() if one.requires_grad] if share else []

    def deepest(self, step: int) -> int:
        """The lowest depth that learns at `step` (0-based): the head's at first, 0 from `share` of the steps on."""
        if step >= self._steps:
            return 0
        return self._top - int(self._top * step / self._steps)

    @contextmanager
    def held(self, step: int) -> Iterator[None]:
        """Inside, what does not learn yet gets no gradient."""
        lowest = self.deepest(step)
        still = [one for one, depth in self._trained if depth < lowest]
        for parameter in still:
            parameter.requires_grad = False
        try:
            yield
        finally:
            for parameter in still:
                parameter.requires_grad = True
