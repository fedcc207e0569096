"""Images as fixed features: nothing is learned, so nothing can leak from one fold to another.

Histograms of oriented gradients (Dalal and Triggs 2005: 9 unsigned directions, cells, overlapping 2 x 2 blocks scaled
to length 1 with clipping at 0.2) and the mean colour of each cell, of the image at 32 x 32 pixels. Crude beside a
network, good enough to find labels that are plainly wrong on small pictures; for photographs, give probabilities of a
model of your own.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SIDE = 32
CELL = 4
BINS = 9
CLIP = 0.2
MOST_PIXELS = 64_000_000


def decode(data: bytes) -> Floats | None:
    """[32, 32, 3] in 0 to 1, or None if the bytes are no image that can be read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MOST_PIXELS:
                return None
            small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return np.asarray(small, np.float64) / 255


def features(images: Sequence[Floats]) -> Floats:
    """[images, features] of decoded images."""
    pixels = np.stack(images)
    cells = SIDE // CELL
    colour = pixels.reshape(-1, cells, CELL, cells, CELL, 3).mean((2, 4)).reshape(len(pixels), -1)
    return np.hstack([_gradients(pixels.mean(3)), colour])


def _gradients(grey: Floats) -> Floats:
    """[images, blocks * 36] from grey images [images, 32, 32]."""
    cells = SIDE // CELL
    down, right = np.gradient(grey, axis=(1, 2))
    strength = np.hypot(down, right)
    place = np.mod(np.arctan2(down, right), np.pi) / np.pi * BINS
    low = np.floor(place).astype(np.int64) % BINS
    share = place - np.floor(place)
    histogram = np.zeros((len(grey), cells, cells, BINS))
    for one in range(BINS):
        weight = strength * ((low == one) * (1 - share) + ((low + 1) % BINS == one) * share)
        histogram[..., one] = weight.reshape(-1, cells, CELL, cells, CELL).sum((2, 4))
    corners = [histogram[:, y : cells - 1 + y, x : cells - 1 + x] for y in (0, 1) for x in (0, 1)]
    blocks = _unit(np.concatenate(corners, axis=-1))
    found: Floats = _unit(np.minimum(blocks, CLIP)).reshape(len(grey), -1)
    return found


def _unit(vectors: Floats) -> Floats:
    scaled: Floats = vectors / np.sqrt((vectors**2).sum(-1, keepdims=True) + 1e-6)
    return scaled
