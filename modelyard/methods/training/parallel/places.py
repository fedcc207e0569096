"""What stands in a stage of a pipeline where the layers of other stages were: a pass begins and ends there.

Also the cutting itself: which layers are a stage's own, and what is put in the place of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Reached(Exception):
    """The last layer of a stage has been computed."""

    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self.hidden = hidden


class Enter(nn.Module):
    """In the place of the layer before a stage's first: what the stage before sent."""

    hidden: Tensor | None = None

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        assert self.hidden is not None
        return self.hidden


class Pass(nn.Module):
    """In the place of layers further down."""

    def forward(self, hidden: Tensor, *inputs: Any, **named: Any) -> Tensor:
        return hidden


class Leave(nn.Module):
    """In the place of the layer after a stage's last."""

    def forward(self, hidden: Tensor, *inputs: Any, **named: Any) -> Tensor:
        raise Reached(hidden)


class Blank(nn.Module):
    """In the place of an embedding of another stage: zeros of its shape, which nobody reads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, ids: Tensor) -> Tensor:
        return torch.zeros((), device=ids.device).expand(*ids.shape, self.width)


def leave_out(module: nn.Module, layers: Sequence[nn.Module], first: int, end: int, enter: Enter) -> None:
    """Only layers `first` to `end` are left, and in any stage but the first no embedding."""
    stack = next(part for part in module.modules() if isinstance(part, nn.ModuleList) and list(part) == list(layers))
    for place in range(len(stack)):
        if place == first - 1:
            stack[place] = enter
        elif place == end:
            stack[place] = Leave()
        elif not first <= place < end:
            stack[place] = Pass()
    if first:
        _replace(module, lambda part: Blank(part.embedding_dim) if isinstance(part, nn.Embedding) else None)


def named_twice(module: nn.Module) -> set[int]:
    """Ids of parameters that have several names."""
    seen: dict[int, int] = {}
    for _, one in module.named_parameters(remove_duplicate=False):
        seen[id(one)] = seen.get(id(one), 0) + 1
    return {key for key, count in seen.items() if count > 1}


def _replace(module: nn.Module, by: Callable[[Any], nn.Module | None]) -> None:
    for part in list(module.modules()):
        for name, child in list(part.named_children()):
            new = by(child)
            if new is not None:
                setattr(part, name, new)
