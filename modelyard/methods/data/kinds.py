"""Kinds of files told apart by their first bytes; an extension is only a hint between texts that look alike."""

from __future__ import annotations

import re

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.sources import ZIP, Source

FOREIGN = {
    b"%PDF": "PDF",
    b"PK\x05\x06": "zip",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7-Zip",
    b"Rar!": "RAR",
    b"SQLite format 3": "SQLite",
    b"\x7fELF": "program",
    b"\x89HDF": "HDF5",
    b"OggS": "Ogg",
    b"\x80\x02": "pickle",
    b"\x80\x03": "pickle",
    b"\x80\x04": "pickle",
    b"\x80\x05": "pickle",
}
EXCEL = (ZIP, b"\xd0\xcf\x11\xe0")
CONTROL = bytes(code for code in range(32) if code not in b"\t\n\r\f\x1b")


def sniff_format(source: Source, head: bytes) -> str:
    """`parquet`, `arrow`, `arrow-stream`, `excel`, `json`, `jsonl`, `tsv` or `csv`, by content, then by extension.

    Raises:
        InputError: the file is of a kind that is not read, and which.
    """
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"ARROW1"):
        return "arrow"
    if head.startswith(b"\xff\xff\xff\xff"):
        return "arrow-stream"
    if head.startswith(EXCEL):
        return "excel"
    foreign = next((kind for magic, kind in FOREIGN.items() if head.startswith(magic)), None)
    if foreign:
        raise another_kind(source.name, foreign)
    name = source.name.lower().removesuffix(".gz").removesuffix(".zst")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if name.endswith((".jsonl", ".ndjson", ".json")) or start.startswith((b'{"', b"{ ")):
        return "json" if start.startswith(b"[") else "jsonl"
    if re.match(rb"\[\s*\{\s*\"", start):
        return "json"
    return "tsv" if name.endswith((".tsv", ".tab")) else "csv"


def kinds_read() -> str:
    return t("CSV, TSV, JSON, JSONL, Parquet, Arrow or Excel, plain or in gzip or zstd; a zip or tar of them")


def another_kind(name: str, kind: str) -> InputError:
    """The refusal of a file of a kind that is not read."""
    is_image = kind in ("PNG", "JPEG", "GIF")
    return InputError(
        t("a {kind} file", kind=kind),
        where=name,
        expected=kinds_read(),
        remedy=t("name the folder of the images") if is_image else t("save it as one of these"),
    )


def refuse_binary(source: Source, head: bytes) -> None:
    """Raise InputError if `head` is no text in any encoding: many control bytes that no text has."""
    controls = len(head) - len(head.translate(None, CONTROL))
    share = controls / len(head)
    if share > 0.3 or (share > 0.05 and not _is_utf8(head)):
        raise InputError(
            t("binary data: {share:.0%} of its first bytes are control characters", share=share),
            where=source.name,
            expected=kinds_read(),
        )


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and error.reason == "unexpected end of data"
    return True
