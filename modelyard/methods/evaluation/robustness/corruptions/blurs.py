"""Blurs of lenses, panes and movement."""

from __future__ import annotations

import math

import numpy as np

from modelyard.methods.evaluation.robustness.corruptions.arrays import (
    Draw,
    Floats,
    by_channel,
    disk,
    scale_of,
    streaked,
)


def defocus(image: Floats, severity: int, draw: Draw) -> Floats:
    """Out of focus: a disk, its rim softened."""
    from scipy.ndimage import convolve, gaussian_filter

    radius, soft = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))[severity - 1]
    kernel = gaussian_filter(disk(max(0.6, radius * scale_of(image))), soft)
    kernel /= kernel.sum()
    return by_channel(image, lambda one: convolve(one, kernel, mode="reflect"))


def glass(image: Floats, severity: int, draw: Draw) -> Floats:
    """Behind frosted glass: pixels taken from a few pixels off, between two blurs.

    Where the way is less than a pixel, that share of the pixels goes one pixel off."""
    from scipy.ndimage import gaussian_filter

    sigma, reach, times = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[severity - 1]
    scale = scale_of(image)
    share, sigma, reach = min(1.0, reach * scale), max(0.2, sigma * scale), max(1, round(reach * scale))
    height, width = image.shape[:2]
    found = by_channel(image, lambda one: gaussian_filter(one, sigma))
    for _ in range(times):
        moved = draw.uniform(size=(height, width)) < share
        rows = np.arange(height)[:, None] + moved * draw.integers(-reach, reach + 1, size=(height, width))
        columns = np.arange(width)[None, :] + moved * draw.integers(-reach, reach + 1, size=(height, width))
        found = found[rows.clip(0, height - 1), columns.clip(0, width - 1)]
    return by_channel(found, lambda one: gaussian_filter(one, sigma))


def motion(image: Floats, severity: int, draw: Draw) -> Floats:
    """A camera that moves, within 45 degrees of level."""
    radius, sigma = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[severity - 1]
    angle, scale = math.radians(draw.uniform(-45, 45)), scale_of(image)
    return by_channel(image, lambda one: streaked(one, radius * scale, sigma * scale, angle))


def zoom(image: Floats, severity: int, draw: Draw) -> Floats:
    """A camera that comes near: the mean of the image at growing sizes, and itself."""
    from scipy.ndimage import affine_transform

    end, step = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))[severity - 1]
    factors = np.arange(1, end, step)
    middle = (np.array(image.shape[:2]) - 1) / 2

    def larger(one: Floats, factor: float) -> Floats:
        back = np.full(2, 1 / factor)
        return np.asarray(affine_transform(one, back, middle - middle * back, order=1, mode="nearest"))

    total = sum((by_channel(image, lambda one, f=f: larger(one, f)) for f in factors.tolist()), image)  # type: ignore[misc]
    return np.asarray(total / (len(factors) + 1))
