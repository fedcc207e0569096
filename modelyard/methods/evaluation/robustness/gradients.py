"""Attacks with the model's own gradients on its continuous inputs: pixels, embeddings, numbers.

FGSM (Goodfellow et al. 2015) takes one step of the whole radius, PGD (Madry et al. 2018) many small ones from a random
start inside the ball and keeps the worst point; L∞ or L2. A row is one vector: the radius of L2 is of all its numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelyard.methods.data.row_random import generator
from modelyard.methods.runtimes.batching import Arrays

Norm = Literal["l2", "linf"]
Bools = NDArray[np.bool_]


class Model(Protocol):
    """What is attacked: `Differentiable`, or the same in other units."""

    def encode(self, records: Sequence[Any]) -> Arrays: ...

    def embed(self, arrays: Arrays) -> dict[str, Tensor]: ...

    def logits(self, arrays: Arrays, leaves: Mapping[str, Tensor] | None = None) -> Tensor: ...


STEP = 2.5
"""Of PGD: 2.5 · radius / steps, so that it can reach any point of the ball (Madry et al. 2018)."""


@dataclass(frozen=True)
class Ball:
    """Where an attack may go.

    Attributes:
        radius: in the units of the leaf, the same for every number.
        low, high: ends of the leaf's numbers (pixels: black and white as the network reads them); None: none.
    """

    radius: float
    norm: Norm = "linf"
    low: Tensor | float | None = None
    high: Tensor | float | None = None

    def project(self, start: Tensor, point: Tensor) -> Tensor:
        """The nearest point that is allowed."""
        move = point - start
        if self.norm == "linf":
            move = move.clamp(-self.radius, self.radius)
        else:
            move = move * (self.radius / _lengths(move).clamp_min(1e-12)).clamp_max(1.0)
        found = start + move
        if self.low is not None:
            found = torch.maximum(found, torch.as_tensor(self.low, dtype=found.dtype))
        if self.high is not None:
            found = torch.minimum(found, torch.as_tensor(self.high, dtype=found.dtype))
        return found

    def uphill(self, gradient: Tensor, size: float) -> Tensor:
        """The step of that size along which the loss grows most."""
        if self.norm == "linf":
            return size * gradient.sign()
        return size * gradient / _lengths(gradient).clamp_min(torch.finfo(gradient.dtype).tiny)


@dataclass(frozen=True)
class Attacked:
    """What an attack came to.

    Attributes:
        right: [n] rows still answered rightly at the worst point found.
        losses: [n] at that point.
        gradients: [n] the largest absolute number of the gradient at the row itself.
    """

    right: Bools
    losses: NDArray[np.float64]
    gradients: NDArray[np.float64]


def loss_and_gradient(
    model: Model, arrays: Arrays, leaves: Mapping[str, Tensor], labels: Tensor, name: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits [B, C], cross-entropy [B] and its gradient by one leaf."""
    asked = {key: leaf.detach().requires_grad_(key == name) for key, leaf in leaves.items()}
    logits = model.logits(arrays, asked)
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    (gradient,) = torch.autograd.grad(losses.sum(), asked[name])
    return logits.detach(), losses.detach(), gradient


def attack(
    model: Model,
    records: Sequence[Any],
    row_ids: Sequence[str],
    labels: NDArray[np.int64],
    leaf: str,
    ball: Ball,
    steps: int,
    seed: int = 0,
) -> Attacked:
    """Attack a batch of rows. One step is FGSM: no random start, the whole radius at once.

    Args:
        leaf: what moves; it must be one of the model's.
        labels: [n] right answers.
        steps: 1 for FGSM.
    """
    arrays = model.encode(records)
    leaves: dict[str, Tensor] = dict(model.embed(arrays))
    wanted = torch.from_numpy(labels)
    start = leaves[leaf].detach()
    free = movable(arrays, start, leaf)
    logits, worst, gradient = loss_and_gradient(model, arrays, leaves, wanted, leaf)
    first = gradient.flatten(1).abs().amax(1)
    right = logits.argmax(1) == wanted
    size = ball.radius if steps == 1 else STEP * ball.radius / steps
    point = start if steps == 1 else ball.project(start, start + free * random_start(start, ball, row_ids, seed))
    for step in range(steps):
        if step or steps > 1:
            _, _, gradient = loss_and_gradient(model, arrays, {**leaves, leaf: point}, wanted, leaf)
        point = ball.project(start, point + free * ball.uphill(gradient * free, size))
        with torch.no_grad():
            logits = model.logits(arrays, {**leaves, leaf: point})
            losses = torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
        right &= logits.argmax(1) == wanted
        worst = torch.maximum(worst, losses)
    return Attacked(right.numpy(), worst.double().numpy(), first.double().numpy())


def movable(arrays: Arrays, start: Tensor, leaf: str) -> Tensor:
    """1 where the leaf may move: not in padding."""
    mask = arrays.get("attention_mask")
    if leaf != "tokens" or mask is None:
        return torch.ones(1)
    return torch.from_numpy(np.asarray(mask)).unsqueeze(-1).to(start.dtype)


def random_start(like: Tensor, ball: Ball, row_ids: Sequence[str], seed: int) -> Tensor:
    """A start inside the ball, of each row's own draws."""
    rows = [generator(seed, "attack", row_id).uniform(-1, 1, size=like.shape[1:]) for row_id in row_ids]
    found = torch.from_numpy(np.stack(rows)).to(like.dtype)
    return ball.radius * found if ball.norm == "linf" else ball.radius * found / _lengths(found).clamp_min(1.0)


def _lengths(move: Tensor) -> Tensor:
    long: Tensor = move.flatten(1).norm(dim=1)
    return long.reshape(-1, *([1] * (move.ndim - 1)))
