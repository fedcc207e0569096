"""Less kept for the way back, where making it again costs next to nothing: root mean square norms, gated layers.

Autograd keeps what each small operation made: of a norm (Zhang & Sennrich 2019) the normalised rows, of a gated layer
(Shazeer 2020, "GLU Variants Improve Transformer") the activated gate, and the product that the next matrix takes. Here
these are made again from what is kept anyway, by the same operations: every bit of a gradient is what it was, and no
matrix is multiplied twice. Compilers choose such things themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from modelyard.methods.training import dropout

_FAMILIES = ("Llama", "Mistral", "Qwen2", "Qwen3")
NORMS = frozenset(f"{name}RMSNorm" for name in _FAMILIES)
"""Classes of transformers that compute `weight * (x * rsqrt(mean(x²) + eps))`."""
GATED = frozenset(f"{name}MLP" for name in _FAMILIES)
"""Classes of transformers that compute `down_proj(act_fn(gate_proj(x)) * up_proj(x))`."""

Make = Callable[[], Tensor]


@contextmanager
def on_processor(module: nn.Module, masks: dropout.Masks, spare: bool) -> Iterator[None]:
    """Inside, the module's own code as it trains best on a CPU.

    Args:
        spare: not for layers that are computed again whole: what is kept to make a part again would stay.
    """
    with dropout.fast(module, masks), spared(module) if spare else nullcontext():
        yield


@contextmanager
def spared(module: nn.Module) -> Iterator[int]:
    """Inside, such layers of the module keep less; gives how many there are."""
    found = [part for part in module.modules() if _kind(part) in NORMS | GATED]
    for part in found:
        part.forward = (_norm if _kind(part) in NORMS else _gated)(part)
    try:
        yield len(found)
    finally:
        for part in found:
            del part.forward


def _kind(part: nn.Module) -> str:
    kind = type(part)
    # One that is wrapped already is left as it is.
    known = kind.__module__.startswith("transformers.models.") and "forward" not in vars(part)
    return kind.__name__ if known else ""


def _norm(norm: Any) -> Callable[[Tensor], Tensor]:
    plain = norm.forward

    def forward(x: Tensor) -> Tensor:
        if not torch.is_grad_enabled() or x.dtype != torch.float32 or x.shape[-1] == 1:
            return plain(x)  # type: ignore[no-any-return]
        rows, scales = x.detach(), list[Tensor]()

        def recipe(kept: Tensor) -> Make | None:
            if kept.shape == (*rows.shape[:-1], 1):
                scales.append(kept.detach())
            normalised = kept.shape == rows.shape and not _shared(kept, rows) and bool(scales)
            return (lambda: rows * scales[0]) if normalised else None

        with _kept(recipe):
            return plain(x)  # type: ignore[no-any-return]

    return forward


def _gated(layer: Any) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        gate, up = layer.gate_proj(x), layer.up_proj(x)
        active = layer.act_fn(gate)
        if not active.requires_grad:
            return layer.down_proj(active * up)  # type: ignore[no-any-return]
        again = _Gate(layer.act_fn, gate.detach(), up.detach())
        with _kept(lambda kept: again.activated if _shared(kept, active) else None):
            product = active * up

        def recipe(kept: Tensor) -> Make | None:
            # A matrix keeps it with other axes.
            if not _shared(kept, product) or kept.numel() != product.numel():
                return None
            seen, steps = kept.shape, kept.stride()
            return lambda: again.product().as_strided(seen, steps)

        with _kept(recipe):
            return layer.down_proj(product)  # type: ignore[no-any-return]

    return forward


class _Gate:
    """What a gated layer made, once more. On the way back the product is asked for first, then the activated gate."""

    def __init__(self, function: Callable[[Tensor], Tensor], gate: Tensor, up: Tensor) -> None:
        self._function, self._gate, self._up = function, gate, up
        self._made: Tensor | None = None

    def activated(self) -> Tensor:
        found, self._made = self._made, None
        return self._function(self._gate) if found is None else found

    def product(self) -> Tensor:
        self._made = self._function(self._gate)
        return self._made * self._up


def _shared(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def _kept(recipe: Callable[[Tensor], Make | None]) -> saved_tensors_hooks:
    """Inside, of a tensor that has a recipe only that is kept."""

    def pack(kept: Tensor) -> Tensor | Make:
        return recipe(kept) or kept

    @torch.no_grad()
    def unpack(kept: Tensor | Make) -> Tensor:
        return kept if isinstance(kept, Tensor) else kept()

    return saved_tensors_hooks(pack, unpack)
