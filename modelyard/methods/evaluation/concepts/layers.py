"""What a network holds of a row in its layers, and how its answer would move with it.

Layers are the blocks of the longest list of modules that give one vector a token, and what the last linear layer reads.
A network of pictures without such blocks has one layer for each size of its maps: what is there last before they
shrink. Tokens, patches and places are averaged, padding left out; the slope along a direction is the sum over them,
which is what moving all of them together does to the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.evaluation.explanation.gradients import score
from modelyard.methods.runtimes.batching import Arrays
from modelyard.methods.runtimes.differentiable import Differentiable
from modelyard.methods.runtimes.predictor import Record

Floats = NDArray[np.float64]
BATCH = 32


@dataclass(frozen=True)
class Layer:
    """A place in the network.

    Attributes:
        reads: take what the module reads, not what it gives.
    """

    name: str
    module: nn.Module
    reads: bool = False


def layers_of(model: Differentiable, sample: Record) -> list[Layer]:
    """From the inputs to the answer. Raises InputError for a network with nothing in between."""
    lists = [one for one in model.module.modules() if isinstance(one, nn.ModuleList)]
    longest: Any = max(lists, key=len, default=())
    # A convolution's maps have their channels where blocks have tokens.
    blocks = [Layer(str(place + 1), one) for place, one in enumerate(longest) if not isinstance(one, nn.Conv1d)]
    linears = [Layer("last", one, True) for one in model.module.modules() if isinstance(one, nn.Linear)]
    with torch.no_grad():
        arrays = model.encode([sample])
        with _kept([*blocks, *linears]) as kept:
            model.logits(arrays)
    tokens = [one for one in blocks if one in kept and kept[one].ndim == 3]
    # The linear layer that was asked last: keys stand in the order of the calls.
    asked = [one for one in kept if one.reads and kept[one].is_floating_point()]
    found = [*(tokens or _maps(model, arrays)), *asked[-1:]]
    if not found:
        raise InputError(
            t("the network has no layer between its inputs and its answer"),
            expected=t("a network with hidden layers: `size: cnn` or an encoder, not a linear model"),
        )
    return found


def _maps(model: Differentiable, arrays: Arrays) -> list[Layer]:
    """The last module at each size of maps [B, C, h, w] of more than one place, by the size; none of texts."""
    sizes: dict[nn.Module, list[tuple[int, int]]] = {}

    def note(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] * output.shape[3] > 1:
            sizes.setdefault(module, []).append((output.shape[2], output.shape[3]))

    handles = [module.register_forward_hook(note) for module in model.module.modules()]
    try:
        with torch.no_grad():
            model.logits(arrays)
    finally:
        for handle in handles:
            handle.remove()
    # A module that is asked twice has no one place in the network.
    last = {found[0]: module for module, found in sizes.items() if len(found) == 1}
    return [Layer(f"{height}x{width}", module) for (height, width), module in last.items()]


def read(
    model: Differentiable, layers: Sequence[Layer], records: Sequence[Record], targets: Sequence[int] | None = None
) -> tuple[list[Floats], list[Floats]]:
    """For each layer the vectors [n, d], and with `targets` the slopes [n, d] of each row's own target's log-odds."""
    values: list[list[Floats]] = [[] for _ in layers]
    slopes: list[list[Floats]] = [[] for _ in layers]
    for start in range(0, len(records), BATCH):
        arrays = model.encode(records[start : start + BATCH])
        mask = torch.from_numpy(arrays["attention_mask"]) if "attention_mask" in arrays else None
        with _kept(layers) as kept:
            logits = model.logits(arrays, model.embed(arrays))
        tensors = [kept[layer] for layer in layers]
        for place, tensor in enumerate(tensors):
            values[place].append(_pooled(tensor.detach(), mask, mean=True))
        if targets is not None:
            own = targets[start : start + BATCH]
            total = torch.stack([score(logits[row : row + 1], target)[0] for row, target in enumerate(own)]).sum()
            for place, slope in enumerate(torch.autograd.grad(total, tensors)):
                slopes[place].append(_pooled(slope, mask, mean=False))
    return [np.concatenate(one) for one in values], [np.concatenate(one) for one in slopes if one]


@contextmanager
def _kept(layers: Sequence[Layer]) -> Iterator[dict[Layer, Tensor]]:
    found: dict[Layer, Tensor] = {}

    def before(layer: Layer) -> Any:
        return lambda _, given: found.__setitem__(layer, given[0]) if given else None

    def after(layer: Layer) -> Any:
        def keep(_: Any, __: Any, output: Any) -> None:
            tensor = output[0] if isinstance(output, tuple | list) else output
            if isinstance(tensor, Tensor):
                found[layer] = tensor

        return keep

    handles = [
        one.module.register_forward_pre_hook(before(one)) if one.reads
        else one.module.register_forward_hook(after(one))
        for one in layers
    ]  # fmt: skip
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _pooled(tensor: Tensor, mask: Tensor | None, mean: bool) -> Floats:
    """[n, d] the mean (or the sum) over what stands between the first axis and the vectors."""
    if tensor.ndim == 4:
        tensor = tensor.flatten(2).transpose(1, 2)
    if tensor.ndim == 2:
        found = tensor
    else:
        real = mask is not None and mask.shape == tensor.shape[:2]
        weights = mask.to(tensor.dtype) if real and mask is not None else torch.ones(tensor.shape[:2])
        found = (tensor * weights[:, :, None]).sum(1)
        found = found / weights.sum(1).clamp(min=1)[:, None] if mean else found
    result: Floats = found.double().numpy()
    return result
