"""Merging weights: several models of one architecture become one of the same size.

| method | source |
|---|---|
| mean | "Model soups", Wortsman et al. 2022 |
| task arithmetic | base + scale · Σ (model - base), Ilharco et al. 2023 |
| ties | Yadav et al. 2023: of every difference to the base the largest share is kept, each weight gets the sign that |
|  | weighs more, and the mean of those that have it |
| slerp | Shoemake 1985: along the arc between two, tensor by tensor |

Tensors are by name; sums are in double precision and come back in the tensor's own type. Tensors that are no floating
numbers are the first model's (they are equal in all).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]
PARALLEL = 1 - 1e-6
"""Of a cosine: beyond it the arc is a line."""


def mean(models: Sequence[Tensors], weights: Sequence[float] | None = None) -> dict[str, Tensor]:
    """The weighted mean of every tensor; equal weights by default. Weights sum to 1."""
    shares = weights or [1 / len(models)] * len(models)
    return _each(models, lambda parts: _sum(shares, parts))


def task_arithmetic(base: Tensors, models: Sequence[Tensors], scale: float) -> dict[str, Tensor]:
    """base + scale · Σ (model - base)."""
    return _each([base, *models], lambda parts: parts[0] + scale * sum(part - parts[0] for part in parts[1:]))


def ties(base: Tensors, models: Sequence[Tensors], density: float, scale: float) -> dict[str, Tensor]:
    """Trim, elect sign, merge.

    Args:
        density: share of a model's differences that is kept, counted over all its weights at once as in the paper.
        scale: what the merged difference is multiplied by.
    """
    limits = [threshold(base, model, density) for model in models]

    def merged(parts: Sequence[Tensor]) -> Tensor:
        first = parts[0]
        kept = [
            torch.where((part - first).abs() >= limit, part - first, 0.0)
            for part, limit in zip(parts[1:], limits, strict=True)
        ]
        return first + scale * disjoint_mean(torch.stack(kept))

    return _each([base, *models], merged)


def threshold(base: Tensors, model: Tensors, density: float) -> float:
    """The least size of a difference among the `density` largest of all weights of a model."""
    sizes = torch.cat(
        [(model[name].double() - value.double()).abs().flatten() for name, value in base.items() if _is_float(value)]
    )
    kept = max(1, round(density * sizes.numel()))
    return float(torch.kthvalue(sizes, sizes.numel() - kept + 1).values)


def disjoint_mean(differences: Tensor) -> Tensor:
    """[models, …] to the mean of those that have the elected sign; 0 where none is kept."""
    elected = torch.sign(differences.sum(0))
    agreeing = (torch.sign(differences) == elected) & (differences != 0)
    count = agreeing.sum(0).clamp(min=1)
    return torch.where(agreeing, differences, 0.0).sum(0) / count


def slerp(first: Tensors, second: Tensors, share: float) -> dict[str, Tensor]:
    """A point on the arc from the first (share 0) to the second (share 1), each tensor as one vector."""

    def arc(parts: Sequence[Tensor]) -> Tensor:
        one, other = (part.flatten() for part in parts)
        lengths = one.norm() * other.norm()
        cosine = float(one @ other / lengths) if float(lengths) else 1.0
        if abs(cosine) > PARALLEL:
            return torch.lerp(parts[0], parts[1], share)
        angle = torch.arccos(torch.tensor(cosine, dtype=torch.float64))
        near, far = torch.sin((1 - share) * angle), torch.sin(share * angle)
        return (near * parts[0] + far * parts[1]) / torch.sin(angle)

    return _each([first, second], arc)


def _sum(weights: Sequence[float], parts: Sequence[Tensor]) -> Tensor:
    total = torch.zeros_like(parts[0])
    for weight, part in zip(weights, parts, strict=True):
        total += weight * part
    return total


def _each(models: Sequence[Tensors], merge: Callable[[Sequence[Tensor]], Tensor]) -> dict[str, Tensor]:
    """Every floating tensor merged in double precision, in the order of names."""
    found = {}
    for name in sorted(models[0]):
        value = models[0][name]
        parts = [model[name].double() for model in models] if _is_float(value) else []
        found[name] = merge(parts).to(value.dtype).contiguous() if parts else value
    return found


def _is_float(value: Tensor) -> bool:
    return bool(value.is_floating_point())
