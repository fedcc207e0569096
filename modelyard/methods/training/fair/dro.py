"""Group DRO: the loss of the groups, each weighed by how large its loss has been (Sagawa, Koh, Hashimoto and Liang
2020, "Distributionally robust neural networks for group shifts", algorithm 1).

A step minimises Σ_g q_g L_g, L_g the mean loss of group g in the step's rows; after it q_g ← q_g exp(η (L_g + C/√n_g)),
made to sum to 1. Groups that a step does not meet keep their factor 1. The paper moves q before the weights; here q of
the steps before counts, so that a step may be cut into parts in any way. `q` is the objective's state, saved with every
checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from modelyard.methods.training.axes import Batch, Feed, Objective
from modelyard.methods.training.microbatches import ByRow

GROUPS, SHARES = "groups", "group_shares"
"""Targets [rows]: the group's place (below 0: none); weight of all rows with a group over that of the row's own group,
in the whole step."""


def cells(groups: NDArray[np.int64], labels: NDArray[np.int64], num_labels: int) -> NDArray[np.int64]:
    """[rows] one number for each group and label; rows in no group stay below 0."""
    result: NDArray[np.int64] = np.where(groups < 0, -1, groups * num_labels + labels)
    return result


def compact(training: NDArray[np.int64], validation: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both with codes 0, 1, … of those that occur in training; others become -1."""
    there = np.unique(training[training >= 0])
    places = np.full(int(max(training.max(), validation.max())) + 2, -1, np.int64)
    places[there] = np.arange(len(there))
    return places[training], places[validation]


def sums(values: Tensor, groups: Tensor, num_groups: int) -> Tensor:
    """[groups] float64 sums over rows. By a product, for scattered sums on accelerators have no fixed order."""
    member_BG = groups.unsqueeze(1) == torch.arange(num_groups, device=groups.device)
    return member_BG.double().T @ values.double()


class GroupedFeed:
    """A feed whose batches say how much of the step each row's group is."""

    def __init__(self, inner: Feed, num_groups: int) -> None:
        self._inner, self._num_groups = inner, num_groups
        self.epoch_steps = inner.epoch_steps

    def step(self, epoch: int, position: int) -> Sequence[Batch]:
        batches = self._inner.step(epoch, position)
        weight_G = sum(sums(one.targets["weights"], one.targets[GROUPS], self._num_groups) for one in batches)
        assert isinstance(weight_G, Tensor)
        share_G = weight_G.sum() / weight_G.clamp_min(torch.finfo(torch.float64).tiny)
        return [
            replace(one, targets={**one.targets, SHARES: share_G[one.targets[GROUPS].clamp_min(0)]}) for one in batches
        ]


class GroupDro(ByRow):
    """`inner` with rows weighed by their group.

    Args:
        inner: any objective that is a sum of `weights` times the losses of rows.
        sizes: training rows of each group.
        step_size: η. adjustment: C.
    """

    def __init__(self, inner: Objective, sizes: Sequence[int], step_size: float, adjustment: float = 0.0) -> None:
        self.inner, self.step_size = inner, step_size
        self.extra = adjustment / torch.tensor(sizes, dtype=torch.float64).sqrt()
        self.q = torch.full((len(sizes),), 1 / len(sizes), dtype=torch.float64)
        self.begin(0, 1)

    def __call__(self, module: nn.Module, batch: Batch) -> Tensor:
        if not (module.training and torch.is_grad_enabled()):
            return self.inner(module, batch)
        groups, weights = batch.targets[GROUPS], batch.targets["weights"]
        factors = self.q.to(groups.device)[groups.clamp_min(0)] * batch.targets[SHARES]
        factors = torch.where(groups < 0, torch.ones_like(factors), factors)
        weighed = (weights.double() * factors).to(weights.dtype).requires_grad_(True)
        loss = self.inner(module, replace(batch, targets={**batch.targets, "weights": weighed}))
        # The loss is linear in the rows' weights: what it grows by with one of them is that row's loss.
        (of_row,) = torch.autograd.grad(loss, weighed, retain_graph=True)
        self._losses += sums(weights.double() * of_row.double(), groups, len(self.q)).cpu()
        self._weights += sums(weights, groups, len(self.q)).cpu()
        return loss

    def begin(self, step: int, num_steps: int) -> None:
        """Nothing has been met in this step."""
        self._losses, self._weights = torch.zeros_like(self.q), torch.zeros_like(self.q)

    def end(self) -> None:
        """Groups with large losses in this step count more from now on."""
        met = self._weights > 0
        mean = self._losses / self._weights.clamp_min(torch.finfo(torch.float64).tiny)
        moved = self.q.log() + torch.where(met, self.step_size * (mean + self.extra), torch.zeros_like(mean))
        self.q = torch.softmax(moved, 0)

    def state(self) -> dict[str, Tensor]:
        return {"q": self.q}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        self.q = tensors["q"].double().cpu()
