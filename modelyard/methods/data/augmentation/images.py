"""Images changed in a batch, each by draws of its own row: crop, flip, rotation, scale, colour, erasing, and mixing.

kornia does the geometry and the colour; what to do is drawn here, one generator an image, so that an image is changed
the same way whatever batch, worker or restart it meets. Random resized crop as in Szegedy et al. 2015; random erasing
Zhong et al. 2020; mixup Zhang et al. 2018; CutMix Yun et al. 2019.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

Draw = np.random.Generator
ERASED = (0.02, 0.2)
HUE = 0.1


@dataclass(frozen=True)
class ImageChanges:
    """How far an image may be changed; 0 leaves that out.

    Attributes:
        crop: largest share of the area that is cut away; what is left is stretched to the old size.
        flip, vertical_flip: probability.
        rotate: largest angle, degrees, either way; the border is repeated outwards.
        scale: largest share by which it grows or shrinks.
        colour: largest share by which brightness, contrast and saturation change; hue by a tenth of it (of a turn).
        erase: probability that a rectangle of 2 to 20 % of the area is greyed.
    """

    crop: float = 0.0
    flip: float = 0.0
    vertical_flip: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    colour: float = 0.0
    erase: float = 0.0


def change_images(images: Tensor, changes: ImageChanges, draws: Sequence[Draw]) -> Tensor:
    """Changed copies.

    Args:
        images: [batch, channels (1 or 3), height, width], float, 0 to 1.
        draws: a generator for each image.

    Returns:
        The same shape, 0 to 1.
    """
    from kornia.geometry.transform import warp_affine

    height, width = images.shape[-2:]
    matrices = torch.stack([_placement(changes, draw, height, width) for draw in draws])
    moved = warp_affine(images, matrices.to(images), (height, width), padding_mode="border")
    coloured = _coloured(moved, changes, draws) if changes.colour else moved
    for image, draw in zip(coloured, draws, strict=True):
        if draw.random() < changes.erase:
            top, left, bottom, right = _rectangle(draw.uniform(*ERASED), draw, height, width)
            image[:, top:bottom, left:right] = 0.5
    return coloured.clamp(0, 1)


def _placement(changes: ImageChanges, draw: Draw, height: int, width: int) -> Tensor:
    """[2, 3]: where each source pixel goes. The draws are made whether used or not: adding one change keeps others."""
    u = draw.uniform(size=8)
    angle = math.radians((2 * u[2] - 1) * changes.rotate)
    zoom = 1 + (2 * u[3] - 1) * changes.scale
    area = 1 - u[4] * changes.crop
    ratio = math.exp((2 * u[5] - 1) * math.log(4 / 3) * min(1.0, (1 - area) * 4))
    wide, high = min(1.0, math.sqrt(area * ratio)), min(1.0, math.sqrt(area / ratio))
    dx, dy = (u[6] - 0.5) * (1 - wide) * width, (u[7] - 0.5) * (1 - high) * height
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    cosine, sine = math.cos(angle) * zoom, math.sin(angle) * zoom
    flip = np.diag([_sign(u[0], changes.flip), _sign(u[1], changes.vertical_flip), 1.0])
    turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    crop = np.array([[1 / wide, 0.0, -dx / wide], [0.0, 1 / high, -dy / high], [0.0, 0.0, 1.0]])
    to_centre = np.array([[1.0, 0.0, -centre_x], [0.0, 1.0, -centre_y], [0.0, 0.0, 1.0]])
    back = np.array([[1.0, 0.0, centre_x], [0.0, 1.0, centre_y], [0.0, 0.0, 1.0]])
    return torch.from_numpy((back @ crop @ turn @ flip @ to_centre)[:2])


def _sign(draw: float, probability: float) -> float:
    return -1.0 if draw < probability else 1.0


def _coloured(images: Tensor, changes: ImageChanges, draws: Sequence[Draw]) -> Tensor:
    from kornia import enhance

    factors = torch.tensor(np.stack([draw.uniform(-1, 1, size=4) for draw in draws])).to(images) * changes.colour
    found = enhance.adjust_brightness(images, factors[:, 0])
    found = enhance.adjust_contrast(found, 1 + factors[:, 1])
    if images.shape[1] == 3:
        found = enhance.adjust_saturation(found, 1 + factors[:, 2])
        found = enhance.adjust_hue(found, factors[:, 3] * HUE * 2 * math.pi)
    return torch.as_tensor(found)


def _rectangle(share: float, draw: Draw, height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, bottom, right of a rectangle with about that share of the area, wholly inside."""
    ratio = math.exp(draw.uniform(-math.log(3), math.log(3)))
    high = min(height, max(1, round(math.sqrt(share * height * width * ratio))))
    wide = min(width, max(1, round(math.sqrt(share * height * width / ratio))))
    top, left = int(draw.integers(height - high + 1)), int(draw.integers(width - wide + 1))
    return top, left, top + high, left + wide


def mixup(images: Tensor, partners: Tensor, shares: Sequence[float]) -> Tensor:
    """Each image's share of itself and the rest of its partner, pixel by pixel."""
    own = torch.tensor(list(shares)).to(images).reshape(-1, 1, 1, 1)
    return own * images + (1 - own) * partners


def cutmix(
    images: Tensor, partners: Tensor, shares: Sequence[float], draws: Sequence[Draw]
) -> tuple[Tensor, list[float]]:
    """A rectangle of the partner pasted into each image; returns the exact shares that are left of the images."""
    found, exact = images.clone(), []
    height, width = images.shape[-2:]
    for place, (share, draw) in enumerate(zip(shares, draws, strict=True)):
        top, left, bottom, right = _patch(1 - share, draw, height, width)
        found[place, :, top:bottom, left:right] = partners[place, :, top:bottom, left:right]
        exact.append(1 - (bottom - top) * (right - left) / (height * width))
    return found, exact


def _patch(share: float, draw: Draw, height: int, width: int) -> tuple[int, int, int, int]:
    """A rectangle of the image's own shape, as CutMix cuts it, moved wholly inside."""
    high, wide = round(height * math.sqrt(share)), round(width * math.sqrt(share))
    top, left = int(draw.integers(height - high + 1)), int(draw.integers(width - wide + 1))
    return top, left, top + high, left + wide


def decode(encoded: bytes) -> Tensor:
    """[channels (1 or 3), height, width], float, 0 to 1. Raises OSError (Pillow) if it is no image."""
    with Image.open(io.BytesIO(encoded)) as image:
        plain = image.convert("L" if image.mode in ("1", "L", "I", "I;16", "F") else "RGB")
    pixels = np.asarray(plain, np.float32) / 255
    return torch.from_numpy(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1).copy())


def encode(image: Tensor) -> bytes:
    """A PNG file: the same pixels give the same bytes, and nothing is lost."""
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    plain = Image.fromarray(pixels[0] if pixels.shape[0] == 1 else pixels.transpose(1, 2, 0))
    file = io.BytesIO()
    plain.save(file, "PNG", compress_level=6)
    return file.getvalue()
