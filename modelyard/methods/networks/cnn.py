"""`cnn`: convolutions of several widths over token embeddings, the maximum over time, one linear layer
(Kim 2014, "Convolutional Neural Networks for Sentence Classification").

Spec: `{"kind": "cnn", "vocabulary_size": V, "num_labels": C, "embedding": D, "filters": F, "widths": [2, 3, 4]}`;
`dropout` applies in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Cnn(nn.Module):
    """Embedding [V, D], one convolution a width, classifier [classes, filters · widths]."""

    input_names = ("input_ids", "attention_mask")

    def __init__(
        self, vocabulary_size: int, num_labels: int, embedding: int, filters: int, widths: Sequence[int], dropout: float
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.widths = tuple(widths)
        self.convolutions = nn.ModuleList(nn.Conv1d(embedding, filters, width) for width in widths)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(filters * len(widths), num_labels)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[B, L] int64 ids and mask to logits [B, C]."""
        mask_B1L = attention_mask.unsqueeze(1).to(self.embedding.weight.dtype)
        # Padding is as good as the zeros beyond the end: a text sees the same neighbours in every batch.
        x_BDL = self.dropout(self.embedding(input_ids)).transpose(1, 2) * mask_B1L
        pooled = []
        for width, convolution in zip(self.widths, self.convolutions, strict=True):
            wide_BDL = nn.functional.pad(x_BDL, ((width - 1) // 2, width // 2))
            # ReLU is never below 0, so a masked 0 never wins over a real position.
            pooled.append((torch.relu(convolution(wide_BDL)) * mask_B1L).amax(2))
        logits: Tensor = self.classifier(self.dropout(torch.cat(pooled, 1)))
        return logits.float()


def build(spec: Mapping[str, Any]) -> Cnn:
    return Cnn(
        int(spec["vocabulary_size"]),
        int(spec["num_labels"]),
        int(spec["embedding"]),
        int(spec["filters"]),
        [int(width) for width in spec["widths"]],
        float(spec.get("dropout", 0.0)),
    )
