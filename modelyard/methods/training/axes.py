"""The seams of the loop: what one forward pass gets, where it comes from, what is minimised, how it is judged.

A new task brings a feed, an objective and a validator; the loop, the optimizer, precision, checkpoints and the rest
stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """What one forward pass learns from.

    Attributes:
        inputs: the module's keyword arguments, on its device.
        targets: what the objective compares with, on the same device.
        weight: what the summed loss is divided by for a mean: the sum of the rows' weights, or the tokens counted.
        names: row ids, for messages.
        tokens: values read, without padding; for throughput.
    """

    inputs: Mapping[str, Any]
    targets: Mapping[str, Tensor] = field(default_factory=dict)
    weight: float = 1.0
    names: Sequence[str] = ()
    tokens: int = 0


class Feed(Protocol):
    """Training batches as a function of the place in the run: nothing of it needs saving.

    Attributes:
        epoch_steps: optimizer steps of one pass over the data.
    """

    epoch_steps: int

    def step(self, epoch: int, position: int) -> Sequence[Batch]:
        """The batches of one optimizer step (several with accumulation), the same whenever it is asked for."""
        ...


class Objective(Protocol):
    """What is minimised."""

    def __call__(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        """The loss summed over what `batch.weight` counts: a scalar with its gradient.

        A sum, so that several small batches add up to exactly one large one whatever their sizes are.
        """
        ...


@runtime_checkable
class Adaptive(Protocol):
    """An objective that changes as training goes on. What it goes on from is saved with every checkpoint."""

    def begin(self, step: int, num_steps: int) -> None:
        """Before the batches of a step (0-based); again if memory ran out within it: what was gathered is void."""
        ...

    def end(self) -> None:
        """After the optimizer's step."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What the next steps depend on."""
        ...

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a state."""
        ...


class Validator(Protocol):
    """Scores the module on validation data."""

    def __call__(self, module: torch.nn.Module) -> dict[str, float]:
        """Metrics by name; `loss` is always among them. The module is left as it was found."""
        ...
