"""The gradient of one step: batches forward and back, in parts where memory runs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from modelyard.base.messages import t
from modelyard.errors import StageError
from modelyard.methods.training import devices, objectives, precision, remembering
from modelyard.methods.training.axes import Adaptive, Batch, Objective
from modelyard.methods.training.dropout import Masks
from modelyard.methods.training.hooks import Say
from modelyard.methods.training.microbatches import Divisible, Limits
from modelyard.methods.training.parallel.together import Alone, Share
from modelyard.methods.training.plan import Plan
from modelyard.methods.training.random import seed_torch
from modelyard.methods.training.unfreezing import Unfreezing

OBJECTIVE = "objective"
"""Part of a checkpoint."""


class Gradients:
    """Leaves gradients in the module's parameters, a function of the weights, the batches and the step.

    Attributes:
        masks: where dropout draws from on a CPU.
        scaler: of the loss, for fp16.
    """

    def __init__(
        self,
        together: Alone,
        objective: Objective,
        plan: Plan,
        num_steps: int,
        device: torch.device,
        scratch: Path,
        say: Say,
    ) -> None:
        self._together, self._module = together, together.module
        self._objective, self._plan, self._num_steps = objective, plan, num_steps
        self._adaptive = objective if isinstance(objective, Adaptive) else None
        self._device, self._scratch, self._say = device, scratch, say
        self._unfreezing = Unfreezing(self._module, plan.optimizer.unfreeze, num_steps)
        self._limits = Limits(remembering.recall(scratch).get("rows", ()))
        self.masks = Masks()
        self.scaler = precision.scaler(plan.precision, device)

    def of(self, batches: Sequence[Batch], step: int) -> float:
        """Add the gradient of all batches together, at `step` (0-based); returns their loss.

        Raises:
            StageError: memory ran out and the batches cannot be cut further.
        """
        total = sum(batch.weight for batch in batches)
        shares = self._together.shares(batches, self._objective)

        def forward(module: torch.nn.Module, share: Share, number: int) -> torch.Tensor:
            return self._loss(module, share, step, number, total)

        while True:
            if self._adaptive is not None:
                self._adaptive.begin(step, self._num_steps)
            try:
                with self._unfreezing.held(step):
                    loss = self._together.passes(self._parts(shares, step), self._objective, forward, self._back)
                self._together.reduce()
                return self._together.total(loss)
            except RuntimeError as error:
                if not devices.is_out_of_memory(error):
                    raise
            # Out here the error, and the graph that its frames hold, are gone.
            self._give_way(shares, step)

    def end(self) -> None:
        """After the optimizer's step: an objective that changes moves on."""
        if self._adaptive is not None:
            self._adaptive.end()

    def state(self) -> dict[str, dict[str, torch.Tensor]]:
        """Parts of a checkpoint: the state of an objective that changes."""
        return {} if self._adaptive is None else {OBJECTIVE: self._adaptive.state()}

    def load(self, parts: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
        """Go on from the parts of a checkpoint."""
        if self._adaptive is not None:
            self._adaptive.load(parts[OBJECTIVE])

    def _loss(self, module: torch.nn.Module, share: Share, step: int, number: int, total: float) -> torch.Tensor:
        """One part's share of the loss. Each part of the step has a number of its own, wherever it is computed."""
        plan, micro = self._plan, number * self._together.readers + self._together.reader
        place = self._together.place
        seed_torch(plan.seed, "forward", step, micro, *place)
        self.masks.seek(plan.seed, step, micro, *place)
        with precision.autocast(plan.precision, self._device):
            loss = self._objective(module, share.batch) / total
        if share.factor != 1:
            loss = loss * share.factor
        if micro == 0:
            loss = loss + objectives.penalty(module, plan.regularization.l1, plan.regularization.l2)
        return loss

    def _back(self, loss: torch.Tensor) -> None:
        scale = self._together.scale
        self.scaler.scale(loss if scale == 1 else loss * scale).backward()  # type: ignore[no-untyped-call]

    def _parts(self, shares: Sequence[Share], step: int) -> list[Share]:
        """The shares as they fit the memory, by what was found so far."""
        rows = self._limits.at(step)
        if rows is None or not isinstance(self._objective, Divisible):
            return list(shares)
        return [Share(part, one.factor) for one in shares for part in self._objective.split(one.batch, rows)]

    def _give_way(self, shares: Sequence[Share], step: int) -> None:
        """Halve the rows that go through the network at once, from this step on."""
        self._module.zero_grad(set_to_none=True)
        devices.release(self._device)
        rows = 1
        # Where processes pass together, one alone cannot take smaller steps.
        if isinstance(self._objective, Divisible) and not self._together.layout.cuts_model:
            rows = max(self._objective.rows(share.batch) for share in shares)
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
