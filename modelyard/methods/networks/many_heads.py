"""`many_heads`: one encoder of the transformers library and a linear layer for each task, on the mean of a text's
tokens or on each token (Caruana 1997, "Multitask Learning").

Spec: `{"kind": "many_heads", "config": {…, "model_type": "bert"}, "heads": {name: {"level": "text" | "token",
"outputs": C}}}`; `dropout` applies in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig, AutoModel


class ManyHeads(nn.Module):
    """The trunk, and the heads by name."""

    input_names = ("input_ids", "attention_mask")

    def __init__(self, model: nn.Module, hidden: int, heads: Mapping[str, Mapping[str, Any]], dropout: float) -> None:
        super().__init__()
        self.model = model
        self.dropout = nn.Dropout(dropout)
        self.levels = {name: str(head["level"]) for name, head in heads.items()}
        self.heads = nn.ModuleDict({name: nn.Linear(hidden, int(head["outputs"])) for name, head in heads.items()})

    def forward(self, input_ids: Tensor, attention_mask: Tensor, head: str) -> Tensor:
        """[B, L] int64 ids and mask to one task's logits [B, C], or [B, L, C] where it answers each token."""
        hidden_BLD = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self.levels[head] == "text":
            mask_BL1 = attention_mask.unsqueeze(-1).to(hidden_BLD.dtype)
            hidden_BLD = (hidden_BLD * mask_BL1).sum(1) / mask_BL1.sum(1).clamp(min=1)
        logits: Tensor = self.heads[head](self.dropout(hidden_BLD))
        return logits.float()


def build(spec: Mapping[str, Any]) -> ManyHeads:
    settings = dict(spec["config"])
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    base = AutoModel.from_config(config, **({"add_pooling_layer": False} if config.model_type == "bert" else {}))
    return ManyHeads(base, config.hidden_size, spec["heads"], float(spec.get("dropout", 0.0)))
