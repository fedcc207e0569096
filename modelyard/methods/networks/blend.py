"""`blend`: several networks answer together. The logits are the weighted sum of the children's logits, which is the
logarithmic opinion pool of their probabilities (Genest & Zidek 1986): softmax of the sum is the normalised product of
the children's probabilities, each to the power of its weight. Weights need not sum to 1: their sum is a temperature.

Spec: `{"kind": "blend", "children": [{"kind": …}, …], "weights": [0.6, 0.8]}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

INPUT_NAMES = ("ngram_ids", "ngram_weights", "input_ids", "attention_mask")
"""Every array a child may take, in the order of `Blend.forward`."""


class Blend(nn.Module):
    """Children side by side; each takes the inputs it names."""

    weights: Tensor

    def __init__(self, children: Sequence[nn.Module], weights: Sequence[float]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(children)
        self.register_buffer("weights", torch.tensor([float(weight) for weight in weights]), persistent=False)
        taken = {name for child in children for name in _input_names(child)}
        self.input_names = tuple(name for name in INPUT_NAMES if name in taken)

    def forward(
        self,
        ngram_ids: Tensor | None = None,
        ngram_weights: Tensor | None = None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """The arrays of all children to logits [B, C]. (A fixed signature, since exporters trace it.)"""
        given = dict(zip(INPUT_NAMES, (ngram_ids, ngram_weights, input_ids, attention_mask), strict=True))
        answers = []
        for position, child in enumerate(self.networks):
            logits = child(**{name: given[name] for name in _input_names(child)})
            answers.append(self.weights[position] * logits)
        return torch.stack(answers).sum(0)


def _input_names(network: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = network.input_names
    return names
