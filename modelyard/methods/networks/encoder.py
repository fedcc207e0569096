"""`encoder`: a transformer encoder of the transformers library with a classifier, for places where the folder as a
whole is not a Hugging Face one (a blend, or mean pooling).

Spec: `{"kind": "encoder", "config": {…, "model_type": "bert"}, "pooling": "model" | "mean"}`. `model` is the library's
own classification head; `mean` averages the last layer over real tokens, as sentence encoders are trained
(Reimers & Gurevych 2019), and puts one linear layer on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification


class Encoder(nn.Module):
    """The library's sequence classifier, its logits only."""

    input_names = ("input_ids", "attention_mask")

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[B, L] int64 ids and mask to logits [B, C]."""
        logits: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits.float()


class MeanEncoder(nn.Module):
    """Encoder, mean over real tokens, dropout, linear layer."""

    input_names = ("input_ids", "attention_mask")

    def __init__(self, model: nn.Module, hidden: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.model = model
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden, num_labels)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[B, L] int64 ids and mask to logits [B, C]."""
        hidden_BLD = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask_BL1 = attention_mask.unsqueeze(-1).to(hidden_BLD.dtype)
        mean_BD = (hidden_BLD * mask_BL1).sum(1) / mask_BL1.sum(1).clamp(min=1)
        logits: Tensor = self.classifier(self.dropout(mean_BD))
        return logits.float()


def build(spec: Mapping[str, Any]) -> nn.Module:
    settings = dict(spec["config"])
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    if spec.get("pooling", "model") == "model":
        return Encoder(AutoModelForSequenceClassification.from_config(config))
    base = AutoModel.from_config(config, **({"add_pooling_layer": False} if config.model_type == "bert" else {}))
    return MeanEncoder(base, config.hidden_size, config.num_labels, float(spec.get("dropout", 0.0)))
