"""CSV and TSV: quoted newlines, a delimiter found by the header, and recovery after a broken quote.

A row whose quote is never closed must not swallow the rows after it: only its first line is rejected and reading
goes on at the next. Dialect: RFC 4180 read strictly, and tab-separated values with or without quotes.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

import pyarrow as pa

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.lines import Line, TextFile
from modelyard.methods.data.rows import Bad, Row

DELIMITERS = (",", "\t", ";", "|")
NAMES = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
SNIFF_LINES = 200
SNIFF_CHARACTERS = 1 << 22

# The csv module's limit is one for the whole process and far below ours, which is counted in bytes and per column.
csv.field_size_limit(2**31 - 1)


class DelimitedReader:
    """One delimited text file. See `rows.Reader`.

    Args:
        delimiter: one character, or None to find it.
        quote: True, False, or None to find it (only tab-separated files are ever unquoted by themselves).
        columns: names that replace the header's, or stand for the one that is not there.
        header: whether the first record names the columns.
        wanted: column names that must be there: the surest sign of the right delimiter.
    """

    def __init__(
        self,
        file: TextFile,
        *,
        delimiter: str | None,
        quote: bool | None,
        header: bool,
        columns: Sequence[str] | None,
        wanted: Collection[str],
        prefer_tab: bool,
    ) -> None:
        self._file = file
        sample = _sample(file)
        self.delimiter = delimiter or _sniff(sample, set(wanted) if header else set(), prefer_tab, columns)
        self.quoted = self.delimiter != "\t" or _tab_quoted(file) if quote is None else quote
        self._has_header = header
        first = next(iter(self._records()), None)
        self.names = list(columns or (self._header(first) if header else []))
        self.types: list[pa.DataType] = [pa.string()] * len(self.names)
        name = t(NAMES[self.delimiter]) if self.delimiter in NAMES else repr(self.delimiter)
        self.described = t("delimiter {name}", name=name) + ("" if self.quoted else ", " + t("no quoting"))

    def _header(self, first: Row | None) -> list[str]:
        if first is None:
            raise InputError(t("the file holds no line that is not blank"), where=self._file.source.name)
        line, values, _ = first
        if isinstance(values, Bad):
            raise InputError(
                t("the header cannot be read: {reason}", reason=values.reason),
                where=f"{self._file.source.name}:{line}",
            )
        names = [str(value).strip().removeprefix("\ufeff") for value in values]
        return [name or f"column_{place}" for place, name in enumerate(names, start=1)]

    def rows(self) -> Iterator[Row]:
        records = self._records()
        if self._has_header:
            next(records, None)
        expected = len(self.names)
        for line, values, raw in records:
            if isinstance(values, list) and len(values) != expected:
                detail = f"{len(values)} instead of {expected}"
                yield line, Bad("wrong number of fields", detail, raw), raw
            else:
                yield line, values, raw

    def _records(self) -> Iterator[Row]:
        if not self.quoted:
            return _unquoted(self._file.lines(), self.delimiter)
        limit = 16 * self._file.max_cell_bytes
        return _Quoted(self._file.lines(), self.delimiter, limit).records()


def _sample(file: TextFile) -> list[str]:
    """The first lines that are not blank, SNIFF_LINES or SNIFF_CHARACTERS of them."""
    found: list[str] = []
    size = 0
    for _, line in islice(file.lines(), SNIFF_LINES):
        if isinstance(line, str) and line.strip("\r\n"):
            found.append(line)
            size += len(line)
        if size > SNIFF_CHARACTERS:
            break
    return found


def _unquoted(lines: Iterator[Line], delimiter: str) -> Iterator[Row]:
    for number, line in lines:
        if isinstance(line, Bad):
            yield number, line, line.raw
        elif text := line.rstrip("\r\n"):
            yield number, list(text.split(delimiter)), line


class _Unclosed(Exception):
    """A quoted field ran into the end, a bad line or the limit."""


class _Quoted:
    """Records of a quoted file. Lines taken for a record that fails are given back, except the first."""

    def __init__(self, lines: Iterator[Line], delimiter: str, limit: int) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._limit = limit
        self._back: deque[Line] = deque()
        self._taken: list[Line] = []

    def records(self) -> Iterator[Row]:
        while (item := self._next()) is not None:
            number, line = item
            if isinstance(line, Bad):
                yield number, line, line.raw
            elif '"' not in line:
                if text := line.rstrip("\r\n"):
                    yield number, list(text.split(self._delimiter)), line
            else:
                yield self._quoted(number, line)

    def _next(self) -> Line | None:
        return self._back.popleft() if self._back else next(self._lines, None)

    def _quoted(self, number: int, line: str) -> Row:
        self._taken = []
        try:
            values = next(csv.reader(self._feed(line), delimiter=self._delimiter, strict=True))
        except (_Unclosed, csv.Error) as error:
            self._back.extendleft(reversed(self._taken))
            return number, Bad("broken quoting", str(error), line), line
        return number, list(values), line + "".join(str(taken) for _, taken in self._taken)

    def _feed(self, line: str) -> Iterator[str]:
        """The record's first line, then as many more as the csv module asks for inside a quoted field."""
        yield line
        size = len(line)
        while True:
            item = self._next()
            if item is None:
                raise _Unclosed("a quote is not closed before the end of the file")
            self._taken.append(item)
            if isinstance(item[1], Bad):
                raise _Unclosed(f"a quoted field runs into a bad line ({item[1].kind})")
            size += len(item[1])
            if size > self._limit:
                raise _Unclosed(f"a quote is not closed within {self._limit:,} characters")
            yield item[1]


def _sniff(sample: list[str], wanted: set[str], prefer_tab: bool, columns: Sequence[str] | None) -> str:
    """The delimiter that makes the wanted names out of the header, else the one that cuts all lines alike."""
    if not sample:
        return "\t" if prefer_tab else ","
    order = ("\t", ",", ";", "|") if prefer_tab else DELIMITERS
    cut = {mark: [_cut(line, mark) for line in sample] for mark in order}
    for mark in order:
        if wanted and wanted <= {name.strip().removeprefix("\ufeff") for name in cut[mark][0]}:
            return mark
    width = len(columns) if columns else None

    def evenness(mark: str) -> tuple[float, int]:
        expected = width or len(cut[mark][0])
        share = sum(len(fields) == expected for fields in cut[mark]) / len(sample)
        return (share if expected > 1 else 0.0, -order.index(mark))

    return max(order, key=evenness)


def _cut(line: str, mark: str) -> list[str]:
    text = line.rstrip("\r\n")
    if mark == "\t" or '"' not in text:
        return text.split(mark)
    # A return inside a quoted cell may begin a line of its own here, which the csv module refuses.
    return next(csv.reader([text.replace("\r", " ")], delimiter=mark), [])


def _tab_quoted(file: TextFile) -> bool:
    """Whether a tab-separated file uses quotes, as spreadsheets write it, or holds texts that begin with one.

    A writer that quotes doubles the quotes inside; texts that merely begin with a quote seldom double any.
    """
    doubled = broken = 0
    for _, line in file.lines():
        if not isinstance(line, str) or '"' not in line:
            continue
        for field in line.rstrip("\r\n").split("\t"):
            if not field.startswith('"'):
                continue
            inner = field[1:-1]
            closed = len(field) > 1 and field.endswith('"') and '"' not in inner.replace('""', "")
            doubled += closed and '""' in inner
            broken += not closed
    return doubled > broken or (broken == 0 and _all_quoted(file))


def _all_quoted(file: TextFile) -> bool:
    fields = [
        field
        for _, line in islice(file.lines(), 50)
        if isinstance(line, str)
        for field in line.strip("\r\n").split("\t")
    ]
    return bool(fields) and all(len(field) > 1 and field[0] == field[-1] == '"' for field in fields)
