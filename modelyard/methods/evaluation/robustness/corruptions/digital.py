"""What exposure, storage and resampling do."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from modelyard.methods.evaluation.robustness.corruptions.arrays import Draw, Floats, by_channel


def brightness(image: Floats, severity: int, draw: Draw) -> Floats:
    """The value of HSV raised; hue and saturation stay."""
    more = 0.1 * severity
    value = image.max(axis=2, keepdims=True)
    raised = np.clip(value + more, 0, 1)
    # With hue and saturation fixed, all three channels are proportional to the value; black has neither.
    return np.asarray(np.where(value > 0, image * raised / np.maximum(value, 1e-12), raised))


def contrast(image: Floats, severity: int, draw: Draw) -> Floats:
    """Distances to the channel's mean shrunk."""
    factor = (0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1]
    means = image.mean(axis=(0, 1), keepdims=True)
    return np.asarray((image - means) * factor + means)


def elastic(image: Floats, severity: int, draw: Draw) -> Floats:
    """Stretched and wrung (Simard et al. 2003): a random affine map, then a smooth field of displacements."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    height, width = image.shape[:2]
    side = min(height, width)
    strength, smooth, corner = (
        (2, 0.7, 0.1),
        (2, 0.08, 0.2),
        (0.05, 0.01, 0.02),
        (0.07, 0.01, 0.02),
        (0.12, 0.01, 0.02),
    )[severity - 1]
    places = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij")).astype(np.float64)
    matrix, move = _affine(height, width, corner * side, draw)
    moved = np.tensordot(matrix, places, axes=1) + move[:, None, None]
    for axis in range(2):
        field = draw.uniform(-1, 1, size=(height, width))
        moved[axis] += strength * side * gaussian_filter(field, max(smooth * side, 0.5), mode="reflect", truncate=3)
    return by_channel(image, lambda one: map_coordinates(one, moved, order=1, mode="reflect"))


def _affine(height: int, width: int, reach: float, draw: Draw) -> tuple[Floats, Floats]:
    """The map (matrix [2, 2], offset [2]) that takes three points about the middle to where they were shaken to."""
    middle, third = np.array([height, width]) / 2, min(height, width) / 3
    points = np.stack([middle + third, middle + np.array([third, -third]), middle - third])
    shaken = points + draw.uniform(-reach, reach, size=points.shape)
    solved = np.linalg.solve(np.hstack([points, np.ones((3, 1))]), shaken)
    return np.asarray(solved[:2].T, np.float64), np.asarray(solved[2], np.float64)


def pixelate(image: Floats, severity: int, draw: Draw) -> Floats:
    """Taken down to fewer pixels by their means, and up again as squares."""
    share = (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1]
    height, width = image.shape[:2]
    small = (max(1, int(width * share)), max(1, int(height * share)))

    def change(one: Floats) -> Floats:
        picture = Image.fromarray(one.astype(np.float32))
        squares = picture.resize(small, Image.Resampling.BOX).resize((width, height), Image.Resampling.NEAREST)
        return np.asarray(squares, np.float64)

    return by_channel(image, change)


def jpeg(image: Floats, severity: int, draw: Draw) -> Floats:
    """Stored as a poor JPEG."""
    whole = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    target = io.BytesIO()
    picture = Image.fromarray(whole[..., 0] if whole.shape[2] == 1 else whole)
    picture.save(target, "JPEG", quality=(25, 18, 15, 10, 7)[severity - 1])
    with Image.open(io.BytesIO(target.getvalue())) as stored:
        found = np.asarray(stored, np.float64) / 255
    return found.reshape(image.shape)
