"""Distillation of a language model from its old self (Hinton et al. 2015; Sanh et al. 2019 for language models):
-log p_new(token) + λ T² KL(p_old ‖ p_new) at each token that is learned, over the whole vocabulary at temperature T.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelyard.methods.training.language import cross_entropy
from modelyard.methods.training.language.network import TokenLosses, in_pieces

COPIES = 4
"""Matrices of logits and their logarithms that are held beside each other."""


class TaughtLosses(TokenLosses):
    """The losses of tokens with the old model beside them; in evaluation without.

    Args:
        teacher: the old model, of the same vocabulary. It is not trained, and no part of this module.
        weight: λ.
        temperature: T.
    """

    def __init__(self, model: nn.Module, teacher: nn.Module, weight: float, temperature: float) -> None:
        super().__init__(model)
        self._teacher = [TokenLosses(teacher.eval().requires_grad_(False))]
        self._weight, self._temperature = weight, temperature

    def forward(
        self,
        input_ids: Tensor,
        labels: Tensor,
        places: Tensor | None = None,
        position_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        if not self.training:
            return super().forward(input_ids, labels, places, position_ids, attention_mask)
        values, head = self.states(input_ids, places, position_ids, attention_mask)
        with torch.no_grad():
            old, old_head = self._teacher[0].states(input_ids, places, position_ids, attention_mask)

        def both(mine: Tensor, theirs: Tensor, some: Tensor) -> Tensor:
            logits = mine if head is None else head(mine)
            with torch.no_grad():
                taught = theirs if old_head is None else old_head(theirs)
            told = divergences(logits, taught, self._temperature)
            return cross_entropy.losses(logits, some) + self._weight * told

        return in_pieces(both, max(1, self.rows_at_once // COPIES), values, old, labels)


def divergences(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """T² KL(softmax(taught / T) ‖ softmax(logits / T)) of each row: [N, V] and [N, V] to [N] fp32."""
    log_old = torch.log_softmax(taught.float() / temperature, 1)
    log_new = torch.log_softmax(logits.float() / temperature, 1)
    return temperature**2 * (log_old.exp() * (log_old - log_new)).sum(1)
