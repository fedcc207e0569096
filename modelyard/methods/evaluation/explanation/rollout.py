"""Attention roll-out: through which tokens the last vector came to be that is answered from (Abnar & Zuidema 2020).

    R = prod over layers of  (A + I) / 2,   A the mean over heads

It says where a transformers encoder looked, not for which class it spoke: values are never negative.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from modelyard.methods.evaluation.explanation.game import Attribution, Floats, Players
from modelyard.methods.evaluation.explanation.gradients import Gradients
from modelyard.methods.evaluation.explanation.players import ImagePlayers, TextPlayers
from modelyard.methods.runtimes.batching import Arrays
from modelyard.methods.runtimes.differentiable import Differentiable
from modelyard.methods.runtimes.predictor import Record


def rolls(model: Differentiable) -> bool:
    """Whether the network says its attention weights, of text tokens or of a first token and patches of a picture."""
    network = _network(model)
    if network is None:
        return False
    if "tokens" in model.hooks:
        return True
    layers = _attentions(model, model.encode([model.about.sample()]))
    shapes = {layer.shape for layer in layers}
    return len(shapes) == 1 and _side(model, len(layers[0])) is not None


def rollout(gradients: Gradients, record: Record, players: Players) -> Attribution:
    """Of a model opened with `attention="eager"`."""
    model = gradients.model
    layers = _attentions(model, model.encode([record]))
    rolled = np.eye(len(layers[0]))
    for layer in layers:
        mixed = (layer + np.eye(len(layer))) / 2
        rolled = mixed / mixed.sum(1, keepdims=True) @ rolled
    if isinstance(players, TextPlayers):
        seen = rolled.mean(0) if model.card.network.get("pooling") == "mean" else rolled[0]
        return Attribution(seen @ players.shares(gradients.spans(record)))
    assert isinstance(players, ImagePlayers)
    height, width = _side(model, len(rolled)) or (1, 1)
    return Attribution(_on_patches(rolled[0, 1:].reshape(height, width), players))


def _network(model: Differentiable) -> Any:
    """The transformers encoder that can say its weights; None if there is none."""
    if model.card.format == "hf":
        return None if hasattr(model.module, "pooling") else model.module
    return getattr(model.module, "model", None) if model.card.network.get("kind") == "encoder" else None


def _attentions(model: Differentiable, arrays: Arrays) -> list[Floats]:
    """A layer each, [tokens, tokens], the mean over heads; empty if the network says none."""
    inputs = {name: torch.from_numpy(array) for name, array in arrays.items()}
    with torch.no_grad():
        said = getattr(_network(model)(**inputs, output_attentions=True), "attentions", None)
    return [layer[0].double().mean(0).numpy() for layer in said or () if layer is not None and layer.ndim == 4]


def _side(model: Differentiable, tokens: int) -> tuple[int, int] | None:
    """Rows and columns of patches, if after the first token one stands for each patch of the picture."""
    config = getattr(_network(model), "config", None)
    patch, image = getattr(config, "patch_size", None), getattr(config, "image_size", None)
    if patch is None or image is None:
        return None
    sides = [(one, one) if isinstance(one, int) else tuple(one) for one in (image, patch)]
    height, width = sides[0][0] // sides[1][0], sides[0][1] // sides[1][1]
    return (height, width) if tokens == 1 + height * width else None


def _on_patches(map_: Floats, players: ImagePlayers) -> Floats:
    """The map, stretched over the picture, inside each patch of its own."""
    height, width, _ = players.pixels.shape
    large = torch.nn.functional.interpolate(torch.from_numpy(map_)[None, None], size=(height, width), mode="nearest")
    return players.means(np.asarray(large[0, 0]))
