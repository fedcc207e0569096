"""`table_linear`: weighted numbers plus one row of a table for each category, and a bias.

Spec: `{"kind": "table_linear", "num_numbers": N, "sizes": [codes of each category], "num_outputs": C}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class TableLinear(nn.Module):
    """Weight [numbers, outputs], rows [codes of all categories, outputs], bias [outputs]."""

    input_names = ("numbers", "categories")
    starts: Tensor

    def __init__(self, num_numbers: int, sizes: Sequence[int], num_outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_numbers, num_outputs))
        self.rows = nn.Parameter(torch.zeros(max(1, sum(sizes)), num_outputs))
        self.bias = nn.Parameter(torch.zeros(num_outputs))
        self.register_buffer("starts", starts_of(sizes), persistent=False)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """[B, N] float32 and [B, K] int64 codes to [B, C]."""
        of_codes = nn.functional.embedding(categories + self.starts, self.rows).sum(1)
        return numbers @ self.weight + of_codes + self.bias


def starts_of(sizes: Sequence[int]) -> Tensor:
    """[K] where each category's codes begin when all stand in one table."""
    return torch.tensor([sum(sizes[:place]) for place in range(len(sizes))], dtype=torch.int64)


def build(spec: Mapping[str, Any]) -> TableLinear:
    return TableLinear(int(spec["num_numbers"]), [int(size) for size in spec["sizes"]], int(spec["num_outputs"]))
