"""`ft_transformer`: every column a token, a transformer over them, the answer read from one more token
(Gorishniy, Rubachev, Khrulkov & Babenko 2021, "Revisiting Deep Learning Models for Tabular Data").

Spec: `{"kind": "ft_transformer", "num_numbers": N, "sizes": [codes of each category], "num_outputs": C, "width": D,
"layers": L, "heads": H, "hidden": F}`; `dropout` (attention) and `hidden_dropout` apply in training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modelyard.methods.networks.table_linear import starts_of


class Tokens(nn.Module):
    """A number times a vector plus a bias; a category's row plus a bias; the answer's token first."""

    starts: Tensor

    def __init__(self, num_numbers: int, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        self.numbers = nn.Parameter(torch.empty(num_numbers, width))
        self.rows = nn.Parameter(torch.empty(max(1, sum(sizes)), width))
        self.answer = nn.Parameter(torch.empty(1, width))
        self.bias = nn.Parameter(torch.empty(num_numbers + len(sizes), width))
        bound = 1 / math.sqrt(width)
        for parameter in (self.numbers, self.rows, self.answer, self.bias):
            nn.init.uniform_(parameter, -bound, bound)
        self.register_buffer("starts", starts_of(sizes), persistent=False)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """[B, N] and [B, K] to [B, 1 + N + K, D]."""
        of_numbers_BND = numbers.unsqueeze(-1) * self.numbers
        of_categories_BKD = nn.functional.embedding(categories + self.starts, self.rows)
        columns_BTD = torch.cat([of_numbers_BND, of_categories_BKD], 1) + self.bias
        return torch.cat([self.answer.expand(len(numbers), 1, -1), columns_BTD], 1)


class Block(nn.Module):
    """Attention and a ReGLU layer, each on the normalised stream. The first block's attention is not normalised, and
    the last one only computes the answer's token."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float, hidden_dropout: float, first: bool) -> None:
        super().__init__()
        self.before_attention = nn.Identity() if first else nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.before_hidden = nn.LayerNorm(width)
        self.enter = nn.Linear(width, 2 * hidden)
        self.leave = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(hidden_dropout)

    def forward(self, tokens: Tensor, last: bool) -> Tensor:
        """[B, T, D] to the same, or to [B, 1, D] if it is the last."""
        normal_BTD = self.before_attention(tokens)
        query = normal_BTD[:, :1] if last else normal_BTD
        mixed, _ = self.attention(query, normal_BTD, normal_BTD, need_weights=False)
        x_BTD = (tokens[:, :1] if last else tokens) + mixed
        left, right = self.enter(self.before_hidden(x_BTD)).chunk(2, -1)
        result: Tensor = x_BTD + self.leave(self.dropout(left * torch.relu(right)))
        return result


class FtTransformer(nn.Module):
    """Tokens, blocks, and LayerNorm, ReLU, linear layer on the answer's token."""

    input_names = ("numbers", "categories")

    def __init__(
        self,
        num_numbers: int,
        sizes: Sequence[int],
        num_outputs: int,
        width: int,
        layers: int,
        heads: int,
        hidden: int,
        dropout: float,
        hidden_dropout: float,
    ) -> None:
        super().__init__()
        self.tokens = Tokens(num_numbers, sizes, width)
        self.blocks = nn.ModuleList(
            Block(width, heads, hidden, dropout, hidden_dropout, first=place == 0) for place in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_outputs)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """[B, N] float32 and [B, K] int64 codes to [B, C]."""
        x_BTD = self.tokens(numbers, categories)
        for place, block in enumerate(self.blocks):
            x_BTD = block(x_BTD, last=place == len(self.blocks) - 1)
        outputs: Tensor = self.head(torch.relu(self.norm(x_BTD[:, 0])))
        return outputs.float()


def build(spec: Mapping[str, Any]) -> FtTransformer:
    return FtTransformer(
        int(spec["num_numbers"]),
        [int(size) for size in spec["sizes"]],
        int(spec["num_outputs"]),
        int(spec["width"]),
        int(spec["layers"]),
        int(spec["heads"]),
        int(spec["hidden"]),
        float(spec.get("dropout", 0.0)),
        float(spec.get("hidden_dropout", 0.0)),
    )
