"""Frozen matrices held in 4 bits: NF4 with double quantisation (Dettmers et al. 2023, "QLoRA", section 3).

The numbers of a matrix, row by row, are cut into blocks of 64. Each is divided by the greatest size in its block and
becomes the nearest of 16 values, which lie where a normal distribution has its quantiles. The blocks' sizes are numbers
too: of every 256 of them only 8 bits each are kept, evenly between the least and the greatest (the paper takes 8-bit
floats; even steps err less at worst, for sizes lie close together). That is 4.13 bits a weight.

The matrices never exist whole but while one is multiplied: forward and back make them anew from the 4 bits in the
number format of the product, and keep nothing else for the way back. They have no gradient: adapters beside them do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

BLOCK = 64
GROUP = 256
"""Blocks whose sizes share a range."""
VALUES = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
"""The paper's appendix E: quantiles of N(0, 1), 8 of the one half and 9 of the other, 0 shared, over the greatest."""
PIECE = 1 << 14
"""Blocks made at a time on a processor: 4 MiB in fp32, which stay in its cache."""
STEPS = 255.0


@dataclass(frozen=True)
class Packed:
    """A tensor in 4 bits.

    Attributes:
        codes: [blocks · 32] uint8, two numbers each, the first in the high half; the last block is filled with zeros.
        sizes: [blocks] uint8, the greatest size of each block within the range of its group.
        ranges: [groups · 8] uint8, the bytes of fp32 (least size, step) of each group. As bytes, for no average and no
            change of number format may touch them.
        shape: of the tensor.
    """

    codes: Tensor
    sizes: Tensor
    ranges: Tensor
    shape: tuple[int, ...]


def pack(values: Tensor) -> Packed:
    """Any floating tensor in 4 bits."""
    flat = values.detach().reshape(-1)
    flat = functional.pad(flat, (0, -len(flat) % BLOCK)).view(-1, BLOCK)
    sizes, ranges = _pack_sizes(flat.abs().amax(1).float())
    scales = _unpack_sizes(sizes, ranges)
    table = torch.tensor(VALUES, device=flat.device)
    between = (table[1:] + table[:-1]) / 2
    codes = torch.empty(len(flat), BLOCK // 2, dtype=torch.uint8, device=flat.device)
    for piece in _pieces(flat):
        # A block of zeros has size 0: its code is that of 0.
        shares = (flat[piece].float() / scales[piece, None]).nan_to_num_(0.0)
        nearest = torch.bucketize(shares, between, out_int32=True).to(torch.uint8)
        codes[piece] = nearest[:, ::2] << 4 | nearest[:, 1::2]
    return Packed(codes.flatten(), sizes, ranges, tuple(values.shape))


def unpack(packed: Packed, dtype: torch.dtype = torch.float32) -> Tensor:
    """The tensor that the 4 bits stand for."""
    scales = _unpack_sizes(packed.sizes, packed.ranges)
    codes = packed.codes.view(-1, BLOCK // 2)
    table = torch.tensor(VALUES, device=codes.device)
    # Both halves of a byte in one look: [256, 2].
    pairs = torch.stack([table.repeat_interleave(16), table.repeat(16)], 1)
    made = torch.empty(len(codes), BLOCK, dtype=dtype, device=codes.device)
    for piece in _pieces(codes):
        found = functional.embedding(codes[piece].int(), pairs).view(-1, BLOCK)
        made[piece] = found * scales[piece, None]
    count = torch.Size(packed.shape).numel()
    return made.view(-1)[:count].view(packed.shape)


def _pieces(blocks: Tensor) -> list[slice]:
    # A compiler fuses it all, and an accelerator wants it at once.
    rows = len(blocks) if torch.compiler.is_compiling() or blocks.device.type != "cpu" else PIECE
    return [slice(start, start + rows) for start in range(0, len(blocks), max(rows, 1))]


def _pack_sizes(sizes: Tensor) -> tuple[Tensor, Tensor]:
    """[blocks] fp32 to ([blocks] uint8, the ranges' bytes)."""
    missing = -len(sizes) % GROUP
    groups = torch.cat([sizes, sizes[-1:].expand(missing)]).view(-1, GROUP)
    least = groups.amin(1)
    step = (groups.amax(1) - least) / STEPS
    codes = ((groups - least[:, None]) / step[:, None]).nan_to_num_(0.0).round_().clamp_(0, STEPS)
    ranges = torch.stack([least, step], 1).flatten().view(torch.uint8)
    return codes.to(torch.uint8).flatten()[: len(sizes)].contiguous(), ranges


def _unpack_sizes(sizes: Tensor, ranges: Tensor) -> Tensor:
    """[blocks] fp32."""
    bounds = ranges.view(torch.float32).view(-1, 2)
    least, step = bounds.repeat_interleave(GROUP, 0)[: len(sizes)].unbind(1)
    return least + step * sizes


class _Product(torch.autograd.Function):
    """x @ W.T + bias with W in 4 bits; the gradient is of x alone."""

    @staticmethod
    def forward(
        context: Any, x: Tensor, bias: Tensor | None, codes: Tensor, sizes: Tensor, ranges: Tensor, shape: Any,
        transposed: bool,
    ) -> Tensor:  # fmt: skip
        context.save_for_backward(codes, sizes, ranges)
        context.shape, context.transposed = shape, transposed
        weight = unpack(Packed(codes, sizes, ranges, shape), x.dtype)
        bias = None if bias is None else bias.to(x.dtype)
        return functional.linear(x, weight.T if transposed else weight, bias)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (of_output,) = gradients
        codes, sizes, ranges = context.saved_tensors
        weight = unpack(Packed(codes, sizes, ranges, context.shape), of_output.dtype)
        return of_output @ (weight.T if context.transposed else weight), *[None] * 6


class Held(nn.Module):
    """A layer whose matrix is held in 4 bits.

    The bits are no part of its state: they come again from where the weights came from.
    """

    codes: Tensor
    sizes: Tensor
    ranges: Tensor
    bias: Any
    transposed = False

    def _hold(self, weight: Tensor, bias: nn.Parameter | None) -> None:
        packed = pack(weight)
        self.shape = packed.shape
        for name in ("codes", "sizes", "ranges"):
            self.register_buffer(name, getattr(packed, name), persistent=False)
        self.register_parameter("bias", bias)

    @property
    def packed(self) -> Packed:
        return Packed(self.codes, self.sizes, self.ranges, self.shape)

    def forward(self, x: Tensor) -> Tensor:
        kind = x.device.type
        if torch.is_autocast_enabled(kind):
            x = x.to(torch.get_autocast_dtype(kind))
        made: Tensor = _Product.apply(  # type: ignore[no-untyped-call]
            x, self.bias, self.codes, self.sizes, self.ranges, self.shape, self.transposed
        )
        return made


class HeldLinear(Held, nn.Linear):
    """As `torch.nn.Linear`, its matrix in 4 bits."""

    def __init__(self, like: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = like.in_features, like.out_features
        self._hold(like.weight, like.bias)

    # Adapters look at the weight beside which they stand.
    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """[out, in] fp32, made anew each time."""
        return unpack(self.packed)

    def plain(self) -> nn.Linear:
        """The layer with the matrix that the 4 bits stand for."""
        made = nn.Linear(self.in_features, self.out_features, device="meta")
        made.weight = nn.Parameter(self.weight, requires_grad=False)
        made.register_parameter("bias", self.bias)
        return made


class HeldConv1D(Held, Conv1D):  # type: ignore[misc]
    """As GPT-2's `Conv1D`, its matrix [in, out] in 4 bits."""

    transposed = True

    def __init__(self, like: Conv1D) -> None:
        nn.Module.__init__(self)
        self.nx, self.nf = like.nx, like.nf
        self._hold(like.weight, like.bias)

    @property
    def weight(self) -> Tensor:
        """[in, out] fp32, made anew each time."""
        return unpack(self.packed)

    def plain(self) -> Conv1D:
        """The layer with the matrix that the 4 bits stand for."""
        made = Conv1D(self.nf, self.nx)
        made.weight, made.bias = nn.Parameter(self.weight, requires_grad=False), self.bias
        return made


def hold(model: Any) -> int:
    """Hold every matrix of a transformers model in 4 bits, in place, but embeddings and the output layer.

    Returns:
        how many matrices there are.
    """
    head = model.get_output_embeddings()
    chosen = [
        one
        for one in _layers(model, (nn.Linear, Conv1D))
        if one[2] is not head and not isinstance(one[2], Held) and one[2].weight.is_floating_point()
    ]
    for owner, name, part in chosen:
        setattr(owner, name, HeldConv1D(part) if isinstance(part, Conv1D) else HeldLinear(part))
    return len(chosen)


def holds(model: nn.Module) -> bool:
    """Whether a matrix of the model is held in 4 bits."""
    return any(isinstance(part, Held) for part in model.modules())


def release(model: nn.Module) -> None:
    """Put plain layers where `hold` put others: their matrices are what the 4 bits stand for, not what they were."""
    for owner, name, part in _layers(model, (HeldLinear, HeldConv1D)):
        setattr(owner, name, part.plain())


def _layers(model: nn.Module, kinds: tuple[type, ...]) -> list[tuple[nn.Module, str, Any]]:
    found: Iterator[tuple[nn.Module, str, Any]] = (
        (owner, name, part)
        for owner in model.modules()
        for name, part in owner.named_children()
        if isinstance(part, kinds)
    )
    return list(found)


def num_bytes(model: nn.Module) -> int:
    """Of weights and buffers as they are held; shared ones once."""
    return sum(one.nbytes for one in (*model.parameters(), *model.buffers()))
