"""fp8 matrix products through torchao, where the hardware has them (Micikevicius et al. 2022, "FP8 Formats for Deep
Learning"): weights stay fp32, the products' operands are scaled and rounded to 8 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from modelyard.base.lookup import require
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.training import devices

MULTIPLE = 16
"""The kernels take matrices whose sides are multiples of this; others stay as they are."""


def check(device: torch.device) -> None:
    """Whether fp8 can be computed here.

    Raises:
        InputError: the hardware has no fp8 products.
        DependencyError: torchao is not installed.
    """
    if not devices.supports_fp8(device):
        raise InputError(
            t("{device} does not compute fp8", device=devices.describe(device)),
            where="precision",
            expected=t("a GPU with fp8 products (compute capability 8.9 or more)"),
            remedy=t("use `auto`"),
        )
    require("torchao.float8", "fp8")


def fits(part: nn.Module, name: str) -> bool:
    """Whether a layer may be computed in fp8."""
    # A matrix held in other bits is no parameter.
    own = dict(part.named_parameters(recurse=False)) if isinstance(part, nn.Linear) else {}
    return "weight" in own and all(side % MULTIPLE == 0 for side in own["weight"].shape)


@contextmanager
def products(module: nn.Module) -> Iterator[None]:
    """Inside, linear layers multiply in fp8; after, they are the layers that they were, with the same parameters."""
    before = [
        (owner, name, part) for owner in module.modules() for name, part in owner.named_children() if fits(part, name)
    ]
    require("torchao.float8", "fp8").convert_to_float8_training(module, module_filter_fn=fits)
    try:
        yield
    finally:
        for owner, name, part in before:
            changed = getattr(owner, name)
            part.weight, part.bias = changed.weight, changed.bias
            setattr(owner, name, part)
