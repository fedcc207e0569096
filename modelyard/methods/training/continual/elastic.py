"""Elastic weight consolidation (Kirkpatrick et al. 2017): λ/2 Σ F_i (θ_i - θ*_i)² beside the loss.

θ* are the old weights and F the diagonal of their Fisher information, the second moment of the gradient of
log p(y | x) with y drawn from the model itself (not the label of the data: that would be the "empirical" Fisher, whose
curvature can be far off, Kunstner et al. 2019). It is Laplace's approximation of what the old rows say of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelyard.methods.data.row_random import generator, ranks
from modelyard.methods.training.axes import Batch, Objective
from modelyard.methods.training.batching import RowBatches
from modelyard.methods.training.continual.wrapping import Wrapping, logits_of
from modelyard.methods.training.hooks import Progress

Weights = Mapping[str, Tensor]


class Energy(Protocol):
    """What the springs hold."""

    def energy(self, module: torch.nn.Module) -> Tensor: ...


@dataclass(frozen=True)
class Springs:
    """Where each weight is held, and how stiffly: the old weights and their Fisher diagonal, by parameter name."""

    rest: Weights
    stiffness: Weights

    def energy(self, module: torch.nn.Module) -> Tensor:
        """½ Σ F (θ - θ*)², a scalar with its gradient."""
        parts = [
            (self.stiffness[name] * (parameter - self.rest[name]).square()).sum()
            for name, parameter in module.named_parameters()
            if name in self.stiffness and parameter.requires_grad
        ]
        return torch.stack(parts).sum() / 2


class ElasticWeights(Wrapping):
    """An objective with springs beside it, whatever the objective is.

    Args:
        strength: λ; the springs count once a step, however the step's rows are cut into batches.
    """

    def __init__(self, inner: Objective, springs: Energy, strength: float) -> None:
        super().__init__(inner)
        self.springs, self.strength = springs, strength

    def __call__(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        loss = self.inner(module, batch)
        if not batch.weight:  # a later part of a batch that was cut
            return loss
        return loss + batch.weight * self.strength * self.springs.energy(module)


def fisher_diagonal(
    module: torch.nn.Module,
    rows: RowBatches,
    num_classes: int,
    num_rows: int,
    seed: int,
    device: torch.device,
    progress: Progress,
) -> dict[str, Tensor]:
    """Mean over rows of the squared gradient of log p(y | x), one label a row drawn from the model.

    Args:
        num_classes: the first so many logits count; those of labels that the old model did not know do not.
        num_rows: at most so many rows, chosen by row id.

    Returns:
        by parameter name, like the parameters; those that do not learn are left out. Weights that no row moves are 0.
    """
    chosen = np.sort(np.argsort(ranks(seed, "fisher", rows.names), kind="stable")[:num_rows])
    learned = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    total = {name: torch.zeros_like(parameter) for name, parameter in learned.items()}
    was_training = module.training
    module.eval()
    for done, row in enumerate(chosen.tolist(), 1):
        logits = logits_of(module(**rows.batch(np.array([row]), device)))
        assert logits is not None
        log_p = torch.log_softmax(logits[0, :num_classes].float(), 0)
        label = _draw(log_p.detach().double().exp().cpu().numpy(), seed, rows.names[row])
        found = torch.autograd.grad(log_p[label], list(learned.values()), allow_unused=True)
        for name, gradient in zip(learned, found, strict=True):
            if gradient is not None:
                total[name] += gradient.square()
        if done % 100 == 0:
            progress(done, len(chosen), "rows")
    module.train(was_training)
    return {name: value / len(chosen) for name, value in total.items()}


def _draw(p: NDArray[np.float64], seed: int, name: str) -> int:
    """A class by its probability, the same for a row whatever the order."""
    place = generator(seed, "fisher label", name).random() * p.sum()
    return min(int(np.searchsorted(np.cumsum(p), place, side="right")), len(p) - 1)
