"""Physical lines of a text file in any encoding, each bounded, so that a file without newlines fills no memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

from modelyard.methods.data.encoding import KEEP, Encoding
from modelyard.methods.data.rows import RAW_CHARACTERS, SURROGATE, Bad
from modelyard.methods.data.sources import Source, open_bytes

CHUNK_CHARACTERS = 1 << 18
LINE_FACTOR = 16
"""A line may hold this many cells of the greatest size before it is cut off unread."""

Line = tuple[int, "str | Bad"]


@dataclass(frozen=True)
class TextFile:
    """A text file and how to read it.

    Attributes:
        newline: what ends a line: `\\n` (`\\r\\n` included) or `\\r`.
        max_cell_bytes: the greatest cell; bounds the lines too.
    """

    source: Source
    encoding: Encoding
    newline: str
    max_cell_bytes: int

    def lines(self) -> Iterator[Line]:
        """Lines with their numbers from 1, ends kept; a line that cannot be one is Bad."""
        limit = LINE_FACTOR * self.max_cell_bytes
        with open_bytes(self.source) as (stream, _):
            text = io.TextIOWrapper(stream, encoding=self.encoding.name, errors=KEEP, newline=self.newline)
            number = 0
            while line := text.readline(limit):
                number += 1
                if len(line) == limit and not line.endswith(self.newline):
                    _skip_line(text, self.newline, limit)
                    yield number, Bad("line too long", f"over {limit:,} characters", line[:RAW_CHARACTERS])
                else:
                    yield number, self._checked(line)
            text.detach()

    def chunks(self) -> Iterator[str]:
        """The text in pieces, where lines mean nothing; bytes that do not decode come as lone surrogates."""
        with open_bytes(self.source) as (stream, _):
            text = io.TextIOWrapper(stream, encoding=self.encoding.name, errors=KEEP, newline="")
            while chunk := text.read(CHUNK_CHARACTERS):
                yield chunk
            text.detach()

    def _checked(self, line: str) -> str | Bad:
        if line.isascii():
            return Bad("NUL byte", "", line) if "\0" in line else line
        if "\0" in line:
            return Bad("NUL byte", "", line)
        if SURROGATE.search(line):
            return Bad("bytes that do not decode", f"as {self.encoding.name}", line)
        if self.encoding.mixed and self._is_utf8(line):
            return Bad("another encoding", f"UTF-8 in a file in {self.encoding.name}", line)
        return line

    def _is_utf8(self, line: str) -> bool:
        try:
            line.encode(self.encoding.name).decode("utf-8")
        except UnicodeError:
            return False
        return True


def newline_of(head: bytes) -> str:
    """`\\r` for files of the old Macintosh, which have no `\\n` at all; else `\\n`."""
    return "\r" if b"\r" in head and b"\n" not in head else "\n"


def _skip_line(text: io.TextIOWrapper, newline: str, limit: int) -> None:
    while rest := text.readline(limit):
        if rest.endswith(newline):
            return
