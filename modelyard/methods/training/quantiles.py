"""A network that gives a number and quantiles of it: what is minimised, and how it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelyard.methods.training.axes import Batch
from modelyard.methods.training.fixed import Read, number_scores, outputs_of
from modelyard.methods.training.microbatches import ByRow


def pinball(outputs: Tensor, values: Tensor, levels: Sequence[float]) -> Tensor:
    """Sum over levels of max(τ e, (τ - 1) e) with e = y - q (Koenker and Bassett 1978) [B].

    Args:
        outputs: quantiles [B, levels]; values: [B].
    """
    error = values[:, None] - outputs.float()
    wanted = torch.tensor(levels, dtype=error.dtype, device=error.device)
    return torch.maximum(wanted * error, (wanted - 1) * error).sum(dim=1)


class SquaredAndPinball(ByRow):
    """Weighted squared error of the first output and pinball losses of the others."""

    def __init__(self, levels: Sequence[float]) -> None:
        self._levels = tuple(levels)

    def __call__(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        output: Any = module(**batch.inputs)
        values = batch.targets["values"]
        each = (output[:, 0].float() - values).square() + pinball(output[:, 1:], values, self._levels)
        loss: Tensor = (batch.targets["weights"] * each).sum()
        return loss


@dataclass(frozen=True)
class QuantileScores:
    """`loss` as it is minimised, without weights, and R² of the first output."""

    read: Read
    values: NDArray[np.float64]
    levels: tuple[float, ...]
    device: torch.device
    size: int = 256

    def __call__(self, module: torch.nn.Module) -> dict[str, float]:
        outputs = outputs_of(module, self.read, len(self.values), self.device, self.size)
        found = number_scores(outputs[:, 0], self.values)
        sides = pinball(torch.from_numpy(outputs[:, 1:].astype(np.float64)), torch.from_numpy(self.values), self.levels)
        return found | {"loss": found["loss"] + float(sides.mean())}
