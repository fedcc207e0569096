"""`linear`: logits are the weighted sum of one row of a table for each n-gram, and a bias.

The same function as a sparse matrix times a dense one, written as gather, multiply and sum, which every export format
has. Id 0 is padding: it weighs 0. Spec: `{"kind": "linear", "num_features": V, "num_labels": C}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """Weight [features, classes], bias [classes]."""

    input_names = ("ngram_ids", "ngram_weights")

    def __init__(self, num_features: int, num_labels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_features, num_labels))
        self.bias = nn.Parameter(torch.zeros(num_labels))

    def forward(self, ngram_ids: Tensor, ngram_weights: Tensor) -> Tensor:
        """[B, K] int64 ids and [B, K] float32 weights to logits [B, C]."""
        rows_BKC = nn.functional.embedding(ngram_ids, self.weight)
        return (rows_BKC * ngram_weights.unsqueeze(-1)).sum(1) + self.bias


def build(spec: Mapping[str, Any]) -> Linear:
    return Linear(int(spec["num_features"]), int(spec["num_labels"]))
