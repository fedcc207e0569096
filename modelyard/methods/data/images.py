"""Images as encoded bytes: looked at once on the way in, so that no later step meets one that does not decode.

A file that is small on the disk may fill the memory when decoded (a decompression bomb), so the number of pixels is
read from its header and bounded before anything is decoded.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import warnings
from dataclasses import dataclass
from typing import Any

from PIL import Image, UnidentifiedImageError

from modelyard.methods.data.rows import Fault

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
"""What an image column may hold; Pillow's other parsers are never called."""
ADDRESS = re.compile(r"<[^>]*0x[0-9a-fA-F]+[^>]*>")


@dataclass(frozen=True)
class ImageLimits:
    """The greatest image: bytes as encoded, and pixels when decoded."""

    max_bytes: int = 1 << 25
    max_pixels: int = 50_000_000


def image_bytes(value: Any, limits: ImageLimits) -> bytes:
    """The encoded bytes of an image cell: bytes, base64 text, or a data URL. Raises Fault if they do not decode."""
    if value is None or value == "" or value == b"":
        raise Fault("no image")
    data = _from_text(value, limits) if isinstance(value, str) else value
    if not isinstance(data, bytes):
        raise Fault("image is not bytes", type(value).__name__)
    check_image(data, limits)
    return data


def check_image(data: bytes, limits: ImageLimits) -> None:
    """Raise Fault unless `data` is one whole image of FORMATS within the limits.

    Pillow's `verify` finds broken chunks (PNG) but reads no JPEG to its end, so the image is decoded too; a JPEG at an
    eighth of its size, which reads every byte of it in a fraction of the time.
    """
    if len(data) > limits.max_bytes:
        raise Fault("image too large", f"{len(data):,} bytes, over {limits.max_bytes:,}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own warning of large images; ours is the limit below
        try:
            _verify(data, limits)
        except Image.DecompressionBombError:
            raise Fault("image has too many pixels", f"over {limits.max_pixels:,}") from None
        except UnidentifiedImageError:
            raise Fault("not an image", f"PNG, JPEG, WebP, BMP or GIF; begins with {data[:8].hex()}") from None
        except (Fault, MemoryError):
            raise
        except (
            Exception
        ) as error:  # a decoder may fail on hostile bytes in any way; addresses in its words would differ
            raise Fault("image does not decode", ADDRESS.sub("", str(error))[:80]) from None


def _verify(data: bytes, limits: ImageLimits) -> None:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        width, height = image.size
        if width * height > limits.max_pixels:
            raise Fault("image has too many pixels", f"{width} x {height}, over {limits.max_pixels:,}")
        image.verify()
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        image.draft(None, (max(1, width // 8), max(1, height // 8)))
        image.load()


def _from_text(text: str, limits: ImageLimits) -> bytes:
    head, comma, rest = text.partition(",")
    encoded = rest if comma and head.startswith("data:image/") and head.endswith(";base64") else text
    if len(encoded) // 4 * 3 > limits.max_bytes + 3:
        raise Fault("image too large", f"over {limits.max_bytes:,} bytes")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Fault("image is not bytes", text[:40]) from None
