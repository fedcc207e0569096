"""Activation checkpointing: a layer's activations are computed again on the way back instead of kept (Chen et al. 2016,
"Training Deep Nets with Sublinear Memory Cost"). Memory falls to about one layer's; a third more is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from modelyard.methods.training.dropout import Masks
from modelyard.methods.training.parameters import EMBEDDINGS

_CACHES = ("past_key_values", "past_key_value", "layer_past")


def layers(module: nn.Module) -> list[nn.Module]:
    """Layers of every stack in the module: like modules in a row, each with parts of its own; none is in another."""
    found: list[nn.Module] = []
    inside: set[int] = set()
    for part in module.modules():
        if id(part) in inside or not isinstance(part, nn.ModuleList | nn.Sequential):
            continue
        stack = list(part)
        if len(stack) > 1 and len({type(one) for one in stack}) == 1 and any(True for _ in stack[0].children()):
            found += stack
            inside |= {id(below) for below in part.modules()}
    return [one for one in found if not isinstance(one, EMBEDDINGS)]


@contextmanager
def recomputed(module: nn.Module, masks: Masks | None) -> Iterator[int]:
    """Inside, the layers keep only their inputs; gives how many there are.

    Args:
        masks: where dropout draws from (see dropout.py), to draw the same again; None: torch's generators.
    """
    found = layers(module)
    for layer in found:
        layer.forward = _forward(layer.forward, layer, masks)
    try:
        yield len(found)
    finally:
        for layer in found:
            del layer.forward


def _forward(forward: Any, layer: nn.Module, masks: Masks | None) -> Any:
    # Without masks of ours torch's own bookkeeping is enough, and a compiler understands it.
    again: dict[str, Any] = {} if masks is None else {"context_fn": lambda: _contexts(masks)}

    def run(*inputs: Any, **named: Any) -> Any:
        if not (layer.training and torch.is_grad_enabled()):
            return forward(*inputs, **named)
        # A cache of keys would be filled a second time on the way back.
        for name in _CACHES:
            if named.get(name) is not None:
                named[name] = None
        return checkpoint(forward, *inputs, use_reentrant=False, **again, **named)

    return run


def _contexts(masks: Masks) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """For the first pass and for the second, which draws what the first drew and leaves the source as it was."""
    seen: list[Any] = []

    @contextmanager
    def first() -> Iterator[None]:
        seen.append(masks.place)
        yield

    @contextmanager
    def second() -> Iterator[None]:
        now = masks.place
        masks.place = seen[0]
        try:
            yield
        finally:
            masks.place = now

    return first(), second()
