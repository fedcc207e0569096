"""Small pictures, and one that promises to be large."""

from __future__ import annotations

import io
import random
import struct
import zlib

from PIL import Image


def picture(form: str = "PNG", size: tuple[int, int] = (24, 18), seed: int = 0) -> bytes:
    """Noise, so that no format makes it small."""
    values = random.Random(seed).randbytes(size[0] * size[1] * 3)
    stream = io.BytesIO()
    Image.frombytes("RGB", size, values).save(stream, form)
    return stream.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises `width` x `height` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )
