"""Archives written byte by byte, so that they can say what no honest writer says."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass


def zipped(files: dict[str, bytes], **extra: object) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return stream.getvalue()


@dataclass
class Item:
    """A member of a zip as it is to be written; sizes that are None are true."""

    name: str | bytes
    data: bytes = b"text,label\na,x\n"
    mode: int = 0o100644
    flags: int = 0x800
    method: int = 8
    claimed_size: int | None = None
    local_name: bytes | None = None
    at: int | None = None
    crc: int | None = None


def raw_zip(items: Sequence[Item], prefix: bytes = b"", claimed_number: int | None = None) -> bytes:
    """A zip of those items; `at` makes a member point at the bytes of another."""
    body, directory, starts = bytearray(prefix), bytearray(), []
    for item in items:
        name = item.name if isinstance(item.name, bytes) else item.name.encode()
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = packer.compress(item.data) + packer.flush() if item.method == 8 else item.data
        size = len(item.data) if item.claimed_size is None else item.claimed_size
        crc = zlib.crc32(item.data) if item.crc is None else item.crc
        shared = struct.pack("<HHHHHIII", 20, item.flags, item.method, 0, 0x21, crc, len(packed), size)
        start = len(body) if item.at is None else starts[item.at]
        starts.append(start)
        if item.at is None:
            local = item.local_name or name
            body += b"PK\x03\x04" + shared + struct.pack("<HH", len(local), 0) + local + packed
        directory += b"PK\x01\x02" + struct.pack("<H", 0x0314) + shared
        directory += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, item.mode << 16, start) + name
    number = len(items) if claimed_number is None else claimed_number
    end = struct.pack("<HHHHIIH", 0, 0, number, number, len(directory), len(body), 0)
    return bytes(body) + bytes(directory) + b"PK\x05\x06" + end


def tar_header(name: bytes, size: int = 0, kind: bytes = b"0", link: bytes = b"", prefix: bytes = b"") -> bytes:
    digits = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    block = bytearray(
        name.ljust(100, b"\0")
        + b"0000644\0" + b"0000000\0" + b"0000000\0" + digits + b"00000000000\0" + b" " * 8
        + kind + link.ljust(100, b"\0") + b"ustar\x0000" + bytes(80) + prefix.ljust(155, b"\0") + bytes(12)
    )  # fmt: skip
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def tar_member(name: str | bytes, data: bytes = b"text,label\na,x\n", kind: bytes = b"0", link: bytes = b"") -> bytes:
    raw = name if isinstance(name, bytes) else name.encode()
    return tar_header(raw, len(data), kind, link) + data + bytes(-len(data) % 512)


def pax(records: dict[str, str], kind: bytes = b"x") -> bytes:
    body = b""
    for key, value in records.items():
        rest = f" {key}={value}\n".encode()
        length = len(rest)
        while length != len(str(length)) + len(rest):
            length = len(str(length)) + len(rest)
        body += str(length).encode() + rest
    return tar_member("pax", body, kind)


def tarred(*members: bytes) -> bytes:
    return b"".join(members) + bytes(1_024)
