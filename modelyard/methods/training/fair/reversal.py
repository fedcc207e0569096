"""Adversarial debiasing: an adversary learns the group from what the network answers, and the network learns that it
cannot (Zhang, Lemoine and Mitchell 2018), both in one pass by reversing the gradient between them (Ganin and Lempitsky
2015, "Unsupervised domain adaptation by backpropagation").

Between the two the gradient is multiplied by -λ. With `ramp` λ grows as λ (2 / (1 + exp(-10 p)) - 1), p the share of
the steps done (Ganin et al. 2016). For demographic parity the adversary reads the answer alone; for equalised odds the
label too; for equal opportunity only the rows of the positive class (Zhang et al., section 3). Their projection of the
gradient is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from modelyard.methods.training.axes import Batch, Objective
from modelyard.methods.training.fair.dro import GROUPS
from modelyard.methods.training.fair.settings import Constraint, Fairness
from modelyard.methods.training.microbatches import ByRow

STEEPNESS = 10.0


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradient, None


def reverse(values: Tensor, strength: float) -> Tensor:
    """The values; on the way back their gradient times -strength."""
    result: Tensor = _Reverse.apply(values, strength)  # type: ignore[no-untyped-call]
    return result


def strength_at(settings: Fairness, step: int, num_steps: int) -> float:
    """λ at a step (0-based)."""
    if settings.schedule == "constant":
        return settings.strength
    return settings.strength * (2 / (1 + math.exp(-STEEPNESS * step / max(num_steps, 1))) - 1)


class Beside(nn.Module):
    """A network and its adversary: answers as the network does; the optimizer and checkpoints see both."""

    def __init__(self, module: nn.Module, adversary: nn.Module) -> None:
        super().__init__()
        self.module, self.adversary = module, adversary

    def forward(self, **inputs: Any) -> Any:
        return self.module(**inputs)


def head_of(module: nn.Module, num_labels: int) -> nn.Linear:
    """The layer that gives the logits: the last linear one of so many outputs."""
    found = [one for one in module.modules() if isinstance(one, nn.Linear) and one.out_features == num_labels]
    if not found:
        raise ValueError(f"no linear layer of {num_labels} outputs")
    return found[-1]


def beside(module: nn.Module, settings: Fairness, num_labels: int, num_groups: int) -> Beside:
    """The network with a fresh adversary; its weights come from torch's generator."""
    width = num_labels if settings.reads == "answer" else head_of(module, num_labels).in_features
    width += num_labels if settings.constraint == "equalized_odds" else 0
    adversary = nn.Sequential(nn.Linear(width, settings.hidden), nn.ReLU(), nn.Linear(settings.hidden, num_groups))
    return Beside(module, adversary)


class GradientReversal(ByRow):
    """`inner`, and the adversary's cross-entropy behind a reversed gradient.

    Args:
        positive: place of the class whose rows alone count for equal opportunity.
    """

    def __init__(self, inner: Objective, settings: Fairness, num_labels: int, positive: int) -> None:
        self.inner, self.settings, self.num_labels, self.positive = inner, settings, num_labels, positive
        self.strength = 0.0

    def __call__(self, module: nn.Module, batch: Batch) -> Tensor:
        if not (module.training and torch.is_grad_enabled()):
            return self.inner(module, batch)
        assert isinstance(module, Beside)
        seen: list[Tensor] = []
        handle = self._listen(module, seen)
        try:
            loss = self.inner(module, batch)
        finally:
            handle.remove()
        return loss + self.of_adversary(module.adversary, seen[0], batch)

    def of_adversary(self, adversary: nn.Module, seen: Tensor, batch: Batch) -> Tensor:
        """Σ weight · cross-entropy of the group, over the rows that count."""
        groups, labels = batch.targets[GROUPS], batch.targets["labels"]
        read = reverse(seen.float(), self.strength)
        if self.settings.constraint == "equalized_odds":
            read = torch.cat([read, nn.functional.one_hot(labels, self.num_labels).to(read.dtype)], 1)
        of_row = nn.functional.cross_entropy(adversary(read).float(), groups.clamp_min(0), reduction="none")
        counts = self._counting(self.settings.constraint, groups, labels)
        total: Tensor = (batch.targets["weights"] * counts * of_row).sum()
        return total

    def _counting(self, constraint: Constraint, groups: Tensor, labels: Tensor) -> Tensor:
        counts = groups >= 0
        return counts & (labels == self.positive) if constraint == "equal_opportunity" else counts

    def _listen(self, module: Beside, seen: list[Tensor]) -> Any:
        """Keep what the adversary reads of the first pass: what adversarial training adds comes after."""
        if self.settings.reads == "representation":
            head = head_of(module.module, self.num_labels)
            return head.register_forward_pre_hook(lambda part, args: seen.append(args[0]))

        def keep(part: nn.Module, args: Any, output: Any) -> None:
            logits = output if isinstance(output, Tensor) else output.logits
            # A constant over the classes changes no answer, so the adversary must not feed on it.
            seen.append(logits - logits.mean(1, keepdim=True))

        return module.module.register_forward_hook(keep)

    def begin(self, step: int, num_steps: int) -> None:
        self.strength = strength_at(self.settings, step, num_steps)

    def end(self) -> None:
        """The strength is a function of the step alone."""

    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """There is nothing to go on from."""
