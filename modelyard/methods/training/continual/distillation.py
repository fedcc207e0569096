"""Distillation from the old model (Hinton et al. 2015), as learning without forgetting does it (Li & Hoiem 2017):
λ T² KL(p_old ‖ p_new) over the labels that the old model knows, both softmaxed at temperature T, beside the loss.

T² keeps the gradient of the second target in proportion when T changes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from modelyard.errors import StageError
from modelyard.methods.training.axes import Batch, Objective
from modelyard.methods.training.continual.wrapping import Watched, Wrapping, logits_of


class Distilled(Wrapping):
    """An objective with a teacher beside it.

    Args:
        teacher: the old model; takes the same inputs, knows the first classes of the new one. It is not trained.
        weight: λ.
        temperature: T.
    """

    def __init__(self, inner: Objective, teacher: torch.nn.Module, weight: float, temperature: float) -> None:
        super().__init__(inner)
        self.teacher = teacher.eval().requires_grad_(False)
        self.weight, self.temperature = weight, temperature

    def __call__(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        watched = Watched(module)
        loss = self.inner(watched, batch)
        with torch.no_grad():
            taught = logits_of(self.teacher(**batch.inputs))
        if taught is None:
            raise StageError("the teacher does not answer with logits [rows, classes]")
        return loss + self.weight * divergence(watched.logits(), taught, self.temperature, batch.targets["weights"])


def divergence(logits: Tensor, taught: Tensor, temperature: float, row_weights: Tensor) -> Tensor:
    """T² Σ w KL(softmax(taught / T) ‖ softmax(logits / T)), summed over rows.

    Args:
        logits: [B, C], C at least C'.
        taught: [B, C'] of the teacher.
        row_weights: [B].
    """
    log_old = torch.log_softmax(taught.float() / temperature, 1)
    log_new = torch.log_softmax(logits[:, : taught.shape[1]].float() / temperature, 1)
    each = (log_old.exp() * (log_old - log_new)).sum(1)
    return temperature**2 * (row_weights * each).sum()
