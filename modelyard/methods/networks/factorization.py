"""`factorization`: a factorisation machine (Rendle 2010, "Factorization Machines"). With a user and an item alone it is
matrix factorisation with biases (Koren, Bell & Volinsky 2009).

    y = b + sum_i w_i x_i + sum_{i<j} <v_i, v_j> x_i x_j

where x are the numbers and the ones of the codes that stand in the row; the second sum is computed as half of
(sum of v x) squared minus the sum of (v x) squared. Every class has a machine of its own; two classes need one.

Spec: `{"kind": "factorization", "num_numbers": N, "sizes": [codes of each category], "num_ids": I, "num_outputs": C,
"width": D}`; `dropout` applies to the factors in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modelyard.methods.networks.codes import Answer, Codes, Wide, squares_of_numbers

DEVIATION = 0.1
"""Of the first factors."""


class Factorization(nn.Module):
    """Biases and weights, and a vector for each code and number and class."""

    input_names = ("numbers", "categories")

    def __init__(
        self, num_numbers: int, sizes: Sequence[int], num_ids: int, num_outputs: int, width: int, dropout: float
    ) -> None:
        super().__init__()
        self.answer = Answer(num_outputs)
        self.wide = Wide(num_numbers, sizes, num_ids, self.answer.width)
        self.codes = Codes(sizes, num_ids, self.answer.width * width, DEVIATION)
        self.numbers = nn.Parameter(torch.randn(num_numbers, self.answer.width * width) * DEVIATION)
        self.dropout = nn.Dropout(dropout)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """[B, N] float32 and [B, K] int64 codes to [B, C]."""
        linear = self.wide(numbers, categories)
        of_codes_BKF = self.codes(categories)
        vectors_BJF = torch.cat([of_codes_BKF, numbers.unsqueeze(-1) * self.numbers], 1)
        pairs_BF = self.dropout((vectors_BJF.sum(1).square() - vectors_BJF.square().sum(1)) / 2)
        of_class_BC = pairs_BF.unflatten(1, (self.answer.width, -1)).sum(-1)
        outputs: Tensor = self.answer(linear + of_class_BC)
        return outputs

    def squares(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """[B] of everything a row looks up; for the penalty."""
        own = self.codes.squares(categories) + squares_of_numbers(numbers, self.numbers)
        return self.wide.squares(numbers, categories) + own


def build(spec: Mapping[str, Any]) -> Factorization:
    return Factorization(
        int(spec["num_numbers"]),
        [int(size) for size in spec["sizes"]],
        int(spec["num_ids"]),
        int(spec["num_outputs"]),
        int(spec["width"]),
        float(spec.get("dropout", 0.0)),
    )
