"""The processes that train together, as torchrun started them; one process is a world of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from modelyard.methods.training import devices


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """The number of this one, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


@contextmanager
def joined(timeout_seconds: float) -> Iterator[None]:
    """Inside, the processes of a torchrun know each other; a call that waits longer than the timeout fails."""
    if dist.is_initialized() or int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        yield
        return
    taken = None if os.environ.get(devices.DEVICE) == "cpu" else devices.take(int(os.environ.get("LOCAL_RANK", "0")))
    backend = "gloo" if taken is None else f"cpu:gloo,{taken[0]}:{taken[1]}"
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout_seconds))
    yield
    # Not after an error: it would wait for the others.
    dist.destroy_process_group()


def told(value: Any, source: int = 0) -> Any:
    """What the process `source` has, in all of them. Small things only."""
    if size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=source)
    return box[0]


def total(value: float, device: torch.device, group: dist.ProcessGroup | None = None) -> float:
    """The sum of each process's number, in double precision where the device has it."""
    if size() == 1:
        return value
    kind = torch.float32 if device.type == "mps" else torch.float64
    box = torch.tensor(value, dtype=kind, device=device)
    dist.all_reduce(box, group=group)
    return float(box)


def gathered(tensor: Tensor) -> list[Tensor] | None:
    """Each process's tensor, all of one shape, on the CPU of the first; None in the others."""
    own = tensor.detach().contiguous()
    if size() == 1:
        return [own.cpu().clone()]
    boxes = [torch.empty_like(own) for _ in range(size())] if rank() == 0 else None
    dist.gather(own, boxes, dst=0)
    return [box.cpu() for box in boxes] if boxes is not None else None


def largest(value: int, device: torch.device, group: dist.ProcessGroup | None = None) -> int:
    """The largest of each process's number."""
    box = torch.tensor(value, dtype=torch.int64, device=device)
    dist.all_reduce(box, op=dist.ReduceOp.MAX, group=group)
    return int(box)


def sent(tensor: Tensor | None, source: int, device: torch.device, group: dist.ProcessGroup) -> Tensor:
    """The tensor that the process number `source` of the group has, in all of them; the others need not know its
    shape."""
    root = dist.get_global_rank(group, source)
    mine = dist.get_rank() == root
    box = [(tuple(tensor.shape), tensor.dtype)] if mine and tensor is not None else [None]
    dist.broadcast_object_list(box, src=root, group=group)
    shape, kind = box[0]  # type: ignore[misc]
    value = tensor.contiguous() if mine and tensor is not None else torch.empty(shape, dtype=kind, device=device)
    dist.broadcast(value, root, group=group)
    return value
