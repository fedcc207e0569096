"""The forward pass of training: from token ids to the loss of each target, logits only where there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from modelyard.methods.training.language import cross_entropy

SPLIT_HEAD = frozenset({"gpt2", "llama", "mistral", "qwen2", "qwen3"})
"""Families whose logits are their output layer on the last hidden state and nothing else."""
MASKED_HEADS = {"bert": "cls", "camembert": "lm_head", "ernie": "cls", "roberta": "lm_head", "xlm-roberta": "lm_head"}
"""Families of masked language models, and the part of them that makes logits of the last hidden state."""
LOGITS_AT_ONCE = 1 << 26
"""Numbers of logits held at a time (256 MiB in fp32); more are computed in pieces, and again on the way back."""


class TokenLosses(nn.Module):
    """A language model of transformers, causal or masked, that answers the loss of each target.

    The logits of positions without a target (prompts, padding) are never computed, and those of large vocabularies
    only a piece at a time: they would be most of the memory of a step.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model

    def forward(
        self,
        input_ids: Tensor,
        labels: Tensor,
        places: Tensor | None = None,
        position_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """Negative log-likelihood of each label in nats, [targets] fp32.

        Args:
            input_ids: [B, L].
            labels: [targets] the token that follows, or that was hidden.
            places: [targets] of the labels in the flattened [B·L] positions; None: all of them.
            position_ids: [B, L]; None: from 0 in each line.
            attention_mask: [B, 1, L, L] bool, or [B, L] 1 on what is real; None: what the family does by itself.
        """
        values, head = self.states(input_ids, places, position_ids, attention_mask)
        if head is None:
            return cross_entropy.losses(values, labels)
        return in_pieces(lambda hidden, some: _losses(head, hidden, some), self.rows_at_once, values, labels)

    @property
    def rows_at_once(self) -> int:
        """Targets whose logits are held at a time."""
        return max(1, LOGITS_AT_ONCE // int(self.model.config.vocab_size))

    def states(
        self,
        input_ids: Tensor,
        places: Tensor | None = None,
        position_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> tuple[Tensor, Callable[[Tensor], Tensor] | None]:
        """([targets, width] last hidden states, what makes logits of them), or ([targets, vocabulary] logits, None)."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "use_cache": False}
        if position_ids is not None:
            inputs["position_ids"] = position_ids
        head = _head(self.model)
        if head is None:
            return _at(self.model(**inputs).logits, places), None
        return _at(self.model.base_model(**inputs).last_hidden_state, places), head


def in_pieces(function: Callable[..., Tensor], rows: int, *values: Tensor) -> Tensor:
    """`function` of so many rows of all values at a time, end to end; computed again on the way back."""
    if len(values[0]) <= rows:
        return function(*values)
    pieces = zip(*(torch.split(one, rows) for one in values), strict=True)
    return torch.cat([checkpoint(function, *piece, use_reentrant=False) for piece in pieces])


def _head(model: Any) -> Callable[[Tensor], Tensor] | None:
    """What makes logits of the last hidden state; None where that is not known of the family."""
    kind = model.config.model_type
    if kind in SPLIT_HEAD:
        return model.get_output_embeddings()  # type: ignore[no-any-return]
    return getattr(model, MASKED_HEADS[kind]) if kind in MASKED_HEADS else None


def _at(values: Tensor, places: Tensor | None) -> Tensor:
    """[B, L, X] values at the places, [targets, X]."""
    flat = values.flatten(0, 1)
    return flat if places is None else flat[places]


def _losses(head: Callable[[Tensor], Tensor], hidden: Tensor, labels: Tensor) -> Tensor:
    """[N, D] hidden states to [N] losses."""
    return cross_entropy.losses(head(hidden), labels)
