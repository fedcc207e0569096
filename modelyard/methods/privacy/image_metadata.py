"""Takes out of an encoded image what tells about people: EXIF with GPS and owner, XMP, IPTC, comments, thumbnails.

Pixels are never decoded and encoded again: segments (JPEG, ITU-T T.81), chunks (PNG, ISO/IEC 15948; WebP, RFC 9649) and
extensions (GIF89a) are left out, the rest is copied byte for byte. Orientation, which EXIF holds, is kept as the only
field of a new EXIF block where it matters. Colour profiles stay unless told otherwise: they may name a device.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_PERSONAL = {
    b"eXIf": "exif",
    b"tEXt": "text block",
    b"zTXt": "text block",
    b"iTXt": "text block",
    b"tIME": "time stamp",
    b"dSIG": "signature",
}
JPEG_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))
ORIENTATION = 0x0112
START_OF_IMAGE, END_OF_IMAGE, START_OF_SCAN = 0xD8, 0xD9, 0xDA


@dataclass(frozen=True)
class Stripped:
    """An image without what was personal.

    Attributes:
        data: its bytes; the same object if nothing was taken out.
        removed: kinds of what was taken out, in order, once each.
        format: jpeg, png, webp, gif, bmp, or `` if it is none of these.
    """

    data: bytes
    removed: tuple[str, ...]
    format: str


class BrokenImage(ValueError):
    """The image ends before it should, or its structure is not that of its format."""


def strip(data: bytes, keep_profile: bool = True) -> Stripped:
    """The image without personal metadata.

    Raises:
        BrokenImage: its structure cannot be followed to the end; what it holds is unknown then.
    """
    try:
        if data[:2] == b"\xff\xd8":
            return _jpeg(data, keep_profile)
        if data[:8] == PNG_SIGNATURE:
            return _png(data, keep_profile)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data, keep_profile)
        if data[:6] in (b"GIF87a", b"GIF89a"):
            return _gif(data)
    except (struct.error, IndexError) as error:
        raise BrokenImage("the image ends too early") from error
    return Stripped(data, (), "bmp" if data[:2] == b"BM" else "")


def _done(data: bytes, parts: list[bytes], removed: list[str], form: str) -> Stripped:
    return Stripped(b"".join(parts) if removed else data, tuple(dict.fromkeys(removed)), form)


def _jpeg(data: bytes, keep_profile: bool) -> Stripped:
    parts, removed = [data[:2]], list[str]()
    at = 2
    while True:
        if data[at] != 0xFF:
            raise BrokenImage("no marker where one must be")
        while data[at + 1] == 0xFF:
            at += 1
        marker = data[at + 1]
        if marker == END_OF_IMAGE:
            if at + 2 < len(data):
                removed.append("trailer")
            parts.append(data[at : at + 2])
            return _done(data, parts, removed, "jpeg")
        if marker in JPEG_ALONE:
            parts.append(data[at : at + 2])
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        segment = data[at : at + 2 + length]
        if length < 2 or len(segment) < 2 + length:
            raise BrokenImage("a segment is cut")
        at += len(segment)
        if marker == START_OF_SCAN:
            end = _scan_end(data, at)
            parts.append(segment + data[at:end])
            at = end
            continue
        kind = _jpeg_kind(marker, segment[4:], keep_profile)
        if kind == "exif" and (turned := _orientation(segment[10:])) > 1:
            minimal = _minimal_exif(turned)
            parts.append(b"\xff\xe1" + struct.pack(">H", len(minimal) + 8) + b"Exif\0\0" + minimal)
            if segment == parts[-1]:
                continue
        elif not kind:
            parts.append(segment)
            continue
        removed.append(kind)


def _scan_end(data: bytes, at: int) -> int:
    """Where the entropy-coded data end: at the next marker that is no stuffing and no restart."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0:
            raise BrokenImage("the picture is cut")
        if data[at + 1] != 0 and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 2


def _jpeg_kind(marker: int, body: bytes, keep_profile: bool) -> str:
    """What a segment is that must go, `` if it stays. JFIF and Adobe's colour transform are needed."""
    if marker == 0xFE:
        return "comment"
    if (
        not 0xE0 <= marker <= 0xEF
        or (marker == 0xE0 and body[:4] == b"JFIF")
        or (marker == 0xEE and body[:5] == b"Adobe")
    ):
        return ""
    if marker == 0xE2 and body[:12] == b"ICC_PROFILE\0":
        return "" if keep_profile else "icc"
    if marker == 0xE1:
        return "exif" if body[:6] == b"Exif\0\0" else "xmp"
    return {0xE0: "thumbnail", 0xE2: "thumbnail", 0xED: "iptc"}.get(marker, "application data")


def _orientation(tiff: bytes) -> int:
    """The orientation (1 to 8) in an EXIF block, 1 if it has none or cannot be read."""
    try:
        order = {b"II": "<", b"MM": ">"}[tiff[:2]]
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for place in range(min(count, 200)):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, start + 2 + 12 * place)
            if tag == ORIENTATION and kind == 3 and 1 <= value <= 8:
                return int(value)
    except (KeyError, struct.error):
        pass
    return 1


def _minimal_exif(orientation: int) -> bytes:
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, ORIENTATION, 3, 1, orientation, 0, 0)


def _png(data: bytes, keep_profile: bool) -> Stripped:
    parts, removed = [data[:8]], list[str]()
    at = 8
    while True:
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        chunk = data[at : at + 12 + length]
        if len(chunk) < 12 + length:
            raise BrokenImage("a chunk is cut")
        at += len(chunk)
        name = PNG_PERSONAL.get(kind, "icc" if kind == b"iCCP" and not keep_profile else "")
        turned = _orientation(chunk[8:-4]) if name == "exif" else 1
        if turned > 1:
            body = kind + _minimal_exif(turned)
            parts.append(struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)))
            name = "" if parts[-1] == chunk else name
            removed += [name] * bool(name)
        elif name:
            removed.append(name)
        else:
            parts.append(chunk)
        if kind == b"IEND":
            if at < len(data):
                removed.append("trailer")
            return _done(data, parts, removed, "png")


def _webp(data: bytes, keep_profile: bool) -> Stripped:
    (size,) = struct.unpack_from("<I", data, 4)
    if size + 8 > len(data):
        raise BrokenImage("the file is cut")
    removed = ["trailer"] if size + 8 < len(data) else []
    parts: list[bytes] = []
    at, flags_at, exif_flag = 12, -1, 0
    while at < size + 8:
        kind = data[at : at + 4]
        (length,) = struct.unpack_from("<I", data, at + 4)
        chunk = data[at : at + 8 + length + length % 2]
        if len(chunk) < 8 + length:
            raise BrokenImage("a chunk is cut")
        at += 8 + length + length % 2
        name = {b"EXIF": "exif", b"XMP ": "xmp"}.get(kind, "icc" if kind == b"ICCP" and not keep_profile else "")
        if name == "exif" and (turned := _orientation(chunk[8:].removeprefix(b"Exif\0\0"))) > 1:
            exif_flag, body = 0x08, _minimal_exif(turned)
            minimal = kind + struct.pack("<I", len(body)) + body
            parts.append(minimal)
            removed += [name] * (minimal != chunk)
            continue
        if name:
            removed.append(name)
            continue
        if kind == b"VP8X":
            flags_at = len(parts)
        parts.append(chunk)
    if removed and flags_at >= 0:
        head = bytearray(parts[flags_at])
        head[8] = (head[8] & ~(0x08 | 0x04 | (0 if keep_profile else 0x20)) & 0xFF) | exif_flag
        parts[flags_at] = bytes(head)
    body = b"WEBP" + b"".join(parts)
    return _done(data, [b"RIFF", struct.pack("<I", len(body)), body], removed, "webp")


def _gif(data: bytes) -> Stripped:
    reader = io.BytesIO(data)
    head = reader.read(13)
    parts, removed = [head + reader.read(3 << ((head[10] & 7) + 1) if head[10] & 0x80 else 0)], list[str]()
    while True:
        start = reader.tell()
        mark = reader.read(1)
        if mark == b";":
            parts.append(mark)
            if reader.read(1):
                removed.append("trailer")
            return _done(data, parts, removed, "gif")
        name = ""
        if mark == b"!":
            label = reader.read(1)
            name = "comment" if label == b"\xfe" else ""
            body = _blocks(reader)
            if label == b"\xff" and body[1:12] not in (b"NETSCAPE2.0", b"ANIMEXTS1.0"):
                name = "xmp" if body[1:9] == b"XMP Data" else "application data"
        elif mark == b",":
            descriptor = reader.read(9)
            reader.read((3 << ((descriptor[8] & 7) + 1) if descriptor[8] & 0x80 else 0) + 1)
            _blocks(reader)
        else:
            raise BrokenImage("no block where one must be")
        if name:
            removed.append(name)
        else:
            parts.append(data[start : reader.tell()])


def _blocks(reader: io.BytesIO) -> bytes:
    """Length-prefixed blocks up to the empty one."""
    found = bytearray()
    while True:
        size = reader.read(1)[0]
        block = reader.read(size)
        if len(block) < size:
            raise BrokenImage("a block is cut")
        found += bytes([size]) + block
        if size == 0:
            return bytes(found)
