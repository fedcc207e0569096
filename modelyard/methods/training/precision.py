"""Number formats of the forward pass: bf16 and fp16 under autocast (Micikevicius et al. 2018), fp8 products by torchao;
weights stay fp32.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.training import float8
from modelyard.methods.training.devices import supports_bf16
from modelyard.methods.training.settings import PrecisionName

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp8": torch.bfloat16}
"""What is not a matrix product of fp8 is computed in bf16."""


def resolve(name: PrecisionName, device: torch.device) -> str:
    """`fp32`, `bf16`, `fp16` or `fp8`; `auto` is bf16 where the hardware computes it.

    Raises:
        InputError: fp16 on a CPU, whose kernels for it are slower than fp32; fp8 without the hardware for it.
        DependencyError: fp8 without torchao.
    """
    if name == "auto":
        return "bf16" if supports_bf16(device) else "fp32"
    if name == "fp16" and device.type == "cpu":
        raise InputError(
            t("fp16 is not for training on a CPU"),
            where="precision",
            expected="auto, fp32, bf16",
            remedy=t("use `auto`"),
        )
    if name == "fp8":
        float8.check(device)
    return name


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """The context of a forward pass."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=_TYPES[precision])


def scaler(precision: str, device: torch.device) -> torch.amp.GradScaler:
    """Loss scaling, which fp16 needs for small gradients; switched off otherwise."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
