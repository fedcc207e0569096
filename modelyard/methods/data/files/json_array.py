"""A JSON array of objects, one object at a time, however long the array is and however it is broken into lines.

Only the ends of the elements are searched for here (brackets outside of strings); what is between is parsed as a line
of JSONL is, so that one bad object costs itself and no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.lines import LINE_FACTOR, TextFile
from modelyard.methods.data.rows import RAW_CHARACTERS, SURROGATE, Bad

MARK = re.compile(r'["\\{}\[\],]')
SPACE = " \t\r\n\ufeff"


def elements(file: TextFile) -> Iterator[tuple[int, str | Bad]]:
    """The text of each element with the line it begins on; one too long, with NUL or undecodable bytes is Bad.

    Raises:
        InputError: the file is no array, or ends before the array does.
    """
    scanner = _Scanner(LINE_FACTOR * file.max_cell_bytes)
    for chunk in file.chunks():
        yield from scanner.feed(chunk)
        if scanner.rest:
            raise InputError(
                t("text after the end of the JSON array"),
                where=f"{file.source.name}:{scanner.line}",
                expected=t("one array, or one object a line"),
            )
    if not scanner.is_closed:
        raise InputError(
            t("the JSON array is cut short"), where=file.source.name, remedy=t("copy or download the file again")
        )


class _Scanner:
    """Where an element begins and ends. `depth` is 1 between the elements of the array."""

    def __init__(self, limit: int) -> None:
        self.is_closed = False
        self.rest = ""
        self._limit = limit
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self.line = 1
        self._begin = 1
        self._parts: list[str] = []
        self._size = 0

    def feed(self, chunk: str) -> Iterator[tuple[int, str | Bad]]:
        if self.is_closed:
            self.rest = chunk.strip(SPACE)
            return
        start = 0
        skip = -1
        if self._escaped:
            skip, self._escaped = 0, False
        for match in MARK.finditer(chunk):
            at, mark = match.start(), match.group()
            if at == skip or (self._in_string and mark not in '"\\'):
                continue
            if mark == "\\":
                if self._in_string:
                    skip = at + 1
                    self._escaped = skip == len(chunk)
                continue
            if mark == '"':
                self._in_string = not self._in_string
                continue
            if mark in "{[":
                self._depth += 1
                if self._depth == 1:
                    start = at + 1
                    self.line += chunk.count("\n", 0, start)
                    self._begin = self.line
                continue
            if mark in "}]":
                self._depth -= 1
            if (self._depth == 1 and mark == ",") or self._depth == 0:
                self._take(chunk[start:at])
                yield from self._element()
                start = at + 1
                if self._depth == 0:
                    self.is_closed, self.rest = True, chunk[start:].strip(SPACE)
                    return
        if self._depth > 0:
            self._take(chunk[start:])

    def _take(self, part: str) -> None:
        """Keep a part of an element, as long as it is not too long to be one."""
        if not self._size:
            lead = len(part) - len(part.lstrip(SPACE))
            self.line += part.count("\n", 0, lead)
            part, self._begin = part[lead:], self.line
        self.line += part.count("\n")
        self._size += len(part)
        if self._size <= self._limit or not self._parts:
            self._parts.append(part if self._size <= self._limit else part[:RAW_CHARACTERS])

    def _element(self) -> Iterator[tuple[int, str | Bad]]:
        text, size = "".join(self._parts).rstrip(SPACE), self._size
        begin = self._begin
        self._parts, self._size = [], 0
        if size > self._limit:
            yield begin, Bad("line too long", f"over {self._limit:,} characters", text[:RAW_CHARACTERS])
        elif "\0" in text:
            yield begin, Bad("NUL byte", "", text)
        elif SURROGATE.search(text):
            yield begin, Bad("bytes that do not decode", "", text)
        elif text:
            yield begin, text
