"""`dcn`: explicit crosses of embeddings beside hidden layers (Wang et al. 2021, "DCN V2"), parallel, low-rank:

    x_{l+1} = x_0 * (U_l V_l' x_l + b_l) + x_l

with `*` element by element and U, V of `rank` columns.

Spec: `{"kind": "dcn", "num_numbers": N, "sizes": [codes of each category], "num_ids": I, "num_outputs": C, "width": D,
"crosses": L, "rank": R, "hidden": [sizes of the hidden layers]}`; `dropout` applies in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modelyard.methods.networks.codes import Answer, Codes, hidden_layers

DEVIATION = 0.05
"""Of the first embeddings."""


class Cross(nn.Module):
    """One cross: `enter` is V, `leave` is U with the bias."""

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.enter = nn.Linear(width, rank, bias=False)
        self.leave = nn.Linear(rank, width)

    def forward(self, first: Tensor, now: Tensor) -> Tensor:
        """x_0 and x_l, [B, M], to x_{l+1}."""
        result: Tensor = first * self.leave(self.enter(now)) + now
        return result


class Dcn(nn.Module):
    """Crosses and hidden layers side by side, one linear head on both."""

    input_names = ("numbers", "categories")

    def __init__(
        self,
        num_numbers: int,
        sizes: Sequence[int],
        num_ids: int,
        num_outputs: int,
        width: int,
        crosses: int,
        rank: int,
        hidden: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.answer = Answer(num_outputs)
        self.codes = Codes(sizes, num_ids, width, DEVIATION)
        inputs = len(sizes) * width + num_numbers
        self.crosses = nn.ModuleList(Cross(inputs, min(rank, inputs)) for _ in range(crosses))
        self.hidden = hidden_layers(inputs, hidden, dropout)
        self.head = nn.Linear(inputs + (hidden[-1] if hidden else 0), self.answer.width)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """[B, N] float32 and [B, K] int64 codes to [B, C]."""
        of_codes_BKD = self.codes(categories)
        first_BM = torch.cat([of_codes_BKD.flatten(1), numbers], 1)
        x_BM = first_BM
        for cross in self.crosses:
            x_BM = cross(first_BM, x_BM)
        both = torch.cat([x_BM, self.hidden(first_BM)], 1) if len(self.hidden) else x_BM
        outputs: Tensor = self.answer(self.head(both))
        return outputs

    def squares(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """[B] of everything a row looks up; for the penalty."""
        return self.codes.squares(categories)


def build(spec: Mapping[str, Any]) -> Dcn:
    return Dcn(
        int(spec["num_numbers"]),
        [int(size) for size in spec["sizes"]],
        int(spec["num_ids"]),
        int(spec["num_outputs"]),
        int(spec["width"]),
        int(spec["crosses"]),
        int(spec["rank"]),
        [int(size) for size in spec["hidden"]],
        float(spec.get("dropout", 0.0)),
    )
