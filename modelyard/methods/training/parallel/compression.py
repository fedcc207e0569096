"""How gradients travel between whole copies: as they are, in bf16, or as products of two thin matrices (PowerSGD)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from modelyard.methods.training.parallel.together import Reducer
from modelyard.methods.training.random import generator
from modelyard.methods.training.settings_parallel import Parallel

BUCKET_BYTES = 25 * 2**20
"""Small tensors travel together: as in PyTorch's DDP (Li et al. 2020, "PyTorch Distributed")."""


def reducer(parallel: Parallel, seed: int, group: dist.ProcessGroup | None = None) -> Reducer:
    """What the settings say."""
    if parallel.compression == "powersgd":
        return PowerSgd(parallel.rank, seed, group)
    return Summed(torch.bfloat16 if parallel.compression == "bf16" else None, group)


class Summed:
    """Sums of whole gradients, in buckets.

    Args:
        kind: number format on the way; None: their own.
    """

    def __init__(self, kind: torch.dtype | None = None, group: dist.ProcessGroup | None = None) -> None:
        self._kind, self._group = kind, group

    def __call__(self, gradients: Sequence[Tensor]) -> None:
        for bucket in buckets(gradients):
            flat = torch.cat([one.reshape(-1) for one in bucket])
            sent = flat if self._kind is None else flat.to(self._kind)
            dist.all_reduce(sent, group=self._group)
            sizes = [one.numel() for one in bucket]
            for one, part in zip(bucket, torch.split(sent, sizes), strict=True):
                one.copy_(part.view_as(one))

    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, tensors: Sequence[Mapping[str, Tensor]], exact: bool) -> None:
        """There is nothing to go on from."""


def buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Gradients of one number format in turn, about `BUCKET_BYTES` together."""
    bucket: list[Tensor] = []
    held = 0
    for one in gradients:
        if bucket and (held >= BUCKET_BYTES or one.dtype != bucket[0].dtype):
            yield bucket
            bucket, held = [], 0
        bucket.append(one)
        held += one.numel() * one.element_size()
    if bucket:
        yield bucket


class PowerSgd:
    """PowerSGD (Vogels et al. 2019): one step of power iteration sends P = M Q and Q = Mᵀ P instead of M; what they
    miss is added to the next step's gradient (error feedback). Vectors, and matrices that would not get smaller, travel
    whole. Q starts where the step before ended.
    """

    def __init__(self, rank: int, seed: int, group: dist.ProcessGroup | None = None) -> None:
        self._rank, self._seed, self._group = rank, seed, group
        self._whole = Summed(group=group)
        self._errors: dict[int, Tensor] = {}
        self._bases: dict[int, Tensor] = {}

    def __call__(self, gradients: Sequence[Tensor]) -> None:
        thin = {place: one for place, one in enumerate(gradients) if self._pays(one)}
        self._whole([one for place, one in enumerate(gradients) if place not in thin])
        if not thin:
            return
        matrices = {place: one.reshape(one.shape[0], -1) + self._error(place, one) for place, one in thin.items()}
        left = {place: matrix @ self._basis(place, matrix) for place, matrix in matrices.items()}
        self._whole(list(left.values()))
        left = {place: torch.linalg.qr(one)[0] for place, one in left.items()}
        right = {place: matrix.mT @ left[place] for place, matrix in matrices.items()}
        own = {place: left[place] @ one.mT for place, one in right.items()}
        self._whole(list(right.values()))
        for place, gradient in thin.items():
            # P Pᵀ M of each process sums to what all of them take, so what is missing is each one's own business.
            self._errors[place] = matrices[place] - own[place]
            self._bases[place] = right[place]
            gradient.copy_((left[place] @ right[place].mT).view_as(gradient))

    def _pays(self, gradient: Tensor) -> bool:
        if gradient.ndim < 2:
            return False
        rows, columns = gradient.shape[0], gradient[0].numel()
        return (rows + columns) * self._rank < rows * columns and min(rows, columns) >= self._rank

    def _error(self, place: int, gradient: Tensor) -> Tensor | float:
        return self._errors.get(place, 0.0)

    def _basis(self, place: int, matrix: Tensor) -> Tensor:
        """Of the step before; at first random, the same in all processes."""
        if place not in self._bases:
            draw = generator(self._seed, "powersgd", place).standard_normal((matrix.shape[1], self._rank))
            self._bases[place] = torch.from_numpy(draw).to(matrix)
        basis: Tensor = torch.linalg.qr(self._bases[place])[0]
        return basis

    def state(self) -> dict[str, Tensor]:
        errors = {f"error.{place}": one for place, one in self._errors.items()}
        return {**errors, **{f"basis.{place}": one for place, one in self._bases.items()}}

    def load(self, tensors: Sequence[Mapping[str, Tensor]], exact: bool) -> None:
        """With another number of processes the errors' sum is shared evenly: none is lost."""
        if not tensors:
            return
        world = dist.get_world_size(self._group)
        mine = tensors[dist.get_rank(self._group)] if exact else tensors[0]
        for key, tensor in mine.items():
            kind, place = key.split(".")
            if kind == "basis":
                self._bases[int(place)] = tensor.clone()
            else:
                summed = tensor if exact else torch.stack([one[key] for one in tensors]).sum(0) / world
                self._errors[int(place)] = summed.clone()
