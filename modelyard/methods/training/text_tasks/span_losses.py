"""What is minimised of the tags of tokens: the path's likelihood under a chain, or each token's cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from modelyard.methods.tasks import tags
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.microbatches import ByRow
from modelyard.methods.training.text_tasks.span_rows import IGNORED

FORBIDDEN = -1e4
"""A transition that no valid path takes."""


class Chained(nn.Module):
    """A network that scores tags, and learned scores of one tag after another."""

    follows: Tensor

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.transitions = nn.Parameter(torch.zeros(len(names), len(names)))
        self.register_buffer("follows", torch.from_numpy(tags.allowed(names)[1]), persistent=False)

    def forward(self, **inputs: Tensor) -> Any:
        return self.network(**inputs)

    def moves(self) -> Tensor:
        """[T, T] from row to column; what no valid path takes is far below all others."""
        return torch.where(self.follows, self.transitions.float(), FORBIDDEN)


@dataclass(frozen=True)
class ChainLoss(ByRow):
    """Minus the log-likelihood of each row's path under a linear-chain CRF (Lafferty et al. 2001), summed.

    A row may begin with any tag: windows of long texts do.

    Attributes:
        prefix: special tokens before the text.
    """

    prefix: int

    def __call__(self, module: Any, batch: Batch) -> Tensor:
        output: Any = module(**batch.inputs)
        scores = output if isinstance(output, Tensor) else output.logits
        loss = self.of(scores, batch.targets["tags"], module.moves())
        return (batch.targets["weights"] * loss).sum()

    def of(self, scores: Tensor, goal: Tensor, moves: Tensor) -> Tensor:
        """[B] losses of scores [B, L, T] beside tags [B, L]."""
        x_BLT, goal_BL = scores[:, self.prefix :].float(), goal[:, self.prefix :]
        real_BL = goal_BL != IGNORED
        tag_BL = goal_BL.clamp_min(0)
        taken = (x_BLT.gather(2, tag_BL.unsqueeze(2)).squeeze(2) * real_BL).sum(1)
        taken = taken + (moves[tag_BL[:, :-1], tag_BL[:, 1:]] * real_BL[:, 1:]).sum(1)
        sums_BT = x_BLT[:, 0]
        for place in range(1, x_BLT.shape[1]):
            onward = torch.logsumexp(sums_BT.unsqueeze(2) + moves, 1) + x_BLT[:, place]
            sums_BT = torch.where(real_BL[:, place, None], onward, sums_BT)
        return torch.logsumexp(sums_BT, 1) - taken


@dataclass(frozen=True)
class TokenCrossEntropy(ByRow):
    """Cross-entropy of each token's tag with label smoothing, weighted by row and summed."""

    smoothing: float = 0.0

    def __call__(self, module: nn.Module, batch: Batch) -> Tensor:
        output: Any = module(**batch.inputs)
        scores = output if isinstance(output, Tensor) else output.logits
        return (batch.targets["weights"] * self.of(scores, batch.targets["tags"])).sum()

    def of(self, scores: Tensor, goal: Tensor) -> Tensor:
        """[B] losses of scores [B, L, T] beside tags [B, L]."""
        return nn.functional.cross_entropy(
            scores.float().transpose(1, 2),
            goal,
            ignore_index=IGNORED,
            reduction="none",
            label_smoothing=self.smoothing,
        ).sum(1)


def transitions_of(module: nn.Module) -> NDArray[np.float64] | None:
    """The learned scores of one tag after another, as they are saved."""
    if not isinstance(module, Chained):
        return None
    return np.round(module.transitions.detach().cpu().double().numpy(), 6)
