"""Elastic weights of a language model: the Fisher diagonal of its tokens, and springs that hold an adapter's change.

For a line of text the gradient of Σ_t log p(y_t | x_<t) is squared, each y_t drawn from the model itself. The draws are
independent given the text and each term's mean is 0, so that the expectation of the square is the sum of the tokens'
Fisher diagonals: one backward pass a line does for all its tokens. The mean is over tokens, as the loss is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from modelyard.methods.data.row_random import generator
from modelyard.methods.training.hooks import Progress
from modelyard.methods.training.language.documents import Documents
from modelyard.methods.training.language.network import TokenLosses
from modelyard.methods.training.language.objectives import NextToken
from modelyard.methods.training.language.packing import Layout, PackedFeed

NUMBERS = 1 << 24
"""Of probabilities held at a time while labels are drawn."""


def fisher_diagonal(
    losses: TokenLosses,
    documents: Documents,
    context: int,
    num_lines: int,
    seed: int,
    device: torch.device,
    progress: Progress,
) -> dict[str, Tensor]:
    """Mean over tokens of the squared gradient of log p(y | before), one y a token drawn from the model.

    Args:
        num_lines: at most so many documents (pieces of `context` tokens of long ones), in an order by the seed.

    Returns:
        by parameter name of `losses`, like the parameters; weights that no line moves are 0.
    """
    feed = PackedFeed(documents, Layout(context, 1, seed=seed, kind="buckets"), device)
    learned = {name: parameter for name, parameter in losses.named_parameters() if parameter.requires_grad}
    total = {name: torch.zeros_like(parameter) for name, parameter in learned.items()}
    num_tokens, done, count = 0, 0, min(num_lines, feed.num_batches)
    was_training = losses.training
    losses.eval()
    for inputs, name in islice(_lines(feed), num_lines):
        drawn = draw(losses, inputs, seed, name)
        found = torch.autograd.grad(
            losses(**{**inputs, "labels": drawn}).sum(), list(learned.values()), allow_unused=True
        )
        for each, gradient in zip(learned, found, strict=True):
            if gradient is not None:
                total[each] += gradient.square()
        num_tokens, done = num_tokens + len(drawn), done + 1
        if done % 50 == 0:
            progress(done, max(done, count), "rows")
    losses.train(was_training)
    return {name: value / max(num_tokens, 1) for name, value in total.items()}


def _lines(feed: PackedFeed) -> Iterator[tuple[Mapping[str, Tensor], str]]:
    """Inputs of each line that has something to say, and a name for it."""
    for number in range(feed.num_batches):
        for line, part in enumerate(NextToken().split(feed.batch(0, number), 1)):
            if len(part.inputs["labels"]):
                yield part.inputs, f"{number} {line}"


def draw(losses: TokenLosses, inputs: Mapping[str, Tensor], seed: int, name: str) -> Tensor:
    """[targets] tokens by the model's own probabilities, the same for a line whatever was computed before it."""
    others = {key: value for key, value in inputs.items() if key != "labels"}
    uniform = generator(seed, "fisher token", name).random(len(inputs["labels"]))
    found = []
    with torch.no_grad():
        values, head = losses.states(**others)
        rows = max(1, NUMBERS // int(losses.model.config.vocab_size))
        for start in range(0, len(values), rows):
            part = values[start : start + rows]
            logits = part if head is None else head(part)
            sums = logits.double().softmax(1).cumsum(1).cpu().numpy()
            places = uniform[start : start + rows, None] * sums[:, -1:]
            found.append(np.minimum((sums <= places).sum(1), sums.shape[1] - 1))
    return torch.from_numpy(np.concatenate(found)).to(values.device)


@dataclass(frozen=True)
class AdapterSprings:
    """½ Σ F (ΔW)² of what low-rank adapters add to their matrices: the frozen weights are where they rest.

    Attributes:
        stiffness: by the name of a matrix in the module as it was before adapters.
    """

    stiffness: Mapping[str, Tensor]

    def energy(self, module: nn.Module) -> Tensor:
        parts = [
            (self.stiffness[f"{name}.weight"] * layer.get_delta_weight("default").square()).sum()
            for name, layer in _adapted(module)
            if f"{name}.weight" in self.stiffness
        ]
        return torch.stack(parts).sum() / 2


def _adapted(module: nn.Module) -> list[tuple[str, Any]]:
    return [(name, part) for name, part in module.named_modules() if hasattr(part, "get_delta_weight")]
