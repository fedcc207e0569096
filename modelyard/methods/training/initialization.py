"""Weights to begin with: normal, Xavier (Glorot & Bengio 2010), Kaiming (He et al. 2015), orthogonal (Saxe et al.
2014). Each tensor draws from a generator of its own, keyed by its name: the same weights whatever else is built.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelyard.methods.training.parameters import EMBEDDINGS
from modelyard.methods.training.random import generator
from modelyard.methods.training.settings import Initialization


def apply(module: nn.Module, settings: Initialization, seed: int) -> None:
    """Give a network on the CPU fresh weights in place; `default` changes nothing.

    Matrices and filters follow the rule, embeddings are normal under every rule (a rule for sums over inputs has no
    meaning for a table), biases become 0. Norms and other vectors stay.
    """
    if settings.name == "default":
        return
    tables = {id(p) for part in module.modules() if isinstance(part, EMBEDDINGS) for p in part.parameters()}
    biases = {id(part.bias) for part in module.modules() if _has_bias(part)}
    for name, parameter in module.named_parameters():
        if id(parameter) in tables:
            nn.init.normal_(parameter, std=settings.std, generator=_draws(seed, name))
        elif parameter.ndim >= 2:
            _fill(parameter, settings, _draws(seed, name))
        elif id(parameter) in biases:
            nn.init.zeros_(parameter)
    for part in module.modules():
        if isinstance(part, nn.Embedding) and part.padding_idx is not None:
            with torch.no_grad():
                part.weight[part.padding_idx].zero_()


def _has_bias(part: nn.Module) -> bool:
    """Whether a module with a weight matrix or filters adds a vector."""
    weight, bias = getattr(part, "weight", None), getattr(part, "bias", None)
    return isinstance(weight, Tensor) and weight.ndim >= 2 and isinstance(bias, Tensor)


def _draws(seed: int, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(int(generator(seed, f"weights/{name}").integers(2**63)))


def _fill(parameter: Tensor, settings: Initialization, draws: torch.Generator) -> None:
    if settings.name == "normal":
        nn.init.normal_(parameter, std=settings.std, generator=draws)
    elif settings.name == "xavier":
        nn.init.xavier_uniform_(parameter, generator=draws)
    elif settings.name == "kaiming":
        nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=draws)
    else:
        nn.init.orthogonal_(parameter, generator=draws)
