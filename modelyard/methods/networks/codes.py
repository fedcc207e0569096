"""What the networks of recommenders share: the look-up of codes, the answer, hidden layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from modelyard.methods.networks.table_linear import starts_of

FARTHEST = float(torch.finfo(torch.float32).max)


class Codes(nn.Module):
    """One row of a table for each code. The first `num_ids` columns are users and items: nothing there (code 0) is
    read as somebody unknown (code 1), whose row is learned."""

    starts: Tensor
    floors: Tensor

    def __init__(self, sizes: Sequence[int], num_ids: int, width: int, deviation: float) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.empty(max(1, sum(sizes)), width))
        nn.init.normal_(self.rows, std=deviation)
        self.register_buffer("starts", starts_of(sizes), persistent=False)
        floors = [int(place < num_ids) for place in range(len(sizes))]
        self.register_buffer("floors", torch.tensor(floors, dtype=torch.int64), persistent=False)

    def forward(self, categories: Tensor) -> Tensor:
        """[B, K] codes to [B, K, D]."""
        return nn.functional.embedding(torch.maximum(categories, self.floors) + self.starts, self.rows)

    def squares(self, categories: Tensor) -> Tensor:
        """[B] the sum of squares of what a row of the data looks up: a penalty on it shrinks every code as often as
        it is learned from, rare ones less than weight decay does."""
        looked_up: Tensor = self(categories)
        return looked_up.square().sum((1, 2))


def squares_of_numbers(numbers: Tensor, weights: Tensor) -> Tensor:
    """[B] the same of numbers [B, N] times their weights [N, D]."""
    return numbers.square() @ weights.square().sum(1)


class Wide(nn.Module):
    """The linear part: a bias, a row of weights for each code, a weight for each number."""

    def __init__(self, num_numbers: int, sizes: Sequence[int], num_ids: int, width: int) -> None:
        super().__init__()
        self.codes = Codes(sizes, num_ids, width, 0.0)
        self.numbers = nn.Parameter(torch.zeros(num_numbers, width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """[B, C]."""
        result: Tensor = numbers @ self.numbers + self.codes(categories).sum(1) + self.bias
        return result

    def squares(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """[B] of the weights a row uses."""
        return self.codes.squares(categories) + squares_of_numbers(numbers, self.numbers)


class Answer(nn.Module):
    """From what a network computes to what it says: a quantity in its own unit, kept between the least and the most
    that training saw; two classes from one logit; or a logit for each class."""

    scale: Tensor
    shift: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.num_outputs = num_outputs
        if num_outputs == 1:
            for name, value in (("scale", 1.0), ("shift", 0.0), ("low", -FARTHEST), ("high", FARTHEST)):
                self.register_buffer(name, torch.tensor(value))

    @property
    def width(self) -> int:
        """Numbers a row that `forward` takes."""
        return 1 if self.num_outputs == 2 else self.num_outputs

    def forward(self, raw: Tensor) -> Tensor:
        """[B, width] to [B, outputs]. Bounds hold for answers only: in training they would stop gradients."""
        if self.num_outputs == 2:
            return torch.cat([torch.zeros_like(raw), raw], 1).float()
        if self.num_outputs > 2:
            return raw.float()
        value = raw.float() * self.scale + self.shift
        return value if self.training else torch.minimum(torch.maximum(value, self.low), self.high)

    def measure(self, shift: float, scale: float, low: float, high: float) -> None:
        """The unit of a quantity, and its bounds."""
        for name, value in (("scale", scale), ("shift", shift), ("low", low), ("high", high)):
            getattr(self, name).fill_(value)


def hidden_layers(width: int, sizes: Sequence[int], dropout: float) -> nn.Sequential:
    """Linear, ReLU and dropout for each size."""
    layers: list[nn.Module] = []
    for size in sizes:
        layers += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(dropout)]
        width = size
    return nn.Sequential(*layers)
