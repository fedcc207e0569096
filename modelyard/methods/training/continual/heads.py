"""A head for more labels: the old ones keep their weights and places, new ones follow."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from modelyard.errors import StageError
from modelyard.methods import networks

NUM_LABELS = "num_labels"


def grown(module: torch.nn.Module, spec: Mapping[str, Any], old: int, new: int) -> tuple[torch.nn.Module, Any]:
    """A copy of the network that answers with `new` logits, and its spec (empty for a network of transformers).

    A new label's weights are 0 and its bias the mean of the old ones: it begins as an average label and learns from
    its first row on. With `new` equal to `old` the copy is exact.

    Args:
        spec: of methods/networks; empty for a network of transformers.
        old, new: numbers of labels.
    """
    if old == new:
        return copy.deepcopy(module), dict(spec)
    if spec:
        wider = _widened(spec, old, new)
        made = networks.build(wider)
    else:
        wider, made = {}, _like(module, new)
    known = module.state_dict()
    state = {name: _fit(name, known[name], target, old, new) for name, target in made.state_dict().items()}
    made.load_state_dict(state)
    return made.eval(), wider


def _widened(value: Any, old: int, new: int) -> Any:
    """The spec with every number of labels changed, in children and configurations too."""
    if isinstance(value, Mapping):
        return {
            name: new if name == NUM_LABELS and part == old else _widened(part, old, new)
            for name, part in value.items()
        }
    return [_widened(part, old, new) for part in value] if isinstance(value, list | tuple) else value


def _like(module: Any, num_labels: int) -> torch.nn.Module:
    config = copy.deepcopy(module.config)
    config.num_labels = num_labels
    made: torch.nn.Module = type(module)(config)
    return made


def _fit(name: str, known: Tensor, target: Tensor, old: int, new: int) -> Tensor:
    """The tensor as it is, or with room for the new labels along the axis that counts them."""
    if known.shape == target.shape:
        return known
    axes = [axis for axis, sizes in enumerate(zip(known.shape, target.shape, strict=True)) if sizes == (old, new)]
    if len(axes) != 1 or known.ndim != target.ndim:
        raise StageError(f"`{name}` of {tuple(known.shape)} does not grow to {tuple(target.shape)}")
    shape = list(known.shape)
    shape[axes[0]] = new - old
    fresh = known.new_zeros(shape) if known.ndim > 1 else known.mean().expand(shape)
    return torch.cat([known, fresh], axes[0])
