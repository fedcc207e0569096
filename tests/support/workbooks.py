"""Workbooks made by hand: .xls and .ods, which no library here writes, and .xlsx with a part of it replaced."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import openpyxl

SECTOR = 512
END, FREE, TABLE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def xlsx(rows: Sequence[Sequence[Any]], **sheets: Sequence[Sequence[Any]]) -> bytes:
    """A workbook whose first sheet is `Sheet`."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    for name, others in sheets.items():
        sheet = book.create_sheet(name)
        for row in others:
            sheet.append(list(row))
    return saved(book)


def saved(book: openpyxl.Workbook) -> bytes:
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def replaced(content: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """A zip with one member changed."""
    source, stream = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for item in source.namelist():
            data = source.read(item)
            target.writestr(item, change(data) if item == name else data)
    return stream.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def ods(body: str, manifest: str = "") -> bytes:
    """An OpenDocument spreadsheet; `body` holds `table:table` elements."""
    namespaces = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for short, name in (("office", "office"), ("table", "table"), ("text", "text"))
    )
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {namespaces} office:version="1.2">'
        f"<office:body><office:spreadsheet>{body}</office:spreadsheet></office:body></office:document-content>"
    )
    entries = (
        '<manifest:file-entry manifest:full-path="/" '
        'manifest:media-type="application/vnd.oasis.opendocument.spreadsheet"/>'
        f'<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml">{manifest}'
        "</manifest:file-entry>"
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        target.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        target.writestr("content.xml", content)
        target.writestr(
            "META-INF/manifest.xml",
            '<?xml version="1.0"?><manifest:manifest '
            f'xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">{entries}</manifest:manifest>',
        )
    return stream.getvalue()


def ods_row(*cells: str | float, repeat: int = 1) -> str:
    found = "".join(
        f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>'
        if isinstance(cell, str)
        else f'<table:table-cell office:value-type="float" office:value="{cell}"><text:p>{cell}</text:p>'
        "</table:table-cell>"
        for cell in cells
    )
    return f'<table:table-row table:number-rows-repeated="{repeat}">{found}</table:table-row>'


def compound(streams: Mapping[str, bytes]) -> bytes:
    """A compound file ([MS-CFB], version 3); every stream is made long enough to lie in sectors of its own."""
    body, table, entries = bytearray(), [], []
    for name, data in streams.items():
        data = data.ljust(4_096, b"\0")
        data += bytes(-len(data) % SECTOR)
        entries.append((name, 2, len(table), len(data)))
        count = len(data) // SECTOR
        table += [*range(len(table) + 1, len(table) + count), END]
        body += data
    directory = b"".join(_entry(*entry, len(entries)) for entry in [("Root Entry", 5, END, 0), *entries])
    directory += bytes(-len(directory) % SECTOR)
    start = len(table)
    count = len(directory) // SECTOR
    table += [*range(start + 1, start + count), END]
    table.append(TABLE)
    assert len(table) <= SECTOR // 4
    words = table + [FREE] * (SECTOR // 4 - len(table))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, 1, start, 0, 4_096, END, 0, END, 0)
    header += struct.pack("<109I", len(table) - 1, *([FREE] * 108))
    return header + bytes(body) + directory + struct.pack(f"<{SECTOR // 4}I", *words)


def _entry(name: str, kind: int, start: int, size: int, num_streams: int) -> bytes:
    text = (name + "\0").encode("utf-16-le")
    is_root = kind == 5
    child = 1 if is_root and num_streams else FREE
    number = 0 if is_root else None
    right = FREE
    return (
        text.ljust(64, b"\0")
        + struct.pack("<HBBIII", len(text), kind, 1, FREE, right if number is None else FREE, child)
        + bytes(36)
        + struct.pack("<IQ", start, size)
    )


def record(kind: int, data: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def xls(rows: Sequence[Sequence[str | float]], name: str = "Sheet1", extra: bytes = b"", locked: bool = False) -> bytes:
    """A BIFF8 workbook of one sheet; `extra` holds more records of the sheet."""
    begin = record(0x809, struct.pack("<HHHHII", 0x600, 5, 0x0DBB, 1996, 0, 6))
    begin_sheet = record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0x0DBB, 1996, 0, 6))
    lock = record(0x2F, struct.pack("<HHH", 1, 1, 1) + bytes(48)) if locked else b""
    text = name.encode("latin-1")
    length = 4 + 8 + len(text)
    at = len(begin) + len(lock) + length + 4
    sheet = record(0x85, struct.pack("<IBBBB", at, 0, 0, len(text), 0) + text)
    cells = b""
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            if isinstance(value, str):
                data = value.encode("utf-16-le")
                cells += record(0x204, struct.pack("<HHHHB", row, column, 0, len(value), 1) + data)
            else:
                cells += record(0x203, struct.pack("<HHHd", row, column, 0, value))
    book = begin + lock + sheet + record(0x0A) + begin_sheet + cells + extra + record(0x0A)
    return compound({"Workbook": book})
