"""Old Excel files (`.xls`): the compound file around the workbook, read far enough to judge it before it is opened.

Formats: [MS-CFB] for the container, [MS-XLS] for the records (type and length, 2 bytes each, before every one).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
FREE = 0xFFFFFFFA
"""Sector numbers from here on are marks: end of chain, free, allocation tables."""
FILE_PASS = 0x2F
BEGIN = (0x809, 0x409, 0x209)
MULTIPLE = (0xBD, 0xBE)
CELLS = (0x203, 0x204, 0xFD, 0x27E, 0x06, 0x205, 0xD6, *MULTIPLE)


class Damaged(Exception):
    """The container is not whole."""


def streams(data: bytes) -> dict[str, tuple[int, int]]:
    """Streams by name: first sector and size. Raises Damaged."""
    return {name: (start, size) for name, kind, start, size in _directory(data) if kind == 2}


def _directory(data: bytes) -> Iterator[tuple[str, int, int, int]]:
    table = _table(data)
    raw = _chain(data, table, _u32(data, 48))
    for at in range(0, len(raw) - 127, 128):
        length = min(struct.unpack_from("<H", raw, at + 64)[0], 64)
        name = raw[at : at + max(0, length - 2)].decode("utf-16-le", errors="replace")
        yield name, raw[at + 66], _u32(raw, at + 116), _u32(raw, at + 120)


def stream_bytes(data: bytes, name: str) -> bytes:
    """The bytes of a stream, the small ones out of the root's own. Raises Damaged; KeyError if there is none."""
    table = _table(data)
    start, size = streams(data)[name]
    if size >= _u32(data, 56):
        return _chain(data, table, start)[:size]
    root = next(first for _, kind, first, _ in _directory(data) if kind == 5)
    small, small_table = _chain(data, table, root), _words(_chain(data, table, _u32(data, 60)))
    found = bytearray()
    for sector in _follow(small_table, start):
        found += small[sector * 64 : sector * 64 + 64]
    return bytes(found[:size])


def sheet_extents(workbook: bytes) -> Iterator[tuple[int, int]]:
    """Rows and columns that the cells of each substream reach. Raises PermissionError if it is encrypted."""
    rows = columns = at = 0
    while at + 4 <= len(workbook):
        kind, length = struct.unpack_from("<HH", workbook, at)
        body = workbook[at + 4 : at + 4 + length]
        at += 4 + length
        if kind == FILE_PASS:
            raise PermissionError
        if kind in BEGIN:
            yield rows, columns
            rows = columns = 0
        elif kind in CELLS and len(body) >= 4:
            row, column = struct.unpack_from("<HH", body)
            last = struct.unpack_from("<H", body, len(body) - 2)[0] if kind in MULTIPLE else column
            rows, columns = max(rows, row + 1), max(columns, column + 1, last + 1)
    yield rows, columns


def _table(data: bytes) -> list[int]:
    """The allocation table: the sector that follows each sector."""
    if len(data) < 512 or not data.startswith(MAGIC):
        raise Damaged
    sectors = list(struct.unpack_from("<109I", data, 76))
    following, width = _u32(data, 68), _sector_bytes(data)
    for _ in range(len(data) // width):
        if following >= FREE:
            break
        words = _words(_sector(data, following))
        sectors += words[:-1]
        following = words[-1]
    return [word for sector in sectors if sector < FREE for word in _words(_sector(data, sector))]


def _chain(data: bytes, table: list[int], start: int) -> bytes:
    return b"".join(_sector(data, sector) for sector in _follow(table, start))


def _follow(table: list[int], start: int) -> Iterator[int]:
    for _ in range(len(table)):
        if start >= FREE:
            return
        if start >= len(table):
            raise Damaged
        yield start
        start = table[start]
    if start < FREE:
        raise Damaged


def _sector(data: bytes, number: int) -> bytes:
    width = _sector_bytes(data)
    return data[(number + 1) * width : (number + 2) * width]


def _sector_bytes(data: bytes) -> int:
    shift = int(struct.unpack_from("<H", data, 30)[0])
    if shift not in (9, 12):
        raise Damaged
    return 1 << shift


def _words(data: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4]))


def _u32(data: bytes, at: int) -> int:
    if at + 4 > len(data):
        raise Damaged
    return int(struct.unpack_from("<I", data, at)[0])
