"""`image_cnn`: blocks of two 3x3 convolutions with batch normalisation, each block at half the size of the one before,
the mean over what is left, one linear layer (after VGG, Simonyan & Zisserman 2015; Ioffe & Szegedy 2015; Lin, Chen &
Yan 2014). The first block has one convolution only: at full size it costs the most and finds only edges.

Spec: `{"kind": "image_cnn", "channels": 1, "num_labels": C, "widths": [32, 64, 128]}`; `dropout` applies in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn


class ImageCnn(nn.Module):
    """Blocks of convolutions, mean over places, dropout, classifier."""

    input_names = ("pixel_values",)

    def __init__(self, channels: int, num_labels: int, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = channels
        for place, width in enumerate(widths):
            layers += _convolution(before, width)
            if place:
                layers += _convolution(width, width)
            if place < len(widths) - 1:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            before = width
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(before, num_labels)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """[B, channels, H, W] to logits [B, C]."""
        x_BD = self.features(pixel_values).mean((2, 3))
        logits: Tensor = self.classifier(self.dropout(x_BD))
        return logits.float()


def _convolution(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]


def build(spec: Mapping[str, Any]) -> ImageCnn:
    return ImageCnn(
        int(spec["channels"]),
        int(spec["num_labels"]),
        [int(width) for width in spec["widths"]],
        float(spec.get("dropout", 0.0)),
    )
