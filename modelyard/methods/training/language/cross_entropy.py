"""Cross-entropy over a vocabulary on a processor: a few rows at a time, so that they stay in its cache.

PyTorch's own makes four matrices [targets, vocabulary] in fp32: the logits again, their log-softmax, and twice the
gradient. Here the logits are kept as they came (bf16 under autocast) and nothing else of that size; the gradient is
`g (softmax(x) - onehot)`, made from them and the normaliser on the way back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

CACHED = 1 << 18
"""Numbers worked on at a time: a mebibyte in fp32."""


def losses(logits: Tensor, labels: Tensor) -> Tensor:
    """-log softmax of each label: [N, V] logits and [N] labels to [N] fp32 (fp64 of fp64)."""
    if logits.device.type != "cpu" or torch.compiler.is_compiling():
        # Compilers fuse it themselves.
        return functional.cross_entropy(_wide(logits), labels, reduction="none")
    return _Losses.apply(logits, labels)  # type: ignore[no-untyped-call, no-any-return]


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _pieces(logits: Tensor) -> list[slice]:
    rows = max(1, CACHED // logits.shape[1])
    return [slice(start, start + rows) for start in range(0, len(logits), rows)]


class _Losses(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, logits: Tensor, labels: Tensor) -> Tensor:
        kind = torch.float64 if logits.dtype == torch.float64 else torch.float32
        normalisers = torch.empty(len(logits), dtype=kind)
        for piece in _pieces(logits):
            normalisers[piece] = torch.logsumexp(_wide(logits[piece]), 1)
        context.save_for_backward(logits, labels, normalisers)
        chosen = logits.gather(1, labels[:, None])[:, 0]
        return normalisers - _wide(chosen)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        logits, labels, normalisers = context.saved_tensors
        (of_losses,) = gradients
        found = torch.empty_like(logits)
        for piece in _pieces(logits):
            shares = _wide(logits[piece]).sub(normalisers[piece, None]).exp_()
            shares[torch.arange(len(shares)), labels[piece]] -= 1
            found[piece] = shares.mul_(of_losses[piece, None])
        return found, None
