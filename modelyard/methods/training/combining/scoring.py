"""What a combination is compared by: row by row, so that two can be compared on the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.training.evaluation import log_softmax

Floats = NDArray[np.float64]


def row_losses(scores: Floats, targets: NDArray[Any]) -> Floats:
    """[rows]: cross-entropy in nats of logits [rows, classes], or squared error of numbers [rows]."""
    if scores.ndim == 1:
        result: Floats = (scores - targets) ** 2
        return result
    losses: Floats = -log_softmax(scores)[np.arange(len(targets)), targets]
    return losses


def metrics(scores: Floats, targets: NDArray[Any]) -> dict[str, float]:
    """`accuracy` and `loss` (mean cross-entropy) of logits; `rmse` and `loss` (mean squared error) of numbers."""
    loss = float(row_losses(scores, targets).mean())
    if scores.ndim == 1:
        return {"rmse": loss**0.5, "loss": loss}
    return {"accuracy": float((scores.argmax(1) == targets).mean()), "loss": loss}
