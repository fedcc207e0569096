"""The objective that wraps another: rows as they are, and rows moved where the loss grows most.

| kind | rows moved | source |
|---|---|---|
| fgm | ε g / |g|, g the gradient at the row | Miyato, Dai and Goodfellow 2017 |
| pgd | several steps inside the ball from a random start, the last counts | Madry et al. 2018 |
| freelb | the same steps, the mean of all their losses counts | Zhu et al. 2020 |
| vat | where the answer's divergence grows most (one power iteration); no label | Miyato et al. 2019 |

Texts move in their embeddings, through a hook on the module that looks tokens up; images in their pixels. Gradients by
the inputs alone are taken with `autograd.grad`: the parameters see none of them. All randomness is torch's, which the
loop puts in place before every forward pass: a run that was killed goes on with the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.training.adversarial import steps
from modelyard.methods.training.adversarial.settings import Adversarial
from modelyard.methods.training.axes import Batch, Objective
from modelyard.methods.training.microbatches import ByRow

PIXELS = "pixel_values"
TINY_MOVE = 1e-2
"""ξ of the power iteration: small, but far above what fp32 rounds away."""


@dataclass(frozen=True)
class AdversarialObjective(ByRow):
    """`inner` at the rows and where they were moved to, weighed by `settings.share`."""

    inner: Objective
    settings: Adversarial

    def __call__(self, module: nn.Module, batch: Batch) -> Tensor:
        if not (module.training and torch.is_grad_enabled()):
            return self.inner(module, batch)
        return {"fgm": self._fgm, "pgd": self._pgd, "freelb": self._freelb, "vat": self._vat}[self.settings.kind](
            module, batch
        )

    def _fgm(self, module: nn.Module, batch: Batch) -> Tensor:
        still, clean = self._still(module, batch)
        gradient = _gradient(clean, still, keep=True)
        move = steps.uphill(gradient, self.settings.epsilon, self.settings.norm)
        return self._both(clean, self._moved(module, batch, move))

    def _pgd(self, module: nn.Module, batch: Batch) -> Tensor:
        still, clean = self._still(module, batch)
        move = steps.start(still, self.settings.epsilon, self.settings.norm)
        for _ in range(self.settings.steps):
            move.requires_grad_(True)
            move = self._further(move, _gradient(self._moved(module, batch, move), move))
        return self._both(clean, self._moved(module, batch, move))

    def _freelb(self, module: nn.Module, batch: Batch) -> Tensor:
        still, clean = self._still(module, batch)
        move = steps.start(still, self.settings.epsilon, self.settings.norm)
        losses = []
        for _ in range(self.settings.steps):
            move.requires_grad_(True)
            losses.append(self._moved(module, batch, move))
            move = self._further(move, _gradient(losses[-1], move, keep=True))
        return self._both(clean, torch.stack(losses).mean())

    def _vat(self, module: nn.Module, batch: Batch) -> Tensor:
        still, clean = self._still(module, batch)
        with torch.no_grad():
            answers = torch.log_softmax(_logits(module, batch), 1)
        move = steps.uphill(torch.randn_like(still), TINY_MOVE, "l2").requires_grad_(True)
        gradient = _gradient(self._divergence(module, batch, move, answers), move)
        move = steps.uphill(gradient, self.settings.epsilon, self.settings.norm)
        return clean + self.settings.share * self._divergence(module, batch, move, answers)

    def _both(self, clean: Tensor, moved: Tensor) -> Tensor:
        return (1 - self.settings.share) * clean + self.settings.share * moved

    def _further(self, move: Tensor, gradient: Tensor) -> Tensor:
        own = self.settings
        size = own.step_size or 1.5 * own.epsilon / own.steps
        return steps.inside(move.detach() + steps.uphill(gradient, size, own.norm), own.epsilon, own.norm)

    def _still(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """A movement of 0 whose gradient can be asked for, and the loss with it."""
        if PIXELS in batch.inputs:
            still = torch.zeros_like(batch.inputs[PIXELS], requires_grad=True)
            return still, self._moved(module, batch, still)
        kept: list[Tensor] = []

        def hook(part: nn.Module, args: Any, output: Tensor) -> Tensor:
            kept.append(torch.zeros_like(output, dtype=torch.float32, requires_grad=True))
            return output + kept[0].to(output.dtype)

        handle = tokens_of(module).register_forward_hook(hook)
        try:
            loss = self.inner(module, batch)
        finally:
            handle.remove()
        return kept[0], loss

    def _moved(self, module: nn.Module, batch: Batch, move: Tensor) -> Tensor:
        with _at(module, batch, move) as there:
            return self.inner(module, there)

    def _divergence(self, module: nn.Module, batch: Batch, move: Tensor, answers: Tensor) -> Tensor:
        """Σ over rows of weight · KL(answer at the row ‖ answer where it moved)."""
        with _at(module, batch, move) as there:
            moved = torch.log_softmax(_logits(module, there), 1)
        of_row = (answers.exp() * (answers - moved)).sum(1)
        return (batch.targets["weights"] * of_row).sum() if "weights" in batch.targets else of_row.sum()


def wrapped(inner: Objective, settings: Adversarial | None) -> Objective:
    """The objective against moved inputs, or as it is if nothing was asked for."""
    return inner if settings is None else AdversarialObjective(inner, settings)


def tokens_of(module: nn.Module) -> nn.Module:
    """The part that turns tokens into vectors. Raises InputError if there is none."""
    inner: Any = module
    for name in ("module", "model"):
        if not hasattr(inner, "get_input_embeddings") and isinstance(getattr(inner, name, None), nn.Module):
            inner = getattr(inner, name)
    if hasattr(inner, "get_input_embeddings"):
        found: nn.Module = inner.get_input_embeddings()
        return found
    if isinstance(getattr(inner, "embedding", None), nn.Module):
        part: nn.Module = inner.embedding
        return part
    raise InputError(
        t("the network has no token embeddings and no pixels to move"),
        where="adversarial",
        expected=t("a network over tokens or images"),
        remedy=t("leave `adversarial` out, or choose a size that is a network"),
    )


@contextmanager
def _at(module: nn.Module, batch: Batch, move: Tensor) -> Iterator[Batch]:
    """The batch as it is to be given to the module while its inputs are moved."""
    if PIXELS in batch.inputs:
        yield replace(batch, inputs={**batch.inputs, PIXELS: batch.inputs[PIXELS] + move})
        return
    mask = batch.inputs.get("attention_mask")
    # Padding does not move: what is read must not depend on what else is in the batch.
    real = move if mask is None else move * mask.unsqueeze(-1).to(move.dtype)
    handle = tokens_of(module).register_forward_hook(lambda part, args, output: output + real.to(output.dtype))
    try:
        yield batch
    finally:
        handle.remove()


def _logits(module: nn.Module, batch: Batch) -> Tensor:
    output: Any = module(**batch.inputs)
    logits: Tensor = output if isinstance(output, Tensor) else output.logits
    return logits.float()


def _gradient(loss: Tensor, by: Tensor, keep: bool = False) -> Tensor:
    """Of the loss by a movement, cut off from the graph, which stays if `keep`."""
    (found,) = torch.autograd.grad(loss, by, retain_graph=keep)
    return found.detach()
