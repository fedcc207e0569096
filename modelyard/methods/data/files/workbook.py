"""A workbook judged before it is opened: its kind, whether it is encrypted, and how large its sheets are.

The reader of workbooks lays a sheet out as a full grid up to its last cell. A few bytes that name the cell XFD1048576
would make that 17 thousand million cells, so the extent is read from the file first.
"""

from __future__ import annotations

import re
import xml.parsers.expat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.files import compound
from modelyard.methods.data.files.limits import ArchiveLimits
from modelyard.methods.data.files.zipped import ZipTree, directory_of, open_zip
from modelyard.methods.data.sources import Source

MAX_CELLS = 1 << 25
MAX_OLD_BYTES = 1 << 28
CELL = re.compile(r"([A-Za-z]{1,7})([0-9]{1,10})")
SHEET = re.compile(r"/(xl/worksheets/[^/]+|content)\.xml$", re.IGNORECASE)
SPREADSHEET = b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet"


@dataclass
class Extent:
    """What a sheet's cells reach, and what in them the reader cannot give.

    Attributes:
        num_uncalculated: formulas without a stored value.
        num_errors: cells that hold an error (`#DIV/0!`).
    """

    rows: int = 0
    columns: int = 0
    num_uncalculated: int = 0
    num_errors: int = 0

    def add(self, row: int, column: int) -> None:
        self.rows, self.columns = max(self.rows, row), max(self.columns, column)


def office_kind(source: Source) -> str:
    """What a zip is by its directory: `excel`, the name of another kind of document, or `` for an archive."""
    directory = directory_of(source.path, source.name).read(source.path)
    with source.path.open("rb") as stream:
        head = stream.read(200)
    if b"xl/workbook.xml" in directory or SPREADSHEET in head:
        return "excel"
    if b"xl/workbook.bin" in directory:
        return t("binary Excel (.xlsb)")
    if b"word/document.xml" in directory or b"opendocument.text" in head:
        return "Word"
    return "PowerPoint" if b"ppt/presentation.xml" in directory else ""


def check_workbook(source: Source, limits: ArchiveLimits) -> Extent:
    """Judge a workbook, all of its sheets together in the counts.

    Raises:
        InputError: it is encrypted, damaged, a bomb, or a sheet has more than MAX_CELLS cells.
    """
    with source.path.open("rb") as stream:
        head = stream.read(8)
    if head == compound.MAGIC:
        return _check_old(source)
    total = Extent()
    with open_zip(source.path, source.name, limits) as tree:
        for entry in tree.entries:
            if entry.name == "META-INF/manifest.xml" and _is_encrypted(tree):
                raise locked(source.name)
            for extent in _extents(tree, entry.name):  # of all members: any of them may be named as a sheet
                _check_extent(source.name, extent.rows, extent.columns)
                total.num_errors += extent.num_errors
                total.num_uncalculated += extent.num_uncalculated
    return total


def _check_old(source: Source) -> Extent:
    if source.size > MAX_OLD_BYTES:
        found = t("{n:,} bytes", n=source.size)
        raise InputError.of([Problem(source.name, found, t("at most {limit:,}", limit=MAX_OLD_BYTES), _as_xlsx())])
    data = source.path.read_bytes()
    try:
        names = compound.streams(data)
        if "EncryptedPackage" in names:
            raise locked(source.name)
        name = next((name for name in ("Workbook", "Book") if name in names), None)
        if name is None:
            found = t("a {kind} file", kind=t("old Office"))
            raise InputError(found, where=source.name, expected=t("a workbook"), remedy=_as_xlsx())
        for rows, columns in compound.sheet_extents(compound.stream_bytes(data, name)):
            _check_extent(source.name, rows, columns)
    except PermissionError:
        raise locked(source.name) from None
    except (compound.Damaged, StopIteration):
        raise broken(source.name, t("its container is not whole")) from None
    return Extent()


def _check_extent(name: str, rows: int, columns: int) -> None:
    if rows * columns > MAX_CELLS:
        raise InputError(
            t("a sheet of {rows:,} rows and {columns:,} columns", rows=rows, columns=columns),
            where=name,
            expected=t("at most {limit:,} cells", limit=MAX_CELLS),
            remedy=t("delete what stands far outside the table, or save it as CSV"),
        )


def _as_xlsx() -> str:
    return t("save it as .xlsx or CSV")


def locked(name: str) -> InputError:
    return InputError(
        t("the workbook is protected by a password"), where=name, remedy=t("save a copy without the password")
    )


def broken(name: str, reason: str) -> InputError:
    return InputError(
        t("the workbook is damaged: {reason}", reason=reason),
        where=name,
        remedy=t("open it in a spreadsheet program and save it again, or save it as CSV"),
    )


def _is_encrypted(tree: ZipTree) -> bool:
    with tree.open("META-INF/manifest.xml") as stream:
        return b"encryption-data" in stream.read(1 << 20)


def _extents(tree: ZipTree, name: str) -> Iterator[Extent]:
    walker: _Sheet | _Table = _Table() if name == "content.xml" else _Sheet()
    with tree.open(name) as stream:
        _parse(stream, walker, f"{tree.name}/{name}")
    yield from walker.extents


def _parse(stream: BinaryIO, walker: _Sheet | _Table, where: str) -> None:
    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: walker.start(_local(name), attributes)
    parser.EndElementHandler = lambda name: walker.end(_local(name))
    parser.CharacterDataHandler = walker.text
    parser.StartDoctypeDeclHandler = _no_doctype
    try:
        while chunk := stream.read(1 << 18):
            parser.Parse(chunk)
        parser.Parse(b"", True)
    except (ValueError, _Doctype) as error:
        raise broken(where, str(error)) from None
    except xml.parsers.expat.ExpatError as error:
        if SHEET.search(where):  # other members need not be XML at all
            raise broken(where, str(error)) from None


class _Doctype(Exception):
    """A document type declaration: no workbook has one, and entities are a bomb's fuse."""


def _no_doctype(*_: object) -> None:
    raise _Doctype("a document type declaration")


def _local(name: str) -> str:
    return name.rpartition(":")[2]


@dataclass
class _Sheet:
    """A sheet of .xlsx: `<row r="2"><c r="A2">`, where both places may be left out and then count up."""

    extents: list[Extent] = field(default_factory=lambda: [Extent()])
    row: int = 0
    column: int = 0
    is_formula: bool = False
    has_value: bool = False
    is_inside_value: bool = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            self.row, self.column = int(attributes.get("r", self.row + 1)), 0
        elif name == "c":
            self._cell(attributes)
        elif name == "f":
            self.is_formula = True
        elif name == "v":
            self.is_inside_value = True

    def end(self, name: str) -> None:
        self.is_inside_value = False
        if name == "c" and self.is_formula and not self.has_value:
            self.extents[0].num_uncalculated += 1

    def text(self, data: str) -> None:
        self.has_value = self.has_value or (self.is_inside_value and bool(data))

    def _cell(self, attributes: dict[str, str]) -> None:
        match = CELL.fullmatch(attributes.get("r", ""))
        self.column = _column(match[1]) if match else self.column + 1
        self.extents[0].add(int(match[2]) if match else self.row, self.column)
        self.extents[0].num_errors += attributes.get("t") == "e"
        self.is_formula = self.has_value = False


def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number


@dataclass
class _Table:
    """The sheets of .ods: rows and cells with the number of their repeats; empty ones count once another follows."""

    extents: list[Extent] = field(default_factory=list)
    row: int = 0
    column: int = 0
    last: int = 0
    repeats: int = 1
    cell_repeats: int = 1

    def start(self, name: str, attributes: dict[str, str]) -> None:
        values = {_local(key): value for key, value in attributes.items()}
        if name == "table":
            self.extents.append(Extent())
            self.row = 0
        elif name == "table-row":
            self.column = self.last = 0
            self.repeats = int(values.get("number-rows-repeated", 1))
        elif name in ("table-cell", "covered-table-cell"):
            self.cell_repeats = int(values.get("number-columns-repeated", 1))
            self.column += self.cell_repeats
            if "value-type" in values or "formula" in values:
                self.last = self.column
        elif name == "p":
            self.last = self.column

    def end(self, name: str) -> None:
        if name == "table-row":
            self.row += self.repeats
            if self.last and self.extents:
                self.extents[-1].add(self.row, self.last)

    def text(self, data: str) -> None:
        """Text does not matter here: `p` says that there is some."""
