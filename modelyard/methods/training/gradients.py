"""The gradient of one step: batches forward and back, in parts where memory runs out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from modelyard.base.messages import t
from modelyard.errors import StageError
from modelyard.methods.training import devices, objectives, precision, remembering
from modelyard.methods.training.axes import Batch, Objective
from modelyard.methods.training.dropout import Masks
from modelyard.methods.training.hooks import Say
from modelyard.methods.training.microbatches import Divisible, Limits
from modelyard.methods.training.plan import Plan
from modelyard.methods.training.random import seed_torch
from modelyard.methods.training.unfreezing import Unfreezing


class Gradients:
    """Leaves gradients in the module's parameters, a function of the weights, the batches and the step.

    Attributes:
        masks: where dropout draws from on a CPU.
        scaler: of the loss, for fp16.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        objective: Objective,
        plan: Plan,
        num_steps: int,
        device: torch.device,
        scratch: Path,
        say: Say,
    ) -> None:
        self._module, self._objective, self._plan, self._num_steps = module, objective, plan, num_steps
        self._device, self._scratch, self._say = device, scratch, say
        self._unfreezing = Unfreezing(module, plan.optimizer.unfreeze, num_steps)
        self._limits = Limits(remembering.recall(scratch).get("rows", ()))
        self.masks = Masks()
        self.scaler = precision.scaler(plan.precision, device)

    def of(self, batches: Sequence[Batch], step: int) -> float:
        """Add the gradient of all batches together, at `step` (0-based); returns their loss.

        Raises:
            StageError: memory ran out and the batches cannot be cut further.
        """
        total = sum(batch.weight for batch in batches)
        while True:
            try:
                with self._unfreezing.held(step):
                    parts = enumerate(self._parts(batches, step))
                    return sum(self._backward(part, step, micro, total) for micro, part in parts)
            except RuntimeError as error:
                if not devices.is_out_of_memory(error):
                    raise
            # Out here the error, and the graph that its frames hold, are gone.
            self._give_way(batches, step)

    def _backward(self, batch: Batch, step: int, micro: int, total: float) -> float:
        """Add one part's gradient; returns its share of the loss."""
        plan = self._plan
        seed_torch(plan.seed, "forward", step, micro)
        self.masks.seek(plan.seed, step, micro)
        with precision.autocast(plan.precision, self._device):
            loss = self._objective(self._module, batch) / total
        if micro == 0:
            loss = loss + objectives.penalty(self._module, plan.regularization.l1, plan.regularization.l2)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def _parts(self, batches: Sequence[Batch], step: int) -> list[Batch]:
        """The batches as they fit the memory, by what was found so far."""
        rows = self._limits.at(step)
        if rows is None or not isinstance(self._objective, Divisible):
            return list(batches)
        return [part for batch in batches for part in self._objective.split(batch, rows)]

    def _give_way(self, batches: Sequence[Batch], step: int) -> None:
        """Halve the rows that go through the network at once, from this step on."""
        self._module.zero_grad(set_to_none=True)
        devices.release(self._device)
        rows = max(map(self._objective.rows, batches)) if isinstance(self._objective, Divisible) else 1
        rows = min(rows, self._limits.at(step) or rows)
        if rows == 1:
            raise StageError(
                t("out of memory, and the batch cannot be cut"),
                where=t("step {step} of {total}", step=step + 1, total=self._num_steps),
                remedy=t(
                    "lower `batch_size` and raise `accumulation`, set `compute.checkpoint_activations`, or shorten rows"
                ),
            )
        half = self._limits.halve(step, rows)
        remembering.remember(self._scratch, rows=self._limits.changes)
        self._say(t("out of memory with {rows} rows at once: {half} from now on, the same steps", rows=rows, half=half))
