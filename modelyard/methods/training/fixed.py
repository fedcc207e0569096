"""Rows of a fixed shape (rows of tables, images of one size), as the loop takes them: feed, objective, validators.

Where a row's values come from is one function of (rows, epoch): in memory, decoded, changed anew in every epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelyard.methods.training import batching, evaluation, loop
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.microbatches import ByRow
from modelyard.methods.training.random import generator

Read = Callable[[NDArray[np.int64], int | None], Mapping[str, Tensor]]
"""The network's inputs for these rows, on the CPU, in this epoch; None: as they are, for evaluation."""


class FixedFeed:
    """Batches in an order that the seed and the epoch decide; every row once an epoch.

    Args:
        targets: [rows, …] by name (`labels`, `values`); `weights` [rows] is what each row's loss counts.
    """

    def __init__(
        self,
        read: Read,
        targets: Mapping[str, Tensor],
        weights: NDArray[np.float32],
        names: Sequence[str],
        plan: loop.Plan,
        device: torch.device,
    ) -> None:
        self._read, self._names, self._plan, self._device = read, names, plan, device
        self._targets = {**targets, "weights": torch.from_numpy(weights)}
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.zeros(0, np.int64))
        self.epoch_steps = batching.num_steps(len(names), plan.batch_size, plan.accumulation)

    def step(self, epoch: int, position: int) -> Sequence[Batch]:
        if self._order[0] != epoch:
            self._order = (epoch, generator(self._plan.seed, "order", epoch).permutation(len(self._names)))
        size = self._plan.batch_size
        first = position * self._plan.accumulation
        starts = range(first * size, min((first + self._plan.accumulation) * size, len(self._names)), size)
        return [self.batch(self._order[1][start : start + size], epoch) for start in starts]

    def batch(self, rows: NDArray[np.int64], epoch: int) -> Batch:
        """These rows as one batch."""
        chosen = torch.from_numpy(rows)
        targets = {name: values[chosen] for name, values in self._targets.items()}
        return Batch(
            inputs={name: values.to(self._device) for name, values in self._read(rows, epoch).items()},
            targets={name: values.to(self._device) for name, values in targets.items()},
            weight=float(targets["weights"].double().sum()),
            names=[self._names[row] for row in rows[: loop.NAMED]],
            tokens=len(rows),
        )


class SquaredError(ByRow):
    """Weighted squared error of the network's one number."""

    def __call__(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        output: Any = module(**batch.inputs)
        error = output[:, 0].float() - batch.targets["values"]
        loss: Tensor = (batch.targets["weights"] * error.square()).sum()
        return loss


def outputs_of(module: Any, read: Read, num_rows: int, device: torch.device, size: int) -> NDArray[np.float32]:
    """[rows, outputs] in evaluation mode and fp32, `size` rows at a time, as the predictor computes."""
    was_training = module.training
    module.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, num_rows, size):
            inputs = read(np.arange(start, min(start + size, num_rows)), None)
            output = module(**{name: values.to(device) for name, values in inputs.items()})
            parts.append((output if isinstance(output, Tensor) else output.logits).float().cpu().numpy())
    module.train(was_training)
    result: NDArray[np.float32] = np.concatenate(parts)
    return result


@dataclass(frozen=True)
class ClassScores:
    """Accuracy, macro F1 and loss."""

    read: Read
    labels: NDArray[np.int64]
    device: torch.device
    size: int = 256

    def __call__(self, module: torch.nn.Module) -> dict[str, float]:
        outputs = outputs_of(module, self.read, len(self.labels), self.device, self.size)
        return evaluation.scores(outputs, self.labels)


@dataclass(frozen=True)
class NumberScores:
    """Mean squared error as `loss`, and R²."""

    read: Read
    values: NDArray[np.float64]
    device: torch.device
    size: int = 256

    def __call__(self, module: torch.nn.Module) -> dict[str, float]:
        outputs = outputs_of(module, self.read, len(self.values), self.device, self.size)
        return number_scores(outputs[:, 0], self.values)


def number_scores(answers: NDArray[Any], values: NDArray[np.float64]) -> dict[str, float]:
    """`loss` (mean squared error), `rmse`, and `r2` = 1 - error / variance (0 where the values do not vary)."""
    loss = float(np.square(answers.astype(np.float64) - values).mean())
    variance = float(values.var())
    return {"loss": loss, "rmse": loss**0.5, "r2": 1 - loss / variance if variance else 0.0}
