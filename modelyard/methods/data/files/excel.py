"""One sheet of a workbook (.xlsx, .xls, .ods) as rows of text, as the same table saved as CSV would give.

Whole numbers lose their point, dates become ISO 8601, formulas give the value that was stored with them. A value merged
over several rows is that of each row.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetVisibleEnum

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods.data.files.limits import ArchiveLimits
from modelyard.methods.data.files.workbook import broken, check_workbook, locked
from modelyard.methods.data.rows import Bad, Row
from modelyard.methods.data.sources import Source

HEADER_ROWS = 20
"""So many rows are looked at for the header: titles and notes often stand above it."""
LARGEST_WHOLE = 1e15
Cells = list[Any]


class ExcelReader:
    """See `rows.Reader`; lines are the sheet's row numbers.

    Args:
        sheet: its name; None takes the first that is visible and not empty.
        header: whether a row names the columns; else `columns` does.
        columns: names instead of the header's.
        wanted: column names that must be there; the header is the first row that has them all.

    Raises:
        InputError: the workbook is damaged, encrypted or too large, there is no such sheet, or no header.
    """

    def __init__(
        self,
        source: Source,
        limits: ArchiveLimits,
        *,
        sheet: str | None,
        header: bool,
        columns: Sequence[str] | None,
        wanted: Collection[str],
    ) -> None:
        extent = check_workbook(source, limits)
        self._name = source.name
        self._sheet, others = _open(source, sheet)
        self._first_column = (self._sheet.start or (0, 0))[1]
        self._merged = _merged_down(self._sheet)
        self.notes = _notes(source.name, extent.num_uncalculated, extent.num_errors)
        number, cells = self._header(set(wanted)) if header else (0, [])
        self._header_row = number
        self._places = self._columns(cells, columns)
        self.types: list[pa.DataType] = [pa.string()] * len(self.names)
        self.described = t("sheet `{name}`", name=self._sheet.name)
        if header:
            self.described += ", " + t("header in row {row}", row=number)
        if others:
            self.notes.append(
                t("{file}: other sheets are not read: {names}", file=source.name, names=", ".join(others[:10]))
            )

    def rows(self) -> Iterator[Row]:
        width = len(self._places)
        for number, cells in self._cells():
            if number <= self._header_row or all(cell is None for cell in cells):
                continue
            if self._fixed and any(cell is not None for cell in cells[width:]):
                filled = max(place for place, cell in enumerate(cells) if cell is not None) + 1
                yield number, Bad("wrong number of fields", f"{filled} instead of {width}", str(cells)), ""
            else:
                yield number, [cells[place] if place < len(cells) else None for place in self._places], ""

    def _header(self, wanted: set[str]) -> tuple[int, Cells]:
        filled = (row for row in self._cells() if any(cell is not None for cell in row[1]))
        first = list(islice(filled, HEADER_ROWS))
        if not first:
            raise InputError(t("the sheet `{name}` is empty", name=self._sheet.name), where=self._name)
        fitting = (row for row in first if wanted and wanted <= {str(cell).strip() for cell in row[1]})
        several = (row for row in first if sum(cell is not None for cell in row[1]) > 1)  # a title is one cell
        number, cells = next(fitting, next(several, first[0]))
        if number != first[0][0]:
            self.notes.append(
                t("{file}: rows above the header are passed over: {n:,}", file=self._name, n=number - first[0][0])
            )
        tall = [cell for cell in self._merged if cell[0] <= number - 1 < cell[1]]
        if tall:
            raise InputError(
                t("the header is merged over rows {first} to {last}", first=tall[0][0] + 1, last=tall[0][1] + 1),
                where=f"{self._name}, {t('sheet `{name}`', name=self._sheet.name)}",
                expected=t("one row that names each column"),
                remedy=t("unmerge the header, or give the names: `header: false` and `columns: [...]`"),
            )
        return number, cells

    def _columns(self, header: Cells, columns: Sequence[str] | None) -> list[int]:
        """Fill `names`; returns the place of each in a row. Columns without a name are not kept."""
        self._fixed = columns is not None
        if columns is not None:
            self.names = list(columns)
            return list(range(len(columns)))
        places = [place for place, cell in enumerate(header) if cell is not None and str(cell).strip()]
        self.names = [str(header[place]).strip() for place in places]
        nameless = self._nameless(set(places))
        if nameless:
            self.notes.append(
                t(
                    "{file}: columns without a name (a merged header?) are not kept: {names}; `columns` names them",
                    file=self._name,
                    names=", ".join(nameless),
                )
            )
        return places

    def _nameless(self, places: set[int]) -> list[str]:
        used: set[int] = set()
        for number, cells in self._cells():
            if number > self._header_row:
                used.update(place for place, cell in enumerate(cells) if cell is not None)
        return [_letters(self._first_column + place) for place in sorted(used - places)]

    def _cells(self) -> Iterator[tuple[int, Cells]]:
        """Rows with their numbers from 1, from the sheet's first used column on, merged values repeated downwards."""
        start = 0 if self._sheet.start is None else self._sheet.start[0]
        held: dict[int, tuple[int, Any]] = {}
        waiting = iter([*self._merged, None])
        coming = next(waiting)
        for row, values in enumerate(self._sheet.iter_rows()):
            if row < start:
                continue
            cells = [_text(value) for value in values]
            for column, (last, value) in list(held.items()):
                if row > last:
                    del held[column]
                elif cells[column] is None:
                    cells[column] = value
            while coming is not None and coming[0] <= row:
                if coming[0] == row and coming[2] < len(cells):
                    held[coming[2]] = (coming[1], cells[coming[2]])
                coming = next(waiting)
            yield row + 1, cells


def _open(source: Source, wanted: str | None) -> tuple[CalamineSheet, list[str]]:
    try:
        book = CalamineWorkbook.from_path(str(source.path))
        if wanted is not None:
            if wanted not in book.sheet_names:
                raise InputError(
                    t("there is no sheet `{name}`", name=wanted),
                    where=source.name,
                    remedy=did_you_mean(wanted, book.sheet_names),
                )
            return book.get_sheet_by_name(wanted), []
        visible = [item.name for item in book.sheets_metadata if item.visible == SheetVisibleEnum.Visible]
        sheets = ((name, book.get_sheet_by_name(name)) for name in visible or book.sheet_names)
        name, sheet = next((pair for pair in sheets if pair[1].end is not None), (None, None))
        if sheet is None:
            raise InputError(t("the workbook holds no sheet with a value"), where=source.name)
        return sheet, [other for other in book.sheet_names if other != name]
    except PasswordError:
        raise locked(source.name) from None
    except (CalamineError, OSError, ValueError) as error:
        raise broken(source.name, str(error)[:200]) from None


def _merged_down(sheet: CalamineSheet) -> list[tuple[int, int, int]]:
    """First row, last row and column (from the first used one, zero-based) of what is merged over several rows."""
    left = (sheet.start or (0, 0))[1]
    ranges = sheet.merged_cell_ranges or []
    return sorted(
        (top, bottom, column - left)
        for (top, column), (bottom, right) in ranges
        if bottom > top and right == column and column >= left
    )


def _notes(name: str, num_uncalculated: int, num_errors: int) -> list[str]:
    notes = []
    if num_uncalculated:
        notes.append(
            t(
                "{file}: {n:,} formulas have no stored value and are read as empty; save the file in a spreadsheet "
                "program first",
                file=name,
                n=num_uncalculated,
            )
        )
    if num_errors:
        text = t("{file}: {n:,} cells hold an error such as #DIV/0! and are read as empty", file=name, n=num_errors)
        notes.append(text)
    return notes


def _text(value: Any) -> str | None:
    """A cell as text; None if it is empty."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < LARGEST_WHOLE else repr(value)
    if isinstance(value, datetime.timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3_600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


def _letters(column: int) -> str:
    """A column's name in the sheet, from its zero-based number."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
