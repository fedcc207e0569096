"""Snow, frost and fog."""

from __future__ import annotations

import math

import numpy as np

from modelyard.methods.evaluation.robustness.corruptions.arrays import Draw, Floats, cloud, scale_of, streaked

GREY = (0.299, 0.587, 0.114)
ICE = (0.86, 0.93, 1.0)
"""The tint of ice, red to blue."""


def snow(image: Floats, severity: int, draw: Draw) -> Floats:
    """Flakes that fall aslant over a whitened picture."""
    from scipy.ndimage import zoom

    mean, spread, size, least, radius, sigma, own = (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    )[severity - 1]
    height, width = image.shape[:2]
    scale = scale_of(image)
    grow = max(1.0, size * scale)
    flakes = draw.normal(mean, spread, size=(math.ceil(height / grow) + 1, math.ceil(width / grow) + 1))
    flakes = zoom(flakes, grow, order=1)[:height, :width]
    flakes = np.clip(np.where(flakes < least, 0, flakes), 0, 1)
    flakes = streaked(flakes, radius * scale, sigma * scale, math.radians(draw.uniform(-135, -45)))
    grey = image @ np.array(GREY) if image.shape[2] == 3 else image[..., 0]
    white = np.maximum(image, (grey * 1.5 + 0.5)[..., None])
    return np.asarray(own * image + (1 - own) * white + (flakes + flakes[::-1, ::-1])[..., None])


def frost(image: Floats, severity: int, draw: Draw) -> Floats:
    """Ice on the lens: bright ridges over a darkened picture."""
    own, ice = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[severity - 1]
    height, width = image.shape[:2]
    ridges = (1 - np.abs(2 * cloud(height, width, 1.6, draw) - 1)) ** 3
    layer = 0.25 * cloud(height, width, 2.0, draw) + 0.75 * ridges
    tint = np.array(ICE) if image.shape[2] == 3 else np.ones(1)
    return np.asarray(own * image + ice * layer[..., None] * tint)


def fog(image: Floats, severity: int, draw: Draw) -> Floats:
    """A cloud in front, the whole brought back into range."""
    thick, decay = ((1.5, 2), (2.0, 2), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))[severity - 1]
    height, width = image.shape[:2]
    brightest = float(image.max())
    if brightest == 0:
        brightest = 1.0
    return np.asarray((image + thick * cloud(height, width, decay, draw)[..., None]) * brightest / (brightest + thick))
