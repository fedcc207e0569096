"""data.read on workbooks: the rows the table saved as CSV would give, or a clear refusal."""

from __future__ import annotations

import datetime
import io
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from support import workbooks
from support.reading_files import pairs, read_bytes, run_as
from support.workbooks import SHEET, compound, ods, ods_row, record, replaced, saved, xls, xlsx

from modelyard.errors import InputError
from modelyard.methods.data.files import workbook

ROWS = [["text", "label"], ["a", 1], ["中文", 0]]


@pytest.mark.parametrize(
    "content",
    [
        xlsx(ROWS),
        xls(ROWS),
        ods('<table:table table:name="T">' + "".join(ods_row(*row) for row in ROWS) + "</table:table>"),
    ],
    ids=["xlsx", "xls", "ods"],
)
def test_each_kind_of_workbook_is_known_by_its_bytes(tmp_path: Path, content: bytes) -> None:
    rows, bad, context = read_bytes(tmp_path, content, "no_extension")
    assert (pairs(rows), bad) == ([("a", "1"), ("中文", "0")], [])
    assert "Excel" in context.said[0]


def test_values_become_the_text_that_csv_would_hold(tmp_path: Path) -> None:
    cells = {
        "whole": (3.0, "3"),
        "large": (10**14, "100000000000000"),
        "part": (2.5, "2.5"),
        "day": (datetime.date(2024, 1, 5), "2024-01-05"),
        "moment": (datetime.datetime(2024, 1, 5, 3, 4, 5), "2024-01-05T03:04:05"),  # noqa: DTZ001
        "clock": (datetime.time(3, 4), "03:04:00"),
        "hours": (datetime.timedelta(hours=30, minutes=5), "30:05:00"),
        "yes": (True, "true"),
        "nothing": (None, None),
        "digits": ("007", "007"),
    }
    content = xlsx([["text", "label", *cells], ["a", "x", *(value for value, _ in cells.values())]])
    rows, bad, _ = read_bytes(tmp_path, content, "data.xlsx")
    assert bad == []
    assert {name: rows[0].get(name) for name in cells} == {name: text for name, (_, text) in cells.items()}


def test_a_formula_gives_its_stored_value_and_one_without_is_said(tmp_path: Path) -> None:
    content = xlsx([["text", "label", "sum"], ["a", "x", "=1+1"], ["b", "y", "=2+2"]])
    # Whoever writes it (openpyxl with lxml or without) ends an empty element in its own way.
    stored = replaced(content, SHEET, lambda data: re.sub(rb"<f>1\+1</f><v\s*(/>|></v>)", b"<f>1+1</f><v>2</v>", data))
    assert stored != content
    rows, _, context = read_bytes(tmp_path, stored, "data.xlsx")
    assert [row["sum"] for row in rows] == ["2", None]
    assert any("1 formulas have no stored value" in line for line in context.said)


def test_cells_with_an_error_are_empty_and_said(tmp_path: Path) -> None:
    content = xlsx([["text", "label"], ["a", "x"], ["b", "#N/A"], ["c", "y"]])
    assert b't="e"' in open_member(content)
    rows, bad, context = read_bytes(tmp_path, content, "data.xlsx", max_bad_fraction=1.0)
    assert (pairs(rows), [row["line"] for row in bad]) == ([("a", "x"), ("c", "y")], [3])
    assert any("hold an error" in line for line in context.said)


def open_member(content: bytes) -> bytes:
    return zipfile.ZipFile(io.BytesIO(content)).read(SHEET)


def test_empty_rows_titles_and_a_table_that_begins_elsewhere(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet["B2"] = "Reviews of 2024"
    sheet.merge_cells("B2:D2")
    for row, values in {4: ("text", "label"), 5: ("a", "x"), 8: ("b", "y")}.items():
        sheet.cell(row, 3, values[0])
        sheet.cell(row, 4, values[1])
    rows, bad, context = read_bytes(tmp_path, saved(book), "data.xlsx")
    assert (pairs(rows), bad) == ([("a", "x"), ("b", "y")], [])
    assert [row["row_id"].split("-")[1] for row in rows] == ["1", "2"]
    assert "header in row 4" in context.said[0]
    assert any("rows above the header" in line for line in context.said)


def test_a_title_is_not_taken_for_the_header_when_no_column_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "data.xlsx").write_bytes(xlsx([["Reviews"], [], ["text", "label"], ["a", "x"]]))
    assert run_as(tmp_path, path="data.xlsx")[0][0]["text"] == "a"


def test_lines_of_rejected_rows_are_those_of_the_sheet(tmp_path: Path) -> None:
    content = xlsx([[], ["text", "label"], ["a", "x"], [], ["b", None]])
    _, bad, _ = read_bytes(tmp_path, content, "data.xlsx", max_bad_fraction=1.0)
    assert [(row["line"], row["reason"]) for row in bad] == [(5, "no label: label")]


def merged(rows: list[list[Any]], *ranges: str) -> bytes:
    book = openpyxl.load_workbook(io.BytesIO(xlsx(rows)))
    for area in ranges:
        book.active.merge_cells(area)
    return saved(book)


def test_a_value_merged_over_rows_is_that_of_each(tmp_path: Path) -> None:
    rows = [["text", "label"], ["a", "x"], ["b", None], ["c", None], ["d", "y"], ["e", None]]
    found, bad, _ = read_bytes(tmp_path, merged(rows, "B2:B4"), "data.xlsx", max_bad_fraction=1.0)
    assert pairs(found) == [("a", "x"), ("b", "x"), ("c", "x"), ("d", "y")]
    assert [row["line"] for row in bad] == [6]


def test_a_header_merged_over_rows_is_refused_and_one_over_columns_leaves_out_what_has_no_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="merged over rows 1 to 2"):
        read_bytes(tmp_path, merged([["text", "label"], [None, None], ["a", "x"]], "A1:A2"), "data.xlsx")
    wide = merged([["text", "label", None], ["a", "x", "more"]], "B1:C1")
    rows, _, context = read_bytes(tmp_path, wide, "data.xlsx")
    assert sorted(rows[0]) == ["label", "row_id", "text"]
    assert any("without a name" in line and ": C;" in line for line in context.said)
    rows, _, _ = read_bytes(tmp_path, wide, "data.xlsx", columns=["text", "label", "note"])
    assert rows[0]["note"] == "more"


def test_a_sheet_is_chosen_by_name_and_the_others_are_named(tmp_path: Path) -> None:
    content = xlsx([], Second=[["text", "label"], ["a", "x"]], Third=[["text", "label"], ["b", "y"]])
    rows, _, context = read_bytes(tmp_path, content, "data.xlsx")
    assert pairs(rows) == [("a", "x")]
    assert any("Third" in line for line in context.said)
    assert pairs(read_bytes(tmp_path, content, "data.xlsx", sheet="Third")[0]) == [("b", "y")]
    with pytest.raises(InputError, match="did you mean `Third`"):
        read_bytes(tmp_path, content, "data.xlsx", sheet="third")
    with pytest.raises(InputError, match="is empty"):
        read_bytes(tmp_path, content, "data.xlsx", sheet="Sheet")


@pytest.mark.parametrize(
    "content",
    [
        xls(ROWS, locked=True),
        compound({"EncryptionInfo": b"x", "EncryptedPackage": b"y"}),
        ods('<table:table table:name="T"/>', "<manifest:encryption-data/>"),
    ],
    ids=["xls", "xlsx", "ods"],
)
def test_a_workbook_with_a_password_is_refused_as_that(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="password"):
        read_bytes(tmp_path, content, "data.xlsx")


def far(content: bytes, cell: bytes) -> bytes:
    return replaced(content, SHEET, lambda data: data.replace(b'r="B3"', b'r="' + cell + b'"'))


def elsewhere(content: bytes) -> bytes:
    """The sheet under another name, which the workbook's relations give."""
    source, stream = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        for name in source.namelist():
            data = source.read(name).replace(b"worksheets/sheet1.xml", b"other/part.bin")
            target.writestr(name.replace("worksheets/sheet1.xml", "other/part.bin"), data)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (xlsx(ROWS)[:3_000], "cut short|damaged"),
        (xlsx(ROWS)[:-10], "cut short|damaged"),
        (replaced(xlsx(ROWS), SHEET, lambda data: data[:400]), "damaged"),
        (replaced(xlsx(ROWS), "xl/workbook.xml", lambda data: b"<nothing/>"), "damaged|no sheet"),
        (replaced(xlsx(ROWS), SHEET, lambda data: b'<!DOCTYPE a [<!ENTITY b "c">]>' + data), "document type"),
        (far(xlsx(ROWS), b"XFD1048576"), "16,384 columns"),
        (far(xlsx(ROWS), b"ZZZZZZ9999999999"), "at most"),
        (xls(ROWS)[:2_000], "damaged"),
        (xls(ROWS, extra=record(0x203, struct.pack("<HHHd", 65_535, 65_535, 0, 1.0))), "65,536 columns"),
        (xls([["a"]]).replace("Workbook".encode("utf-16-le"), "Worddocu".encode("utf-16-le")), "old Office"),
        (
            ods('<table:table table:name="T">' + ods_row(*"ab" * 40, repeat=1_000_000) + "</table:table>"),
            "1,000,000 rows",
        ),
        (b"PK\x03\x04" + bytes(200), "cut short"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "damaged"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "cut short"),
        (elsewhere(far(xlsx(ROWS), b"XFD1048576")), "16,384 columns"),
    ],
    ids=range(15),
)
def test_a_workbook_that_is_damaged_or_a_bomb_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_bytes(tmp_path, content, "data.xlsx")


def test_the_extent_of_an_ordinary_sheet_with_endless_empty_rows_is_that_of_its_values(tmp_path: Path) -> None:
    filler = (
        '<table:table-row table:number-rows-repeated="1048000"><table:table-cell '
        'table:number-columns-repeated="16384"/></table:table-row>'
    )
    body = '<table:table table:name="T">' + "".join(ods_row(*row) for row in ROWS) + filler + "</table:table>"
    assert len(read_bytes(tmp_path, ods(body), "data.ods")[0]) == 2


def test_other_documents_are_named(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        target.writestr("word/document.xml", "<w/>")
    with pytest.raises(InputError, match="Word"):
        read_bytes(tmp_path, stream.getvalue(), "data.docx")


def test_no_change_of_bytes_ends_in_anything_but_rows_or_a_refusal(tmp_path: Path) -> None:
    import random

    chance = random.Random(3)
    for whole in (xls(ROWS), workbooks.xlsx(ROWS)):
        for _ in range(40):
            broken = bytearray(whole)
            for _ in range(chance.randint(1, 5)):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            try:
                read_bytes(tmp_path, bytes(broken), "data.bin", max_bad_fraction=1.0)
            except InputError as error:
                assert str(error)  # noqa: PT017


def test_the_limit_of_cells_is_that_of_one_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MAX_CELLS", 5)
    with pytest.raises(InputError, match="3 rows and 2 columns"):
        read_bytes(tmp_path, xlsx(ROWS), "data.xlsx")
