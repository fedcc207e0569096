"""`wide_deep`: a linear part that remembers and hidden layers on embeddings that generalise, added up (Cheng et al.
2016, "Wide & Deep Learning for Recommender Systems"; the wide part has no crossed columns).

Spec: `{"kind": "wide_deep", "num_numbers": N, "sizes": [codes of each category], "num_ids": I, "num_outputs": C,
"width": D, "hidden": [sizes of the hidden layers]}`; `dropout` applies in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modelyard.methods.networks.codes import Answer, Codes, Wide, hidden_layers

DEVIATION = 0.05
"""Of the first embeddings."""


class WideDeep(nn.Module):
    """`wide` + `head(hidden([embeddings, numbers]))`."""

    input_names = ("numbers", "categories")

    def __init__(
        self,
        num_numbers: int,
        sizes: Sequence[int],
        num_ids: int,
        num_outputs: int,
        width: int,
        hidden: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.answer = Answer(num_outputs)
        self.wide = Wide(num_numbers, sizes, num_ids, self.answer.width)
        self.codes = Codes(sizes, num_ids, width, DEVIATION)
        inputs = len(sizes) * width + num_numbers
        self.hidden = hidden_layers(inputs, hidden, dropout)
        self.head = nn.Linear(hidden[-1] if hidden else inputs, self.answer.width)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """[B, N] float32 and [B, K] int64 codes to [B, C]."""
        linear = self.wide(numbers, categories)
        of_codes_BKD = self.codes(categories)
        inputs_BM = torch.cat([of_codes_BKD.flatten(1), numbers], 1)
        outputs: Tensor = self.answer(linear + self.head(self.hidden(inputs_BM)))
        return outputs

    def squares(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """[B] of everything a row looks up; for the penalty."""
        return self.wide.squares(numbers, categories) + self.codes.squares(categories)


def build(spec: Mapping[str, Any]) -> WideDeep:
    return WideDeep(
        int(spec["num_numbers"]),
        [int(size) for size in spec["sizes"]],
        int(spec["num_ids"]),
        int(spec["num_outputs"]),
        int(spec["width"]),
        [int(size) for size in spec["hidden"]],
        float(spec.get("dropout", 0.0)),
    )
