"""Lion: the sign of a blend of momentum and gradient (Chen et al. 2023, "Symbolic Discovery of Optimization
Algorithms").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Lion(torch.optim.Optimizer):
    """One buffer a parameter, every step of the same size.

    With gradient g, momentum m: θ ← θ − η (sign(β₁ m + (1 − β₁) g) + λ θ), then m ← β₂ m + (1 − β₂) g.
    """

    def __init__(self, params: Any, lr: float, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient. The closure is not called."""
        for group in self.param_groups:
            trained = [parameter for parameter in group["params"] if parameter.grad is not None]
            if trained:
                self._move(trained, group)

    def _move(self, trained: list[Tensor], group: dict[str, Any]) -> None:
        slow, fast = group["betas"]
        gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
        moments = [self._moment(parameter) for parameter in trained]
        update = torch._foreach_mul(moments, slow)
        torch._foreach_add_(update, gradients, alpha=1 - slow)
        torch._foreach_sign_(update)
        torch._foreach_mul_(trained, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(trained, update, alpha=-group["lr"])
        torch._foreach_lerp_(moments, gradients, 1 - fast)

    def _moment(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        moment: Tensor = state["momentum"]
        return moment
