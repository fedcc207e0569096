"""What every reader of a format hands on: rows with the line they stand on, or the reason why one is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from modelyard.base.messages import t

RAW_CHARACTERS = 2_000
SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that cannot be used.

    Attributes:
        kind: the kind of fault, for counting; English, since it is stored with the data.
        detail: what exactly, may be empty.
        raw: the row as it stands in the file; cut to RAW_CHARACTERS when stored.
    """

    kind: str
    detail: str
    raw: str

    @property
    def reason(self) -> str:
        return f"{self.kind}: {self.detail}" if self.detail else self.kind

    @property
    def told(self) -> str:
        """The reason in the user's language; what is kept beside the data stays in English."""
        return f"{t(self.kind)}: {self.detail}" if self.detail else t(self.kind)


class Fault(Exception):
    """A value that cannot be what its role asks for. `kind` and `detail` as of `Bad`."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail


Row = tuple[int, "list[Any] | Bad", str]
"""Line (or record) number in the file, 1-based; the values in column order, or the fault; the raw row if a text."""


class Reader(Protocol):
    """One opened file.

    Attributes:
        names: its columns.
        types: Arrow type by column, when the file knows; text files have strings only.
        described: one line on how it is read, for the user.

    A file that says itself what its columns are (a folder of images) also has `own_roles`: column name to role.
    """

    names: list[str]
    types: list[pa.DataType]
    described: str

    def rows(self) -> Iterator[Row]:
        """Every record once, good or bad, in order; raw is `` where it can be made from the values."""
        ...


def printable(raw: str) -> str:
    """A raw row as a string that can be stored: cut, NUL and undecodable bytes as escapes like \\x00."""
    text = raw[:RAW_CHARACTERS].rstrip("\r\n").replace("\0", "\\x00")
    return SURROGATE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code - 0xDC00:02x}" if 0xDC00 <= code <= 0xDCFF else f"\\u{code:04x}"
