"""Noise of sensors and lines."""

from __future__ import annotations

import numpy as np

from modelyard.methods.evaluation.robustness.corruptions.arrays import Draw, Floats


def gaussian(image: Floats, severity: int, draw: Draw) -> Floats:
    """Normal noise on every value, as in poor light."""
    return image + draw.normal(scale=(0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1], size=image.shape)


def shot(image: Floats, severity: int, draw: Draw) -> Floats:
    """Poisson noise: so many photons at full brightness."""
    photons = (60, 25, 12, 5, 3)[severity - 1]
    return np.asarray(draw.poisson(image * photons) / photons)


def impulse(image: Floats, severity: int, draw: Draw) -> Floats:
    """Salt and pepper: a share of the values is 0 or 1."""
    share = (0.03, 0.06, 0.09, 0.17, 0.27)[severity - 1]
    hit = draw.uniform(size=image.shape) < share
    return np.where(hit, (draw.uniform(size=image.shape) < 0.5).astype(np.float64), image)
