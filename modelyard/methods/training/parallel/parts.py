"""Tensors of which this process holds a part."""

from __future__ import annotations

from torch import Tensor
from torch.distributed.tensor import DTensor


def local(value: Tensor) -> Tensor:
    """This process's part; a tensor that is whole as it is."""
    return value.to_local() if isinstance(value, DTensor) else value
