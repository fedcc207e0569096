"""What the loop asks of a layout, as one process answers it, and as several do that each hold the whole model.

A step is the same whatever the layout: every process sees its batches, takes its share of the rows, and divides by the
weight of them all; the gradients' sum is that of one process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn

from modelyard.methods.training import checkpoints
from modelyard.methods.training.axes import Batch, Objective
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.microbatches import Divisible
from modelyard.methods.training.parallel import world
from modelyard.methods.training.parallel.layout import Layout

Parts = Mapping[str, Mapping[str, Tensor]]
RANKS = "ranks"
"""Part of a checkpoint: what differs between processes, by `rank.name`."""


@dataclass(frozen=True)
class Share:
    """A part of a step for one process.

    Attributes:
        factor: of its loss; 0 for a process that only keeps step with the others.
    """

    batch: Batch
    factor: float = 1.0


Forward = Callable[[nn.Module, Share, int], Tensor]
Back = Callable[[Tensor], None]


class Reducer(Protocol):
    """Sums gradients over processes."""

    def __call__(self, gradients: Sequence[Tensor]) -> None:
        """Put the sums in place."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What this process has kept back, to be saved."""
        ...

    def load(self, tensors: Sequence[Mapping[str, Tensor]], exact: bool) -> None:
        """Go on from the states of all processes of the run before; `exact` if these are as many."""
        ...


class Alone:
    """One process: everything is as it is without this file.

    Attributes:
        module: what is trained.
        plain: where the weights end.
        reader, readers: which part of a batch is read here, of how many.
        scale: of the loss before the way back, where gradients are averaged that should be summed.
        keeps_step: every process makes as many passes as the others.
        place: tells processes apart that compute different layers of the same rows, for dropout.
    """

    scale = 1.0
    keeps_step = False

    def __init__(self, module: nn.Module, layout: Layout, device: torch.device) -> None:
        self.module, self.plain, self.layout, self.device = module, module, layout, device
        self.reader, self.readers = 0, 1
        self.place: tuple[int, ...] = ()

    @property
    def is_main(self) -> bool:
        """Whether this process writes and tells."""
        return world.rank() == 0

    def heard(self, hooks: Hooks) -> Hooks:
        """The listeners of this process: none but the first has any."""
        return hooks if self.is_main else Hooks()

    def arranged(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """The optimizer of the module, its groups as the layout needs them."""
        return optimizer

    def shares(self, batches: Sequence[Batch], objective: Objective) -> list[Share]:
        """This process's parts of the batches of a step."""
        return [Share(batch) for batch in batches]

    def reduce(self) -> None:
        """Sum the gradients over the processes that read."""

    def total(self, loss: float) -> float:
        """The loss of the step from this process's part of it."""
        return loss

    def clip(self, limit: float) -> float:
        """Shorten the gradient to the limit; returns how long it was."""
        return float(torch.nn.utils.clip_grad_norm_(self.module.parameters(), limit))

    def after_step(self, step: int) -> None:
        """After the optimizer's step number `step` (from 1)."""

    def passes(self, shares: Sequence[Share], objective: Objective, forward: Forward, back: Back) -> float:
        """Forward and back over this process's shares; returns its part of the loss.

        Args:
            forward: the loss of one share, given its number.
            back: adds the gradient of that loss.
        """
        found = 0.0
        for number, share in enumerate(shares):
            loss = forward(self.module, share, number)
            back(loss)
            found += float(loss.detach())
        return found

    @contextmanager
    def judged(self) -> Iterator[nn.Module]:
        """The module with the weights that are judged; they are so inside alone."""
        yield self.module

    def agreed(self, value: Any) -> Any:
        """What the first process says, for all."""
        return world.told(value)

    def packed(self, parts: Parts) -> Parts:
        """The parts of a checkpoint, whole; only the first process needs to have them."""
        return parts

    def restored(self, optimizer: torch.optim.Optimizer, parts: Parts, numbers: Mapping[str, Any], exact: bool) -> None:
        """Put weights and optimizer back from `packed` parts.

        Args:
            exact: the checkpoint is of this layout.
        """
        checkpoints.restore_trained(self.module, parts["weights"])
        checkpoints.restore_optimizer(optimizer, parts["optimizer"], numbers)

    def like_weights(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Whole tensors by the names of weights, as this process holds them."""
        return {name: tensor.to(self.device) for name, tensor in tensors.items()}

    def finish(self, best: Mapping[str, Tensor]) -> None:
        """The best weights go where the caller expects them."""
        checkpoints.restore_trained(self.plain, best)
        self.plain.eval()


class Copies(Alone):
    """A whole copy in each process; gradients are summed after the way back."""

    def __init__(self, module: nn.Module, layout: Layout, device: torch.device, reducer: Reducer) -> None:
        super().__init__(module, layout, device)
        self.reader, self.readers = world.rank(), layout.data
        self._reducer = reducer
        with torch.no_grad():
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)

    def shares(self, batches: Sequence[Batch], objective: Objective) -> list[Share]:
        return shares(batches, objective, self.reader, self.readers, self.keeps_step)

    def reduce(self) -> None:
        self._reducer(gradients_of(self.module))

    def total(self, loss: float) -> float:
        return world.total(loss, self.device)

    def packed(self, parts: Parts) -> Parts:
        return {**parts, RANKS: gathered_state(self._reducer.state())}

    def restored(self, optimizer: torch.optim.Optimizer, parts: Parts, numbers: Mapping[str, Any], exact: bool) -> None:
        super().restored(optimizer, parts, numbers, exact)
        self._reducer.load(by_rank(parts.get(RANKS, {})), exact)


def gradients_of(module: nn.Module) -> list[Tensor]:
    """Of all that is trained, in order; a process that read nothing has zeros."""
    found = []
    for parameter in module.parameters():
        if not parameter.requires_grad:
            continue
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        found.append(parameter.grad)
    return found


def shares(
    batches: Sequence[Batch], objective: Objective, reader: int, readers: int, keeps_step: bool = False
) -> list[Share]:
    """The rows of each batch cut evenly, one part for each reader; batches that cannot be cut go around whole.

    Args:
        keeps_step: a reader without rows passes another's, which then count nothing.
    """
    if not isinstance(objective, Divisible):
        mine = [Share(batch) for batch in batches[reader::readers]]
        filler = -(-len(batches) // readers) - len(mine) if keeps_step else 0
        return mine + [Share(batches[0], 0.0)] * filler
    found = []
    for batch in batches:
        pieces = objective.split(batch, -(-objective.rows(batch) // readers))
        if reader < len(pieces):
            found.append(Share(pieces[reader]))
        elif keeps_step:
            found.append(Share(pieces[0], 0.0))
    return found


def gathered_state(own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """States of all processes by `rank.name`, in the first process; of one shape in all."""
    found: dict[str, Tensor] = {}
    for name, tensor in sorted(own.items()):
        boxes = world.gathered(tensor)
        found.update({f"{rank}.{name}": box for rank, box in enumerate(boxes or ())})
    return found


def by_rank(tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """`gathered_state` back, a dictionary for each process."""
    found: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        rank, _, name = key.partition(".")
        found.setdefault(int(rank), {})[name] = tensor
    return [found[rank] for rank in sorted(found)]
