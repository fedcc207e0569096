"""Number formats of the forward pass: bf16 and fp16 under autocast (Micikevicius et al. 2018), weights stay fp32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.training.devices import supports_bf16
from modelyard.methods.training.settings import PrecisionName

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def resolve(name: PrecisionName, device: torch.device) -> str:
    """`fp32`, `bf16` or `fp16`; `auto` is bf16 where the hardware computes it.

    Raises:
        InputError: fp16 on a CPU, whose kernels for it are slower than fp32.
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
    return name


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """The context of a forward pass."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=_TYPES[precision])


def scaler(precision: str, device: torch.device) -> torch.amp.GradScaler:
    """Loss scaling, which fp16 needs for small gradients; switched off otherwise."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
