"""Event files as TensorBoard reads them, without its library: TFRecord frames around two small protocol buffers.

A frame is the length (uint64), its masked CRC-32C, the bytes, their masked CRC-32C, all little-endian (TensorFlow,
`tfrecord`). The event: 1 wall_time (double), 2 step (varint), 3 file_version or 5 summary; a value of a summary (1):
1 tag, 2 simple_value (float).
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path

POLYNOMIAL = 0x82F63B78
"""CRC-32C (Castagnoli), reflected."""


def _table() -> list[int]:
    table = []
    for number in range(256):
        for _ in range(8):
            number = (number >> 1) ^ (POLYNOMIAL if number & 1 else 0)
        table.append(number)
    return table


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """The checksum of iSCSI (RFC 3720, B.4)."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def frame(data: bytes) -> bytes:
    """One TFRecord."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", _masked(length)) + data + struct.pack("<I", _masked(data))


def _masked(data: bytes) -> int:
    value = crc32c(data)
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _text(field: int, data: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(data)) + data


def event(wall_time: float, step: int, values: Mapping[str, float]) -> bytes:
    """An event with one point of each curve."""
    points = [_text(1, name.encode()) + b"\x15" + struct.pack("<f", value) for name, value in values.items()]
    summary = b"".join(_text(1, point) for point in points)
    return b"\x09" + struct.pack("<d", wall_time) + b"\x10" + _varint(step) + _text(5, summary)


class EventFile:
    """One file of events in a folder; a run that goes on writes another beside it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.modelyard.{os.getpid()}.{time.monotonic_ns()}"
        self._stream = (folder / name).open("xb")
        self._write(b"\x09" + struct.pack("<d", time.time()) + _text(3, b"brain.Event:2"))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """One point of each curve."""
        self._write(event(time.time(), step, {name: float(value) for name, value in values.items()}))

    def close(self) -> None:
        """End the file."""
        self._stream.close()

    def _write(self, data: bytes) -> None:
        self._stream.write(frame(data))
        self._stream.flush()
