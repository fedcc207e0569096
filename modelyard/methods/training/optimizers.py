"""Optimizers: AdamW (Loshchilov & Hutter 2019), SGD with Nesterov momentum, Adafactor (Shazeer & Stern 2018), Lion,
and Muon beside AdamW. One learning rate serves all parameters; `scale` of a group multiplies it.
"""

from __future__ import annotations

from typing import Any

import torch

from modelyard.methods.training import parameters
from modelyard.methods.training.lion import Lion
from modelyard.methods.training.muon import Muon
from modelyard.methods.training.settings import Optimizer
from modelyard.methods.training.side_by_side import SideBySide

RATES = {"adamw": 1.0, "adafactor": 20.0, "muon": 3.0, "lion": 0.2, "sgd": 100.0}
"""What to multiply a network's usual rate by, which is AdamW's. Lion's steps are longer (Chen et al. advise 3 to 10
times less), SGD's as long as the gradient, Adafactor's relative to the size of the weights. Tried on short runs.
"""
BETA2 = {"lion": 0.99}
"""Decay of the second average where it is not AdamW's 0.999."""


def default_rate(settings: Optimizer, usual: float) -> float:
    """The peak learning rate: the one that is set, else the network's usual one in this optimizer's measure."""
    return settings.learning_rate or usual * RATES[settings.name]


def groups(module: torch.nn.Module, weight_decay: float, layer_decay: float = 1.0) -> list[dict[str, Any]]:
    """Parameter groups: matrices decay; biases, norms and other vectors do not. Frozen ones are left out.

    With `layer_decay` below 1 there is a pair of groups for every depth, whose rate is scaled by
    `layer_decay ** (head's depth - depth)` (Clark et al. 2020, ELECTRA).
    """
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if layer_decay == 1:
        return _pair(trained, weight_decay)
    depth, top = parameters.depths(module)
    found = []
    for level in range(top, -1, -1):
        here = [parameter for parameter in trained if depth[id(parameter)] == level]
        found += [{**group, "scale": layer_decay ** (top - level)} for group in _pair(here, weight_decay)]
    return found


def _pair(trained: list[torch.nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    matrices = [parameter for parameter in trained if parameter.ndim >= 2]
    vectors = [parameter for parameter in trained if parameter.ndim < 2]
    both = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in both if group["params"]]


def build(settings: Optimizer, module: torch.nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """The optimizer over the parameters that are trained."""
    grouped = groups(module, settings.weight_decay, settings.layer_decay)
    if settings.name == "sgd":
        nesterov = settings.momentum > 0
        return torch.optim.SGD(grouped, lr=learning_rate, momentum=settings.momentum, nesterov=nesterov)
    if settings.name == "adafactor":
        return torch.optim.Adafactor(grouped, lr=learning_rate)
    beta2 = settings.beta2 or BETA2.get(settings.name, 0.999)
    if settings.name == "lion":
        return Lion(grouped, lr=learning_rate, betas=(settings.beta1, beta2))
    if settings.name == "muon":
        return _muon(grouped, module, settings, learning_rate, beta2)
    return torch.optim.AdamW(grouped, lr=learning_rate, betas=(settings.beta1, beta2), fused=True)


def _muon(
    grouped: list[dict[str, Any]], module: torch.nn.Module, settings: Optimizer, learning_rate: float, beta2: float
) -> torch.optim.Optimizer:
    """Muon for the matrices inside, AdamW for the rest; one of them alone if the other has nothing to do."""
    inside = parameters.hidden_matrices(module)
    hidden = [{**group, "params": [p for p in group["params"] if id(p) in inside]} for group in grouped]
    rest = [{**group, "params": [p for p in group["params"] if id(p) not in inside]} for group in grouped]
    hidden, rest = ([group for group in some if group["params"]] for some in (hidden, rest))
    for group in hidden:
        group["scale"] = group.get("scale", 1.0) * settings.matrix_scale
    parts: list[torch.optim.Optimizer] = []
    if hidden:
        parts.append(Muon(hidden, lr=learning_rate, momentum=settings.muon_momentum))
    if rest:
        parts.append(torch.optim.AdamW(rest, lr=learning_rate, betas=(settings.beta1, beta2), fused=True))
    return parts[0] if len(parts) == 1 else SideBySide(parts)
