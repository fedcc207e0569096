"""What is minimised: cross-entropy and focal loss with label smoothing and class weights; penalties on matrices."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelyard.methods.training.settings import ClassWeights


def class_weights(labels: NDArray[np.int64], num_classes: int, how: ClassWeights) -> NDArray[np.float32]:
    """[classes] weights of the rows of each class; `balanced` is rows / (classes · rows of the class), as in
    scikit-learn (King & Zeng 2001)."""
    if how == "none":
        return np.ones(num_classes, np.float32)
    counts = np.bincount(labels, minlength=num_classes)
    return (len(labels) / (num_classes * np.maximum(counts, 1))).astype(np.float32)


def cross_entropy(logits: Tensor, labels: Tensor, row_weights: Tensor, smoothing: float) -> Tensor:
    """Sum over rows of the weighted loss; divide by the sum of the rows' weights for the mean.

    A sum, so that several small batches add up to exactly one large one whatever their sizes are.

    Args:
        logits: [B, C].
        labels: [B] int64.
        row_weights: [B].
        smoothing: share of the target spread evenly (Szegedy et al. 2016); the row's own weight applies to all of it.
    """
    log_probabilities = torch.log_softmax(logits.float(), 1)
    of_label = log_probabilities.gather(1, labels.unsqueeze(1)).squeeze(1)
    target = (1 - smoothing) * of_label + smoothing * log_probabilities.mean(1)
    return -(row_weights * target).sum()


def soft_cross_entropy(logits: Tensor, shares: Tensor, row_weights: Tensor, smoothing: float) -> Tensor:
    """As `cross_entropy`, with a share for each class instead of one label (Peterson et al. 2019, human uncertainty).

    Args:
        logits: [B, C].
        shares: [B, C], rows sum to 1.
        row_weights: [B].
        smoothing: share of the target spread evenly.
    """
    log_probabilities = torch.log_softmax(logits.float(), 1)
    target = (1 - smoothing) * (shares * log_probabilities).sum(1) + smoothing * log_probabilities.mean(1)
    return -(row_weights * target).sum()


def focal(logits: Tensor, shares: Tensor, row_weights: Tensor, smoothing: float, gamma: float) -> Tensor:
    """Focal loss (Lin et al. 2017): −Σ q (1 − p)^γ log p over classes, q the smoothed target, summed over rows.

    For one label without smoothing that is −(1 − p)^γ log p of the label; γ = 0 is `soft_cross_entropy`.

    Args:
        logits: [B, C].
        shares: [B, C], rows sum to 1.
        row_weights: [B], the paper's α among them.
    """
    log_p_BC = torch.log_softmax(logits.float(), 1)
    target_BC = (1 - smoothing) * shares + smoothing / logits.shape[1]
    # From -log_p, not 1 - p: exact where p is nearly 1.
    modulation_BC = (-torch.expm1(log_p_BC)).clamp_min(torch.finfo(torch.float32).tiny) ** gamma
    return -(row_weights * (target_BC * modulation_BC * log_p_BC).sum(1)).sum()


def penalty(module: torch.nn.Module, l1: float, l2: float) -> Tensor | float:
    """l1 times the sum of absolute values plus l2 / 2 times the sum of squares, of all trained matrices."""
    total: Tensor | float = l1 * l1_penalty(module) if l1 else 0.0
    return total + l2 / 2 * l2_penalty(module) if l2 else total


def l2_penalty(module: torch.nn.Module) -> Tensor:
    """Sum of squares of all trained matrices (biases and norms are spared)."""
    parts = [
        parameter.square().sum() for parameter in module.parameters() if parameter.requires_grad and parameter.ndim > 1
    ]
    return torch.stack(parts).sum()


def l1_penalty(module: torch.nn.Module) -> Tensor:
    """Sum of absolute values of all trained matrices (biases and norms are spared)."""
    parts = [
        parameter.abs().sum() for parameter in module.parameters() if parameter.requires_grad and parameter.ndim > 1
    ]
    return torch.stack(parts).sum()
