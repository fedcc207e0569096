"""What a language model costs to train, from its shape alone: operations a token, bytes of its state.

Every matrix multiplication does 2 operations a weight and token, attention 4 a token, unit and token looked at (scores,
then values); the way back does each twice more: 6 N + 12 L H Q T in all (Chowdhery et al. 2022, PaLM, appendix B, where
N counts the weights of matrices). Attention is counted whole, as that convention does, although half of it is masked.
Norms, activations and sums are left out: they are bytes moved, not arithmetic. Works on the device `meta`: no weight is
made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

PASSES = 3
"""Forward, gradients of inputs, gradients of weights: each as dear as the first."""


@dataclass(frozen=True)
class Cost:
    """Of training all weights with AdamW.

    Attributes:
        weights: numbers; shared ones once.
        operations: floating-point operations a token of training.
        state_bytes: weights, gradients and the two moments of AdamW in fp32, without activations.
    """

    weights: int
    operations: float
    state_bytes: int

    def utilization(self, tokens_per_second: float, peak: float) -> float:
        """Model FLOPs utilization: what was computed over what the device could compute in that time.

        Args:
            peak: operations a second, of the number format that is multiplied.
        """
        return self.operations * tokens_per_second / peak


def cost(model: Any, context: int) -> Cost:
    """Of a causal language model of transformers that reads lines of `context` tokens."""
    weights = sum(parameter.numel() for parameter in model.parameters())
    return Cost(weights, PASSES * forward_operations(model, context), 16 * weights)


def forward_operations(model: Any, context: int) -> float:
    """Operations of a token's forward pass, its logits included."""
    from transformers.pytorch_utils import Conv1D

    matrices = sum(part.weight.numel() for part in model.modules() if isinstance(part, torch.nn.Linear | Conv1D))
    config = model.config
    heads = int(config.num_attention_heads)
    width = heads * int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    return float(2 * matrices + 4 * int(config.num_hidden_layers) * width * context)
