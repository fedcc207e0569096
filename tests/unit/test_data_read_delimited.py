"""data.read on CSV and TSV: every record ends in the data or beside it with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.reading_files import pairs, read_bytes, run

from modelyard.errors import InputError
from modelyard.stages.data import read


def test_quoted_newlines_delimiters_and_quotes_stay_inside_their_cell(tmp_path: Path) -> None:
    rows, bad, _ = read_bytes(tmp_path, b'text,label\n"a\nb, ""c""",x\nd,y\n')
    assert pairs(rows) == [('a\nb, "c"', "x"), ("d", "y")]
    assert not bad


def test_a_quote_that_is_never_closed_costs_its_own_line_only(tmp_path: Path) -> None:
    lines = "".join(f"row {n},x\n" for n in range(50))
    rows, bad, _ = read_bytes(tmp_path, b'text,label\nfirst,x\n"open,x\n' + lines.encode() + b"last,y\n")
    assert [row["text"] for row in rows] == ["first", *(f"row {n}" for n in range(50)), "last"]
    assert [(row["line"], row["source"], row["raw"]) for row in bad] == [(3, "data.csv", '"open,x')]
    assert bad[0]["reason"].startswith("broken quoting")


def test_a_row_with_another_number_of_fields_is_kept_apart_with_its_line(tmp_path: Path) -> None:
    good = b"".join(b"t%d,x\n" % n for n in range(40))
    rows, bad, context = read_bytes(tmp_path, b"text,label\n" + good + b"a,b,c\n")
    assert len(rows) == 40
    assert bad == [
        {
            "row_id": bad[0]["row_id"],
            "source": "data.csv",
            "line": 42,
            "reason": "wrong number of fields: 3 instead of 2",
            "raw": "a,b,c",
        }
    ]
    assert context.value("data.rows") == 40
    assert context.value("data.rejected_rate") == pytest.approx(1 / 41)
    assert any("wrong number of fields: 1" in line for line in context.said)


def test_too_many_bad_rows_stop_the_step_and_the_first_are_named_with_their_lines(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_bytes(tmp_path, b"text,label\na,x\nb\nc,y\nd\n")
    assert "2 of 4 rows cannot be used" in str(caught.value)
    assert "data.csv:3" in str(caught.value)
    assert "data.csv:5" in str(caught.value)
    rows, bad, _ = run(tmp_path, max_bad_fraction=0.5)
    assert (len(rows), len(bad)) == (2, 2)


def test_nul_bytes_make_their_row_bad_and_no_other(tmp_path: Path) -> None:
    body = b"".join(b"text %d,x\n" % n for n in range(30))
    rows, bad, _ = read_bytes(tmp_path, b"text,label\n" + body + b"a\0b,x\n")
    assert len(rows) == 30
    assert (bad[0]["reason"], bad[0]["raw"]) == ("NUL byte", "a\\x00b,x")


@pytest.mark.parametrize("quoted", [True, False])
def test_a_cell_of_ten_megabytes_is_rejected_and_only_its_beginning_kept(tmp_path: Path, quoted: bool) -> None:
    cell = b"x" * (10 << 20)
    cell = b'"' + cell + b'"' if quoted else cell
    body = b"".join(b"text %d,x\n" % n for n in range(30))
    rows, bad, _ = read_bytes(tmp_path, b"text,label\n" + cell + b",x\n" + body)
    assert len(rows) == 30
    assert bad[0]["reason"] == "cell too large: text: 10,485,760 bytes, over 1,048,576"
    assert len(bad[0]["raw"]) == 2_000


def test_a_line_without_end_is_cut_off_unread(tmp_path: Path) -> None:
    body = b"".join(b"text %d,x\n" % n for n in range(30))
    rows, bad, _ = read_bytes(tmp_path, b"text,label\n" + b"x" * 50_000 + b",x\n" + body, max_cell_bytes=1_000)
    assert len(rows) == 30
    assert bad[0]["reason"].startswith("line too long")


def test_a_cell_just_at_the_limit_stays_counted_in_bytes_not_characters(tmp_path: Path) -> None:
    content = "text,label\n好好,x\n好好好,x\n".encode()
    rows, bad, _ = read_bytes(tmp_path, content, max_cell_bytes=6, max_bad_fraction=1.0)
    assert (pairs(rows), len(bad)) == ([("好好", "x")], 1)


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_the_delimiter_is_found_by_the_columns_that_are_asked_for(tmp_path: Path, delimiter: str) -> None:
    content = f"id{delimiter}text{delimiter}label\n1{delimiter}a b{delimiter}x\n"
    rows, _, _ = read_bytes(tmp_path, content.encode())
    assert (rows[0]["id"], rows[0]["text"], rows[0]["label"]) == ("1", "a b", "x")


def test_tab_separated_texts_that_begin_with_a_quote_do_not_swallow_rows(tmp_path: Path) -> None:
    content = b'text\tlabel\n"well said\tx\nhe said "no"\tx\n"quoted" and more\ty\n'
    rows, bad, _ = read_bytes(tmp_path, content, "data.tsv")
    assert [row["text"] for row in rows] == ['"well said', 'he said "no"', '"quoted" and more']
    assert not bad


def test_tab_separated_files_of_spreadsheets_are_unquoted(tmp_path: Path) -> None:
    content = b'text\tlabel\n"he said ""no"""\tx\n"two\nlines and ""quotes"""\ty\n"plain ""a"""\tx\n'
    rows, _, _ = read_bytes(tmp_path, content, "data.tsv")
    assert [row["text"] for row in rows] == ['he said "no"', 'two\nlines and "quotes"', 'plain "a"']


def test_a_file_without_header_takes_the_names_given(tmp_path: Path) -> None:
    rows, _, _ = read_bytes(tmp_path, b"ham\thello\nspam\twin\n", "sms.tsv", header=False, columns=["label", "text"])
    assert pairs(rows) == [("hello", "ham"), ("win", "spam")]
    with pytest.raises(ValidationError, match="needs `columns"):
        read.Config(path="sms.tsv", header=False)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_ends_of_every_system_are_read(tmp_path: Path, end: bytes) -> None:
    rows, bad, _ = read_bytes(tmp_path, end.join([b"text,label", b"a,x", b'"b",y', b""]))
    assert (pairs(rows), bad) == ([("a", "x"), ("b", "y")], [])


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.lists(CELL, min_size=1, max_size=20))
@example(cells=["\n\r"])
def test_what_the_csv_module_writes_is_read_back_unchanged(tmp_path: Path, cells: list[str]) -> None:
    import csv

    with (tmp_path / "data.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerows([["text", "label"], *([cell, "x"] for cell in cells)])
    rows, bad, _ = run(tmp_path, encoding="utf-8")
    assert [row["text"] for row in rows] == cells
    assert not bad


def test_columns_without_a_name_get_the_number_of_their_place(tmp_path: Path) -> None:
    rows, _, _ = read_bytes(tmp_path, b",text,label,\n0,one,x,1\n1,two,y,2\n")
    assert list(rows[0]) == ["row_id", "column_1", "text", "label", "column_4"]
