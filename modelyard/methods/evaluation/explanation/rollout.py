"""Attention roll-out: through which tokens the first token's last vector came to be (Abnar & Zuidema 2020).

    R = prod over layers of  (A + I) / 2,   A the mean over heads

It says where a transformers encoder looked, not for which class it spoke: values are never negative.
"""

from __future__ import annotations

import numpy as np
import torch

from modelyard.methods.evaluation.explanation.game import Attribution
from modelyard.methods.evaluation.explanation.gradients import Gradients
from modelyard.methods.evaluation.explanation.players import TextPlayers
from modelyard.methods.runtimes.differentiable import Differentiable
from modelyard.methods.runtimes.predictor import Record


def rolls(model: Differentiable) -> bool:
    """Whether the network says its attention weights: text classifiers of transformers."""
    return model.card.format == "hf" and "tokens" in model.hooks and not hasattr(model.module, "pooling")


def rollout(gradients: Gradients, record: Record, players: TextPlayers) -> Attribution:
    """Of a model opened with `attention="eager"`."""
    model = gradients.model
    inputs = {name: torch.from_numpy(array) for name, array in model.encode([record]).items()}
    with torch.no_grad():
        attentions = model.module(**inputs, output_attentions=True).attentions
    layers = [layer[0].double().mean(0).numpy() for layer in attentions]
    rolled = np.eye(len(layers[0]))
    for layer in layers:
        mixed = (layer + np.eye(len(layer))) / 2
        rolled = mixed / mixed.sum(1, keepdims=True) @ rolled
    return Attribution(rolled[0] @ players.shares(gradients.spans(record)))
