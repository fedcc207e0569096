"""`tagger`: embeddings of each token and of its pairs with its neighbours, an LSTM in each direction, a score for each
tag at each token (Huang, Xu & Yu 2015, "Bidirectional LSTM-CRF Models for Sequence Tagging").

Pairs share a table of hashed rows: in Chinese two characters say much more than one (Zhang & Yang 2018). The backward
LSTM reads each row from its own end, so that padding is never read before the text.

Spec: `{"kind": "tagger", "vocabulary_size": V, "num_labels": T, "embedding": D, "pairs": rows, "hidden": H}`; `dropout`
applies in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

MIX = 1_000_003
"""A prime larger than any vocabulary: neighbours spread over the table."""


class Tagger(nn.Module):
    """Embedding [V, D], pairs [P, D / 2], an LSTM each way, classifier [tags, 2 · H]."""

    input_names = ("input_ids", "attention_mask")

    def __init__(
        self, vocabulary_size: int, num_labels: int, embedding: int, pairs: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding)
        self.pairs = nn.Embedding(pairs, embedding // 2)
        for table in (self.embedding, self.pairs):
            nn.init.normal_(table.weight, std=0.1)
        self.dropout = nn.Dropout(dropout)
        width = embedding + 2 * (embedding // 2)
        self.forward_lstm = nn.LSTM(width, hidden, batch_first=True)
        self.backward_lstm = nn.LSTM(width, hidden, batch_first=True)
        self.classifier = nn.Linear(2 * hidden, num_labels)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[B, L] int64 ids and mask to scores [B, L, T]."""
        real_BL = input_ids * attention_mask
        after_BL = nn.functional.pad(real_BL[:, 1:], (0, 1))
        pair_BLE = self.pairs((real_BL * MIX + after_BL) % self.pairs.num_embeddings)
        before_BLE = nn.functional.pad(pair_BLE[:, :-1], (0, 0, 1, 0))
        x_BLD = self.dropout(torch.cat([self.embedding(real_BL), before_BLE, pair_BLE], 2))
        turn_BL1 = _turned(attention_mask).unsqueeze(2)
        there_BLH = self.forward_lstm(x_BLD)[0]
        back_BLH = self.backward_lstm(x_BLD.gather(1, turn_BL1.expand_as(x_BLD)))[0]
        back_BLH = back_BLH.gather(1, turn_BL1.expand_as(back_BLH))
        scores: Tensor = self.classifier(self.dropout(torch.cat([there_BLH, back_BLH], 2)))
        return scores.float()


def _turned(attention_mask: Tensor) -> Tensor:
    """[B, L] places that turn each row's real tokens around and leave padding where it is; its own inverse."""
    places_1L = torch.arange(attention_mask.shape[1], device=attention_mask.device).unsqueeze(0)
    lengths_B1 = attention_mask.sum(1, keepdim=True)
    return torch.where(places_1L < lengths_B1, lengths_B1 - 1 - places_1L, places_1L)


def build(spec: Mapping[str, Any]) -> Tagger:
    return Tagger(
        int(spec["vocabulary_size"]),
        int(spec["num_labels"]),
        int(spec["embedding"]),
        int(spec["pairs"]),
        int(spec["hidden"]),
        float(spec.get("dropout", 0.0)),
    )
