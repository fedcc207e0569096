"""What objectives that wrap another one share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from modelyard.errors import StageError
from modelyard.methods.training.axes import Batch, Objective
from modelyard.methods.training.microbatches import Divisible


class Wrapping:
    """An objective around another one; its batches may be cut where the inner one's may.

    Args:
        inner: what is minimised beside.
    """

    def __init__(self, inner: Objective) -> None:
        self.inner = inner

    def rows(self, batch: Batch) -> int:
        """Rows by the inner objective; 1, which cannot be cut, if it does not know."""
        return self.inner.rows(batch) if isinstance(self.inner, Divisible) else 1

    def split(self, batch: Batch, rows: int) -> Sequence[Batch]:
        """As the inner objective cuts it."""
        return self.inner.split(batch, rows) if isinstance(self.inner, Divisible) else [batch]


class Watched(torch.nn.Module):
    """A module that remembers its last answer, so that two objectives share one forward pass."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        # In a list, so that it is no part of this one: nothing is registered twice.
        self._module = [module]
        self.output: Any = None

    def forward(self, **inputs: Any) -> Any:
        self.output = self._module[0](**inputs)
        return self.output

    def logits(self) -> Tensor:
        """[rows, classes] of the last answer.

        Raises:
            StageError: the module does not answer with logits of rows.
        """
        found = logits_of(self.output)
        if found is None:
            raise StageError("the objective called no module that answers with logits [rows, classes]")
        return found


def logits_of(output: Any) -> Tensor | None:
    """The logits [rows, classes] in a module's answer; None if there are none."""
    logits = output if isinstance(output, Tensor) else getattr(output, "logits", None)
    return logits if isinstance(logits, Tensor) and logits.ndim == 2 else None
