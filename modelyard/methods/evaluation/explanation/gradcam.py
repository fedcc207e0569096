"""Grad-CAM: which places of the last feature maps speak for a class (Selvaraju et al. 2017).

relu(sum over maps of  mean over places of d score / d map  x  map)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from modelyard.methods.evaluation.explanation.game import Attribution, Floats
from modelyard.methods.evaluation.explanation.gradients import Gradients, score
from modelyard.methods.evaluation.explanation.players import ImagePlayers
from modelyard.methods.runtimes.batching import Arrays
from modelyard.methods.runtimes.differentiable import Differentiable
from modelyard.methods.runtimes.predictor import Record


def last_maps(model: Differentiable) -> nn.Module | None:
    """The last module whose output is maps [B, channels, h, w] of more than one place; None in pure transformers."""
    found: list[nn.Module] = []

    def note(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] * output.shape[3] > 1:
            found.append(module)

    handles = [module.register_forward_hook(note) for module in model.module.modules()]
    try:
        with torch.no_grad():
            model.logits(model.encode([model.about.sample()]))
    finally:
        for handle in handles:
            handle.remove()
    return found[-1] if found else None


def heat(model: Differentiable, maps: nn.Module, arrays: Arrays, target: int) -> Floats:
    """[h, w] of the first picture, not negative."""
    kept: list[Tensor] = []

    def keep(_: Any, __: Any, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_(True))
        return kept[0]

    handle = maps.register_forward_hook(keep)
    try:
        total = score(model.logits(arrays), target).sum()
        slope = torch.autograd.grad(total, kept[0])[0]
    finally:
        handle.remove()
    found = torch.relu((slope.mean((2, 3), keepdim=True) * kept[0]).sum(1))[0]
    result: Floats = found.detach().double().numpy()
    return result


def gradcam(gradients: Gradients, maps: nn.Module, record: Record, target: int, players: ImagePlayers) -> Attribution:
    """The heat map, stretched over the picture, inside each patch."""
    model = gradients.model
    found = heat(model, maps, model.encode([record]), target)
    height, width, _ = players.pixels.shape
    large = torch.nn.functional.interpolate(
        torch.from_numpy(found)[None, None], size=(height, width), mode="bilinear", align_corners=False
    )
    return Attribution(players.means(np.asarray(large[0, 0])))
