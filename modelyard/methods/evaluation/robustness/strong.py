"""The attacks of AutoAttack (Croce and Hein 2020): APGD with two losses, and Square, which needs no gradient.

APGD halves its step by itself where the loss no longer grows and goes back to the best point; with the difference of
logits ratio (DLR) it does not stall where logits are so large that the cross-entropy has no gradient left. Square
(Andriushchenko et al. 2020) sets random squares of pixels to the edge of the L∞ ball and keeps what lowers the margin:
where it does more harm than the gradient, the gradient is masked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelyard.methods.data.row_random import generator
from modelyard.methods.evaluation.robustness.gradients import Ball, Bools, Model, movable, random_start

Loss = Literal["ce", "dlr"]
MOMENTUM, ENOUGH = 0.75, 0.75
"""α and ρ of the paper: weight of the new step; share of steps that must raise the loss for the step to stay."""
STRIPES = 0.8
"""Square: share of the pixels that a square covers at first."""
HALVED_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Of 10,000 queries: where that share is halved."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(logits, labels, reduction="none")


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """[B] the logit of the label less the largest other one: below 0 the answer is wrong."""
    own = logits.gather(1, labels[:, None]).squeeze(1)
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return own - others.amax(1)


def logit_ratio(logits: Tensor, labels: Tensor) -> Tensor:
    """[B] DLR: -(z_y - max z_i) / (z_(1) - z_(3)), which does not change when logits are scaled.

    Two classes have no third logit: there it is the margin, which has a gradient however large the logits are.
    """
    if logits.shape[1] < 3:
        return -margin(logits, labels)
    top = logits.topk(3, dim=1).values
    return -margin(logits, labels) / (top[:, 0] - top[:, 2]).clamp_min(1e-12)


LOSSES: Mapping[Loss, Callable[[Tensor, Tensor], Tensor]] = {"ce": cross_entropy, "dlr": logit_ratio}


def apgd(
    model: Model,
    records: Sequence[Any],
    row_ids: Sequence[str],
    labels: NDArray[np.int64],
    leaf: str,
    ball: Ball,
    steps: int,
    loss: Loss,
    seed: int = 0,
) -> Bools:
    """Whether each row is right at every point that APGD visits [n]."""
    arrays, wanted = model.encode(records), torch.from_numpy(labels)
    leaves: dict[str, Tensor] = dict(model.embed(arrays))
    start = leaves[leaf].detach()
    free = movable(arrays, start, leaf)

    def look(point: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Losses, gradient, and which rows are right."""
        asked = point.detach().requires_grad_(True)
        logits = model.logits(arrays, {**leaves, leaf: asked})
        losses = LOSSES[loss](logits, wanted)
        (gradient,) = torch.autograd.grad(losses.sum(), asked)
        return losses.detach(), gradient * free, logits.detach().argmax(1) == wanted

    row = (-1, *([1] * (start.ndim - 1)))
    point = ball.project(start, start + free * random_start(start, ball, row_ids, seed))
    losses, gradient, right = look(point)
    best, best_losses, best_gradient = point, losses, gradient
    size = torch.full((len(start),), 2 * ball.radius, dtype=start.dtype)
    before, marks, last = point, checkpoints(steps), 0
    rose = torch.zeros(len(start))
    best_then, size_then = best_losses, size
    for step in range(1, steps + 1):
        ahead = ball.project(start, point + free * size.reshape(row) * ball.uphill(gradient, 1.0))
        moved = ahead if step == 1 else point + MOMENTUM * (ahead - point) + (1 - MOMENTUM) * (point - before)
        before, point = point, ball.project(start, moved)
        earlier = losses
        losses, gradient, is_right = look(point)
        right &= is_right
        rose += losses > earlier
        better = losses > best_losses
        best = torch.where(better.reshape(row), point, best)
        best_gradient = torch.where(better.reshape(row), gradient, best_gradient)
        best_losses = torch.maximum(losses, best_losses)
        if step in marks:
            stuck = (size_then == size) & (best_then == best_losses)
            halve = (rose < ENOUGH * (step - last)) | stuck
            best_then, size_then = best_losses, size
            size = torch.where(halve, size / 2, size)
            point = torch.where(halve.reshape(row), best, point)
            gradient = torch.where(halve.reshape(row), best_gradient, gradient)
            losses = torch.where(halve, best_losses, losses)
            last, rose = step, torch.zeros(len(start))
    return np.asarray(right.numpy())


def checkpoints(steps: int) -> set[int]:
    """Steps after which the size is looked at: p_0 = 0, p_1 = 0.22, each interval 0.03 shorter, at least 0.06."""
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return {math.ceil(round(share * steps, 9)) for share in shares[1:] if share <= 1}


def square(
    model: Model,
    records: Sequence[Any],
    row_ids: Sequence[str],
    labels: NDArray[np.int64],
    leaf: str,
    ball: Ball,
    queries: int,
    seed: int = 0,
) -> Bools:
    """Whether each row is right after so many queries [n]: pixels [C, H, W], L∞."""
    arrays, wanted = model.encode(records), torch.from_numpy(labels)
    leaves: dict[str, Tensor] = dict(model.embed(arrays))
    start = leaves[leaf].detach()
    draws = [generator(seed, "square", row_id) for row_id in row_ids]
    _, channels, height, width = start.shape

    def look(points: Tensor) -> Tensor:
        with torch.no_grad():
            return margin(model.logits(arrays, {**leaves, leaf: points}), wanted)

    least = look(start)
    stripes = np.stack([draw.choice((-1.0, 1.0), size=(channels, 1, width)) for draw in draws])
    moved = ball.project(start, start + ball.radius * torch.from_numpy(stripes).to(start.dtype))
    found = look(moved)
    point = torch.where((found < least).reshape(-1, 1, 1, 1), moved, start)
    least = torch.minimum(least, found)
    for query in range(queries):
        if bool((least < 0).all()):
            break
        side = side_at(query, queries, height, width)
        moved = point.clone()
        for place, draw in enumerate(draws):
            down, across = int(draw.integers(height - side + 1)), int(draw.integers(width - side + 1))
            signs = torch.from_numpy(draw.choice((-1.0, 1.0), size=(channels, 1, 1))).to(start.dtype)
            part = (place, slice(None), slice(down, down + side), slice(across, across + side))
            moved[part] = start[part] + ball.radius * signs
        moved = ball.project(start, moved)
        found = look(moved)
        point = torch.where((found < least).reshape(-1, 1, 1, 1), moved, point)
        least = torch.minimum(least, found)
    return np.asarray((least > 0).numpy())


def side_at(query: int, queries: int, height: int, width: int) -> int:
    """Of the square at a query (pixels): its share of the picture is halved as the queries go on."""
    done = 10_000 * query / queries
    share = STRIPES / 2 ** sum(done > mark for mark in HALVED_AT)
    return min(max(1, round(math.sqrt(share * height * width))), height, width)
