"""Optimizers: AdamW (Loshchilov & Hutter 2019), SGD with Nesterov momentum, Adafactor (Shazeer & Stern 2018)."""

from __future__ import annotations

from typing import Any

import torch

from modelyard.methods.training.settings import Optimizer


def groups(module: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two parameter groups: matrices decay; biases, norms and other vectors do not. Frozen ones are left out."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if parameter.ndim >= 2]
    vectors = [parameter for parameter in trained if parameter.ndim < 2]
    both = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in both if group["params"]]


def build(settings: Optimizer, module: torch.nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """The optimizer over the parameters that are trained."""
    parameters = groups(module, settings.weight_decay)
    if settings.name == "sgd":
        nesterov = settings.momentum > 0
        return torch.optim.SGD(parameters, lr=learning_rate, momentum=settings.momentum, nesterov=nesterov)
    if settings.name == "adafactor":
        return torch.optim.Adafactor(parameters, lr=learning_rate)
    return torch.optim.AdamW(parameters, lr=learning_rate, betas=(settings.beta1, settings.beta2), fused=True)
