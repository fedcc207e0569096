"""Attention of transformers' networks on a CPU as it trains fastest there.

Plain products where dropout draws from our masks, and in bf16 with rows of up to some hundred places: torch's fused
attention (Dao et al. 2022) goes forward fast, but its way back in bf16 took 1.3 to 4.5 times as long as that of the
products, measured with 50 to 1024 places; at 50 places it was half of a vision transformer's step. Everywhere else
(fp32, long rows whose scores would fill the memory, causal attention without a mask) torch's own.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

NAME = "modelyard_dropout"
LONGEST = 512
"""Places of a row: the scores that the way back needs grow with their square."""


class Drop(Protocol):
    """Where dropout takes its masks from."""

    def drop(self, x: Tensor, share: float) -> Tensor: ...


def register(masks: Drop) -> None:
    """Make the attention known to transformers by `NAME`. Its masks are read as torch's attention reads them."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations import sdpa_attention
    from transformers.masking_utils import sdpa_mask

    def attention(
        part: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        dropout: float = 0.0,
        scaling: float | None = None,
        is_causal: bool | None = None,
        **others: Any,
    ) -> tuple[Tensor, None]:
        plain = key.shape[1] == query.shape[1] and not any(other is not None for other in others.values())
        causal = getattr(part, "is_causal", False) if is_causal is None else is_causal
        if causal or not plain or not (dropout or _pays(query, key)):
            settings = {"dropout": dropout, "scaling": scaling, "is_causal": is_causal, **others}
            fused = sdpa_attention.sdpa_attention_forward(part, query, key, value, attention_mask, **settings)
            answer: tuple[Tensor, None] = fused
            return answer
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        shares_BHLL = masks.drop(_shares(query * scale, key, attention_mask).to(value.dtype), dropout)
        return torch.matmul(shares_BHLL, value).transpose(1, 2).contiguous(), None

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def _pays(query: Tensor, key: Tensor) -> bool:
    """Whether products are faster than the fused attention, there and back."""
    return query.requires_grad and query.dtype == torch.bfloat16 and key.shape[2] <= LONGEST


def _shares(query: Tensor, key: Tensor, attention_mask: Tensor | None) -> Tensor:
    """[B, H, L, L] what each place takes from each other; `query` is scaled already."""
    scores_BHLL = torch.matmul(query, key.transpose(2, 3))
    if attention_mask is not None:
        lowest = torch.finfo(scores_BHLL.dtype).min
        boolean = attention_mask.dtype == torch.bool
        scores_BHLL = scores_BHLL.masked_fill(~attention_mask, lowest) if boolean else scores_BHLL + attention_mask
    return torch.softmax(scores_BHLL, -1)
