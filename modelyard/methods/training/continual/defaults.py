"""How a trained model of each kind goes on well when nothing is set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelyard.methods.tasks import image_classification
from modelyard.methods.training import batching, pretrained
from modelyard.methods.training.continual.opening import Known

MIN_STEPS = 300
MAX_EPOCHS = 30


@dataclass(frozen=True)
class Defaults:
    """Peak rate of AdamW, rows of a batch, passes over the rows."""

    learning_rate: float
    batch_size: int
    epochs: int


NETWORKS = {
    "linear": Defaults(3e-3, 64, 3),
    "cnn": Defaults(1e-3, 64, 3),
    "blend": Defaults(1e-3, 64, 3),
    "encoder": Defaults(2e-4, 32, 3),
    "image_cnn": Defaults(1e-3, 128, 5),
    "image_residual": Defaults(1e-3, 128, 5),
}
"""By the kind of network: about a quarter of the rate it was trained with from scratch."""


def defaults_for(known: Known) -> Defaults:
    """Of the network's kind; of a network of transformers what fine-tunes it."""
    if known.card.network:
        return NETWORKS.get(str(known.card.network.get("kind")), Defaults(2e-4, 32, 3))
    if known.card.task == image_classification.NAME:
        return Defaults(1e-4, 32, 5)
    module: Any = known.module
    found = pretrained.defaults_for(module)
    return Defaults(found.learning_rate, found.batch_size, 3)


def epochs_for(usual: int, num_rows: int, batch_size: int, accumulation: int) -> int:
    """The usual number of passes, more where the rows are so few that it would be a handful of steps."""
    steps = batching.num_steps(num_rows, batch_size, accumulation)
    return max(usual, min(MAX_EPOCHS, -(-MIN_STEPS // max(steps, 1))))
