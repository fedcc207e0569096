"""Muon: momentum whose matrices are made orthogonal before they are applied (Jordan et al. 2024, "Muon: An optimizer
for hidden layers in neural networks").

The step of a matrix becomes U Vᵀ of its momentum's singular value decomposition: every direction moves equally far. A
Newton-Schulz iteration of degree 5 gets there by products alone; its coefficients are Jordan's, which trade exactness
(singular values end between about 0.7 and 1.2) for few iterations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
LIKE_ADAMW = 0.2
"""Root mean square of AdamW's usual update; scaled so, both share one learning rate and decay (Liu et al. 2025,
"Muon is Scalable for LLM Training")."""
EPSILON = 1e-7


def orthogonalize(matrices: Tensor, iterations: int = ITERATIONS) -> Tensor:
    """About U Vᵀ of each matrix [B, M, N], by X ← a X + (b A + c A²) X with A = X Xᵀ, from X = G / ‖G‖.

    In bf16 on accelerators, where the products are many times faster; on a CPU in fp32.
    """
    x_BMN = matrices if matrices.device.type == "cpu" else matrices.bfloat16()
    tall = x_BMN.shape[1] > x_BMN.shape[2]
    if tall:
        x_BMN = x_BMN.mT
    x_BMN = x_BMN / (x_BMN.norm(dim=(1, 2), keepdim=True) + EPSILON)
    a, b, c = COEFFICIENTS
    for _ in range(iterations):
        gram_BMM = x_BMN @ x_BMN.mT
        x_BMN = a * x_BMN + (b * gram_BMM + c * gram_BMM @ gram_BMM) @ x_BMN
    result: Tensor = x_BMN.mT if tall else x_BMN
    return result.to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """For matrices inside a network; embeddings, heads and vectors belong to another optimizer.

    With gradient G, momentum M: M ← μ M + (1 − μ) G; the step is O = orthogonalize(μ M + (1 − μ) G), Nesterov's look
    ahead; W ← W − η (0.2 √max(rows, columns) O + λ W). A convolution is the matrix of its filters laid flat.
    """

    def __init__(self, params: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient; equal shapes go through the iteration together."""
        for group in self.param_groups:
            shapes: dict[tuple[int, int], list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes.setdefault((parameter.shape[0], parameter[0].numel()), []).append(parameter)
            for shape, alike in shapes.items():
                self._move(alike, shape, group)

    def _move(self, alike: list[Tensor], shape: tuple[int, int], group: dict[str, Any]) -> None:
        rate, momentum = group["lr"], group["momentum"]
        gradients = [parameter.grad for parameter in alike if parameter.grad is not None]
        moments = [self._moment(parameter) for parameter in alike]
        torch._foreach_lerp_(moments, gradients, 1 - momentum)
        ahead = torch._foreach_lerp(gradients, moments, momentum)
        steps_BMN = orthogonalize(torch.stack([one.reshape(shape) for one in ahead]))
        size = LIKE_ADAMW * max(shape) ** 0.5
        torch._foreach_mul_(alike, 1 - rate * group["weight_decay"])
        steps = [step.view_as(parameter) for step, parameter in zip(steps_BMN, alike, strict=True)]
        torch._foreach_add_(alike, steps, alpha=-rate * size)

    def _moment(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        moment: Tensor = state["momentum"]
        return moment
