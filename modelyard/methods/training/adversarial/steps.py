"""Movements of inputs: along a gradient, inside a ball; one row is one vector."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Norm = Literal["l2", "linf"]


def lengths(move: Tensor) -> Tensor:
    """[B, 1, …] the Euclidean length of each row [B, …]."""
    long: Tensor = move.flatten(1).float().norm(dim=1)
    return long.reshape(-1, *([1] * (move.ndim - 1)))


def uphill(gradient: Tensor, size: float, norm: Norm) -> Tensor:
    """The step of that size along which the loss grows most, to first order; 0 where the gradient is 0.

    `l2`: size · g / |g| (Miyato et al. 2017). `linf`: size · sign(g) (Goodfellow et al. 2015).
    """
    if norm == "linf":
        return size * gradient.sign()
    long = lengths(gradient)
    # The largest value is taken out first: squares of tiny gradients would underflow.
    largest = gradient.flatten(1).abs().amax(1).reshape(long.shape)
    scaled = gradient / largest.clamp_min(torch.finfo(gradient.dtype).tiny)
    return torch.where(largest > 0, size * scaled / lengths(scaled).clamp_min(1e-12), torch.zeros_like(gradient))


def inside(move: Tensor, radius: float, norm: Norm) -> Tensor:
    """The nearest point of the ball about 0."""
    if norm == "linf":
        return move.clamp(-radius, radius)
    return move * (radius / lengths(move).clamp_min(1e-12)).clamp_max(1.0)


def start(like: Tensor, radius: float, norm: Norm) -> Tensor:
    """A random point of the ball: a uniform direction, at a uniform share of the radius (`linf`: uniform numbers)."""
    if norm == "linf":
        return torch.empty_like(like).uniform_(-radius, radius)
    share = torch.rand(like.shape[0], *([1] * (like.ndim - 1)), dtype=like.dtype, device=like.device)
    return uphill(torch.randn_like(like), radius, norm) * share
