"""What several corruptions need: lengths by size, disks, streaks, clouds."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Draw = np.random.Generator
Floats = NDArray[np.float64]
MADE_FOR = 224


def scale_of(image: Floats) -> float:
    """How long a length made for 224 pixels is here: the shorter side's share of it."""
    return float(min(image.shape[:2])) / MADE_FOR


def by_channel(image: Floats, change: Callable[[Floats], Floats]) -> Floats:
    """[H, W, C], each channel [H, W] changed alone."""
    return np.stack([change(image[..., channel]) for channel in range(image.shape[2])], axis=2)


def disk(radius: float) -> Floats:
    """A kernel that is even inside a circle, its rim by the share of each pixel that lies inside; sums to 1."""
    reach, fine = math.ceil(radius), 9
    steps = (np.arange((2 * reach + 1) * fine) + 0.5) / fine - reach - 0.5
    inside = (steps[:, None] ** 2 + steps[None, :] ** 2 <= max(radius, 0.5) ** 2).astype(np.float64)
    side = 2 * reach + 1
    kernel = inside.reshape(side, fine, side, fine).sum(axis=(1, 3))
    return np.asarray(kernel / kernel.sum())


def streaked(image: Floats, radius: float, sigma: float, angle: float) -> Floats:
    """[H, W] smeared along a line: a half Gaussian, from a pixel back along `angle` (radians)."""
    from scipy.ndimage import shift

    length = max(1.0, radius)
    places = np.linspace(0, 2 * length, max(2, math.ceil(2 * length) + 1))
    weights = np.exp(-(places**2) / (2 * max(sigma, 0.3) ** 2))
    weights /= weights.sum()
    found = np.zeros_like(image)
    for place, weight in zip(places.tolist(), weights.tolist(), strict=True):
        move = (place * math.sin(angle), place * math.cos(angle))
        found += weight * shift(image, move, order=1, mode="nearest")
    return found


def cloud(height: int, width: int, decay: float, draw: Draw) -> Floats:
    """[height, width] from 0 to 1: value noise of doubling fineness, each octave `decay` times weaker."""
    from scipy.ndimage import map_coordinates

    found = np.zeros((height, width))
    for octave in range(1, max(2, math.ceil(math.log2(max(height, width)))) + 1):
        cells = 2**octave
        grid = draw.uniform(size=(cells + 1, cells + 1))
        rows, columns = np.linspace(0, cells, height), np.linspace(0, cells, width)
        places = np.stack(np.meshgrid(rows, columns, indexing="ij"))
        found += map_coordinates(grid, places, order=1) / decay**octave
    low, high = float(found.min()), float(found.max())
    return np.asarray((found - low) / (high - low)) if high > low else np.zeros_like(found)
