"""An encoder whose answer is one vector for each text: the mean over real tokens or the first token's, of unit length
if wanted (Reimers & Gurevych 2019, "Sentence-BERT")."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

POOLINGS = ("mean", "cls")


class Pooled(nn.Module):
    """A transformers encoder without a head, pooled.

    Args:
        pooling: `mean` or `cls`.
        unit_length: divide each vector by its 2-norm.
    """

    input_names = ("input_ids", "attention_mask")

    def __init__(self, model: nn.Module, pooling: str = "mean", unit_length: bool = True) -> None:
        super().__init__()
        self.model: Any = model
        self.pooling, self.unit_length = pooling, unit_length

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[B, L] int64 ids and mask to vectors [B, D]."""
        hidden_BLD = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state.float()
        if self.pooling == "cls":
            found_BD = hidden_BLD[:, 0]
        else:
            mask_BL1 = attention_mask.unsqueeze(-1).to(hidden_BLD.dtype)
            found_BD = (hidden_BLD * mask_BL1).sum(1) / mask_BL1.sum(1).clamp(min=1)
        return functional.normalize(found_BD, dim=1) if self.unit_length else found_BD
