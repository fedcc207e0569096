"""Tensors of which this process holds a part."""

from __future__ import annotations

from torch import Tensor, nn


def local(value: Tensor) -> Tensor:
    """This process's part; a tensor that is whole as it is."""
    if type(value) in (Tensor, nn.Parameter):
        return value
    # Where nothing is cut, the 40 MiB of this import are spared.
    from torch.distributed.tensor import DTensor

    return value.to_local() if isinstance(value, DTensor) else value
