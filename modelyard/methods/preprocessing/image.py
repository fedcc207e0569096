"""`image`: an encoded image as normalised pixels of one size.

Spec: `{"kind": "image", "height": 28, "width": 28, "channels": 1, "fit": "crop", "mean": [0.5], "std": [0.25]}`. `crop`
scales the image until it covers the size and takes the middle; `stretch` scales each side by itself. `encode` gives
`pixel_values` [images, channels, height, width] float32.

What is small on the disk may fill the memory when decoded, so the pixels are counted in the header first.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.preprocessing.table import Placed

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
"""Pillow's other parsers are never called."""
MAX_BYTES, MAX_PIXELS = 1 << 25, 50_000_000
MAX_SIDE = 4096
WINDOW_PIXELS = 1 << 21
Fit = Literal["crop", "stretch"]


class Unreadable(ValueError):
    """Bytes that are no image that can be read; says why."""


@dataclass(frozen=True)
class Image:
    """How images are read. Colours are 0 to 1 before `mean` is taken off and `std` divides."""

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fit: Fit = "crop"

    input_names = ("pixel_values",)

    @property
    def window(self) -> int:
        """Images that are computed in one go at most."""
        return max(1, WINDOW_PIXELS // (self.height * self.width))

    def encode(self, values: Sequence[Placed]) -> dict[str, NDArray[Any]]:
        """Encoded images with their places to arrays. Raises InputError naming the first that cannot be read."""
        pixels = np.empty((len(values), self.channels, self.height, self.width), np.uint8)
        for row, (place, encoded) in enumerate(values):
            try:
                pixels[row] = self.pixels(encoded)
            except Unreadable as error:
                raise InputError(
                    t("the image cannot be read: {error}", error=error),
                    where=f"records[{place}].image",
                    expected=t("PNG, JPEG, WebP, BMP or GIF of at most {most:,} pixels", most=MAX_PIXELS),
                ) from None
        return self.arrays(pixels)

    def pixels(self, encoded: bytes) -> NDArray[np.uint8]:
        """[channels, height, width]. Raises Unreadable."""
        image = decode(encoded, self.channels)
        size = (self.width, self.height)
        if image.size != size:
            stretched = self.fit == "stretch"
            bilinear = Pillow.Resampling.BILINEAR
            image = image.resize(size, bilinear) if stretched else ImageOps.fit(image, size, bilinear)
        array = np.asarray(image, np.uint8)
        return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)

    def arrays(self, pixels: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Pixels [images, channels, height, width] as the network reads them."""
        mean, std = (np.array(each, np.float32).reshape(-1, 1, 1) for each in (self.mean, self.std))
        return {"pixel_values": (pixels.astype(np.float32) / np.float32(255) - mean) / std}

    def spec(self) -> dict[str, Any]:
        """What `model.json` says of this preprocessor."""
        return {"kind": "image", **asdict(self)}


def decode(encoded: bytes, channels: int) -> Pillow.Image:
    """Grey (1 channel) or RGB, turned as its EXIF says. Raises Unreadable."""
    if len(encoded) > MAX_BYTES:
        raise Unreadable(t("{found:,} bytes, over {most:,}", found=len(encoded), most=MAX_BYTES))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own warning of large images; ours is the limit below
        try:
            with Pillow.open(io.BytesIO(encoded), formats=FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise Unreadable(t("{width} x {height} pixels", width=width, height=height))
                upright = ImageOps.exif_transpose(image)
                if upright.mode.startswith("I"):  # 16 bits a pixel, which `convert` would cut off at 255
                    upright = Pillow.fromarray((np.asarray(upright).clip(0, 65535) // 257).astype(np.uint8))
                return upright.convert("L" if channels == 1 else "RGB")
        except Unreadable:
            raise
        except (UnidentifiedImageError, Pillow.DecompressionBombError):
            raise Unreadable(t("it is no image")) from None
        except MemoryError:
            raise
        except Exception:  # a decoder may fail on hostile bytes in any way
            raise Unreadable(t("it does not decode")) from None


def is_grey(encoded: bytes) -> bool:
    """Whether the file has one channel only; True if it cannot be opened."""
    try:
        with Pillow.open(io.BytesIO(encoded), formats=FORMATS) as image:
            return image.mode in ("1", "L", "I", "I;16", "F")
    except Exception:  # who decodes it says what is wrong
        return True


def size_of(encoded: bytes) -> tuple[int, int] | None:
    """Height and width by the header; None if it cannot be opened."""
    try:
        with Pillow.open(io.BytesIO(encoded), formats=FORMATS) as image:
            return image.height, image.width
    except Exception:  # who decodes it says what is wrong
        return None


def load(_: Any, spec: Mapping[str, Any]) -> Image:
    """Raises InputError if the settings are not possible."""
    mean, std = (tuple(float(number) for number in spec[name]) for name in ("mean", "std"))
    height, width, channels = int(spec["height"]), int(spec["width"]), int(spec["channels"])
    sound = (
        channels in (1, 3)
        and len(mean) == len(std) == channels
        and all(value > 0 for value in std)
        and 1 <= height <= MAX_SIDE
        and 1 <= width <= MAX_SIDE
        and spec["fit"] in ("crop", "stretch")
    )
    if not sound:
        raise InputError(t("the image settings do not fit each other"), where="model.json")
    return Image(height, width, channels, mean, std, spec["fit"])
