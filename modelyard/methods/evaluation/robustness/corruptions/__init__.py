"""The fifteen corruptions of ImageNet-C (Hendrycks and Dietterich 2019) at five severities, for images of any size.

The constants are the paper's, made for 224 pixels: lengths shrink with the shorter side, so that a picture of 32 pixels
is blurred as far as one of 224 looks blurred. Frost is drawn, not photographed; glass moves pixels by a gather instead
of exchanging neighbours one by one. Images are [H, W, C] float64, 0 to 1, with C = 1 or 3.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from modelyard.methods.evaluation.robustness.corruptions import blurs, digital, noise, weather
from modelyard.methods.evaluation.robustness.corruptions.arrays import Draw, Floats
from modelyard.methods.evaluation.robustness.perturbation import Perturbation, on_field

SEVERITIES = 5
CORRUPTIONS: Mapping[str, Callable[[Floats, int, Draw], Floats]] = {
    "gaussian_noise": noise.gaussian,
    "shot_noise": noise.shot,
    "impulse_noise": noise.impulse,
    "defocus_blur": blurs.defocus,
    "glass_blur": blurs.glass,
    "motion_blur": blurs.motion,
    "zoom_blur": blurs.zoom,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": digital.brightness,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg,
}


def corrupt(pixels: Any, kind: str, severity: int, draw: Draw) -> Any:
    """A corrupted copy of an image [H, W] or [H, W, 1 or 3] uint8: the same shape and type.

    Args:
        severity: 1 to 5.
    """
    image = np.asarray(pixels, np.float64) / 255
    flat = image.ndim == 2
    found = CORRUPTIONS[kind](image[..., None] if flat else image, severity, draw)
    whole = np.rint(np.clip(found, 0, 1) * 255).astype(np.uint8)
    return whole[..., 0] if flat else whole


def perturbations() -> list[Perturbation]:
    """All of them, on the bytes of an image file; what comes back is a PNG."""
    return [
        Perturbation(kind, severity, on_field("image", _of_file(kind, severity)))
        for kind in CORRUPTIONS
        for severity in range(1, SEVERITIES + 1)
    ]


def _of_file(kind: str, severity: int) -> Callable[[bytes, Draw], bytes | None]:
    def change(data: bytes, draw: Draw) -> bytes | None:
        try:
            with Image.open(io.BytesIO(data)) as image:
                pixels = np.asarray(image.convert("L" if image.mode in ("1", "L", "I", "I;16", "LA") else "RGB"))
        except (OSError, ValueError):
            return None
        target = io.BytesIO()
        Image.fromarray(corrupt(pixels, kind, severity, draw)).save(target, "PNG", compress_level=1)
        return target.getvalue()

    return change
