"""Copies that go their own way for a while: local SGD (Stich 2019) and DiLoCo (Douillard et al. 2023).

Each process takes the optimizer's steps on its own rows. Every so many steps, the way from where they all began to the
mean of where they are is the gradient of an outer step with Nesterov momentum; all go on from where that leads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from modelyard.methods.training import checkpoints
from modelyard.methods.training.parallel import world
from modelyard.methods.training.parallel.compression import Summed
from modelyard.methods.training.parallel.layout import Layout
from modelyard.methods.training.parallel.together import RANKS, Copies, Parts, by_rank, gathered_state
from modelyard.methods.training.settings_parallel import Parallel

OUTER = "outer"
"""Part of a checkpoint: where all began, and the outer momentum."""


class LocalSteps(Copies):
    """Whole copies that meet every `synchronize_every` steps."""

    def __init__(self, module: nn.Module, layout: Layout, device: torch.device, parallel: Parallel) -> None:
        super().__init__(module, layout, device, Summed())
        self._parallel = parallel
        # Each takes its rows for the whole batch: their mean, not their share of the mean.
        self.scale = float(layout.data)
        self.optimizer: torch.optim.Optimizer | None = None
        self._begin = {name: one.detach().clone() for name, one in self._live().items()}
        self._momentum = {name: torch.zeros_like(one) for name, one in self._begin.items()}

    def _live(self) -> dict[str, Tensor]:
        state = checkpoints.trained_state(self.module)
        return {name: one for name, one in state.items() if one.is_floating_point()}

    def reduce(self) -> None:
        """Nothing travels."""

    def clip(self, limit: float) -> float:
        """Of this process's gradient; returns the root of the mean of the squares, so that all know alike."""
        norm = super().clip(limit)
        return float((world.total(norm**2, self.device) / self.readers) ** 0.5)

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        if step % self._parallel.synchronize_every:
            return
        live, mean = self._live(), self._mean()
        rate, momentum = self._parallel.outer_rate, self._parallel.outer_momentum
        for name, tensor in live.items():
            gradient = self._begin[name] - mean[name]
            velocity = self._momentum[name].mul_(momentum).add_(gradient)
            self._begin[name].sub_(gradient + momentum * velocity, alpha=rate)
            tensor.copy_(self._begin[name])

    @torch.no_grad()
    def _mean(self) -> dict[str, Tensor]:
        """Of all processes' weights."""
        found = {name: tensor.detach() / self.readers for name, tensor in self._live().items()}
        Summed()(list(found.values()))
        return found

    @contextmanager
    def judged(self) -> Iterator[nn.Module]:
        """Inside, the module has the mean of all copies."""
        live = self._live()
        own = {name: tensor.detach().clone() for name, tensor in live.items()}
        mean = self._mean()
        self._put(live, mean)
        try:
            yield self.module
        finally:
            self._put(live, own)

    @torch.no_grad()
    def _put(self, live: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
        for name, tensor in live.items():
            tensor.copy_(values[name])

    def packed(self, parts: Parts) -> Parts:
        """Weights and optimizer of each process beside the means of them all."""
        own = {f"{part}.{name}": one for part in ("weights", "optimizer") for name, one in parts[part].items()}
        begin = {f"begin.{name}": one for name, one in self._begin.items()}
        outer = {**begin, **{f"momentum.{name}": one for name, one in self._momentum.items()}}
        return {**parts, RANKS: gathered_state(own), OUTER: outer}

    def restored(self, optimizer: torch.optim.Optimizer, parts: Parts, numbers: Mapping[str, Any], exact: bool) -> None:
        each = by_rank(parts.get(RANKS, {}))
        mine = each[world.rank()] if exact and each else _means(each)
        found = {
            part: {name.removeprefix(f"{part}."): one for name, one in mine.items() if name.startswith(f"{part}.")}
            for part in ("weights", "optimizer")
        }
        whole = found if each else parts
        checkpoints.restore_trained(self.module, whole["weights"])
        checkpoints.restore_optimizer(optimizer, whole["optimizer"], numbers)
        for name, begin in self._begin.items():
            begin.copy_(parts.get(OUTER, {}).get(f"begin.{name}", whole["weights"][name]))
            self._momentum[name].copy_(parts.get(OUTER, {}).get(f"momentum.{name}", torch.zeros_like(begin)))


def _means(each: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Of the numbers of all processes; what counts (steps) is alike in all."""
    if not each:
        return {}
    first = each[0]
    return {
        name: torch.stack([one[name] for one in each]).mean(0) if tensor.is_floating_point() else tensor
        for name, tensor in first.items()
    }
