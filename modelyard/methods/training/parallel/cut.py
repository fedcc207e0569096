"""A model cut over processes: fully sharded (FSDP2; Zhao et al. 2023, "PyTorch FSDP"), by tensors, or both, with groups
of whole copies beside them. What is cut is a copy: the module that was given takes the best weights at the end.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from modelyard.methods.training import activations, checkpoints, optimizers
from modelyard.methods.training.axes import Batch, Objective
from modelyard.methods.training.parallel import tensor, world
from modelyard.methods.training.parallel.compression import Summed
from modelyard.methods.training.parallel.layout import Layout
from modelyard.methods.training.parallel.parts import local
from modelyard.methods.training.parallel.together import Alone, Parts, Share, gradients_of, shares

DIMENSIONS = ("pipeline", "data", "shard", "tensor")


def mesh_of(layout: Layout, device: torch.device) -> DeviceMesh:
    """The processes in a grid: neighbours share tensors, stages of a pipeline are furthest apart."""
    return init_device_mesh(device.type, tuple(getattr(layout, name) for name in DIMENSIONS), mesh_dim_names=DIMENSIONS)


class Cut(Alone):
    """Weights shared by processes of the dimensions `shard` and `tensor`, copies along `data`."""

    def __init__(self, module: nn.Module, layout: Layout, device: torch.device) -> None:
        super().__init__(module, layout, device)
        self._aliases, self._order = _aliases(module), _order(module)
        self._numbers: list[int] = []
        self.mesh = mesh_of(layout, device)
        self.keeps_step = layout.shard > 1
        # FSDP averages where one process would sum.
        self.scale = float(layout.shard)
        self.readers = layout.readers
        self.reader = self.mesh.get_local_rank("data") * layout.shard + self.mesh.get_local_rank("shard")
        self.module = self._cut(self._copied(module))
        self._partial = tensor.partial(self.module) if layout.tensor > 1 else []

    def _copied(self, module: nn.Module) -> nn.Module:
        """A copy on the device, alike in all processes."""
        found = copy.deepcopy(module).to(self.device)
        with torch.no_grad():
            for one in found.state_dict().values():
                dist.broadcast(one, 0)
        return found

    def _cut(self, module: nn.Module) -> nn.Module:
        if self.layout.tensor > 1:
            tensor.cut(module, self.mesh["tensor"])
        if self.layout.shard > 1:
            for layer in activations.layers(module):
                fully_shard(layer, mesh=self.mesh["shard"])
            fully_shard(module, mesh=self.mesh["shard"])
        return module

    def arranged(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        names = {id(one): name for name, one in self.module.named_parameters()}
        groups: list[dict[str, Any]] = []
        for group in optimizer.param_groups:
            # One call of a fused kernel takes tensors that lie alike.
            kinds: dict[Any, list[nn.Parameter]] = {}
            for one in group["params"]:
                kinds.setdefault(one.device_mesh if isinstance(one, DTensor) else None, []).append(one)
            groups += [{**group, "params": some} for some in kinds.values()]
        optimizer.param_groups = groups
        mine = [self._aliases.get(names[id(one)], "") for group in groups for one in group["params"]]
        self._numbers = [self._order.index(name) for name in mine]
        return optimizer

    def shares(self, batches: Sequence[Batch], objective: Objective) -> list[Share]:
        return shares(batches, objective, self.reader, self.readers, self.keeps_step)

    def reduce(self) -> None:
        found = [local(one) for one in gradients_of(self.module)]
        if self._partial:
            Summed(group=self.mesh.get_group("tensor"))([local(grad_of(one)) for one in self._partial])
        if self.layout.data > 1:
            Summed(group=self.mesh.get_group("data"))(found)

    def total(self, loss: float) -> float:
        return world.total(loss, self.device) / self.layout.tensor

    def clip(self, limit: float) -> float:
        """As torch's, over parts that lie in several processes."""
        gradients = gradients_of(self.module)
        norm = self._norm(gradients)
        if norm > limit:
            torch._foreach_mul_([local(one) for one in gradients], limit / (norm + 1e-6))
        return norm

    def _norm(self, gradients: Sequence[Tensor]) -> float:
        """Each part counted once: squares are summed over the dimensions that a gradient is cut along."""
        kinds = torch.zeros(4, dtype=torch.float64, device=self.device)
        for one in gradients:
            along = dimensions_of(one)
            kinds[("shard" in along) + 2 * ("tensor" in along)] += local(one).double().square().sum()
        for bit, name in ((1, "shard"), (2, "tensor")):
            if getattr(self.layout, name) > 1:
                mask = torch.tensor([bool(kind & bit) for kind in range(4)], device=self.device)
                summed = torch.where(mask, kinds, 0.0)
                dist.all_reduce(summed, group=self.mesh.get_group(name))
                kinds = torch.where(mask, summed, kinds)
        return float(self._over_stages(kinds.sum()).sqrt())

    def _over_stages(self, squares: Tensor) -> Tensor:
        return squares

    # -- keeping -------------------------------------------------------------------------------------------------

    def packed(self, parts: Parts) -> Parts:
        whole = {name: self._whole(part) for name, part in parts.items()}
        return {**whole, "optimizer": self._numbered(whole["optimizer"])}

    def _numbered(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An optimizer's state by the numbers that parameters have in the optimizer of the whole module."""
        found = {}
        for key, one in tensors.items():
            number, name = key.split(".", 1)
            found[f"{self._numbers[int(number)]}.{name}"] = one
        return found

    def _whole(self, tensors: Mapping[str, Tensor], everywhere: bool = False) -> dict[str, Tensor]:
        """Put together on the CPU of the first process, or of all."""
        found = {}
        for name, one in tensors.items():
            full = one.full_tensor().detach() if isinstance(one, DTensor) else one.detach()
            if everywhere or self.is_main:
                found[name] = full.cpu()
        return found

    def restored(self, optimizer: torch.optim.Optimizer, parts: Parts, numbers: Mapping[str, Any], exact: bool) -> None:
        checkpoints.restore_trained(self.module, self.like_weights(parts["weights"]))
        ordered = [one for group in optimizer.param_groups for one in group["params"]]
        places = {number: place for place, number in enumerate(self._numbers)}
        tensors = {}
        for key, value in parts["optimizer"].items():
            number, name = key.split(".", 1)
            place = places.get(int(number))
            if place is not None:
                like = ordered[place].detach()
                tensors[f"{place}.{name}"] = part_of(value, like) if value.shape == like.shape else value
        checkpoints.restore_optimizer(optimizer, tensors, {})

    def like_weights(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        live = dict(self.module.state_dict())
        return {name: part_of(value, live[name]) for name, value in tensors.items()}

    def finish(self, best: Mapping[str, Tensor]) -> None:
        checkpoints.restore_trained(self.plain, self._whole(best, everywhere=True))
        self.plain.eval()


def _aliases(module: nn.Module) -> dict[str, str]:
    """Every name of a trained parameter to the first name of the same."""
    first: dict[int, str] = {}
    found = {}
    for name, one in module.named_parameters(remove_duplicate=False):
        if one.requires_grad:
            found[name] = first.setdefault(id(one), name)
    return found


def _order(module: nn.Module) -> list[str]:
    """Names of parameters in the order of the whole module's optimizer."""
    names = {id(one): name for name, one in module.named_parameters()}
    return [names[id(one)] for group in optimizers.groups(module, 0.0) for one in group["params"]]


def dimensions_of(value: Tensor) -> set[str]:
    """Those that a tensor is cut along."""
    if not isinstance(value, DTensor):
        return set()
    names = value.device_mesh.mesh_dim_names or ()
    return {name for name, place in zip(names, value.placements, strict=True) if not place.is_replicate()}


def part_of(whole: Tensor, like: Tensor) -> Tensor:
    """The part of a whole tensor that lies here if it is cut as `like`, on its device."""
    if not isinstance(like, DTensor):
        return whole.to(like.device)
    shape, offset = compute_local_shape_and_global_offset(whole.shape, like.device_mesh, like.placements)
    mine = whole[tuple(slice(start, start + size) for start, size in zip(offset, shape, strict=True))]
    return DTensor.from_local(
        mine.to(like.device).clone(), like.device_mesh, like.placements, shape=like.shape, stride=like.stride()
    )


def grad_of(parameter: nn.Parameter) -> Tensor:
    """Its gradient; zeros if none came."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad
