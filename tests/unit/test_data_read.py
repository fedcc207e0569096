"""data.read: every record ends in the data or beside it with a reason, whatever the file is."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods.data import sources
from modelyard.methods.data.dataset import Dataset
from modelyard.stages.data import read

Made = tuple[list[dict[str, Any]], list[dict[str, Any]], FakeContext]


def load(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = Dataset.open(folder).table("all").to_pylist()
    return rows


def run(base: Path, **config: Any) -> Made:
    """Good rows, rejected rows and the context of data.read; roles text and label unless given."""
    context = FakeContext(base / f"out{len(list(base.glob('out*')))}", base=base)
    settings = {"path": "data.csv", "text": "text", "label": "label", **config}
    read.run(read.Config(**settings), context)
    return load(context.output("data")), load(context.output("rejected")), context


def read_bytes(base: Path, content: bytes, name: str = "data.csv", **config: Any) -> Made:
    (base / name).write_bytes(content)
    return run(base, path=name, **config)


def pairs(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["text"], row["label"]) for row in rows]


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


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="empty"):
        read_bytes(tmp_path, content)


@pytest.mark.parametrize("content", [b"text,label\n", b"text,label", b"\xef\xbb\xbftext,label\r\n\r\n"])
def test_a_header_without_rows_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="no row"):
        read_bytes(tmp_path, content)


def test_a_missing_column_is_answered_with_those_there_are_and_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_bytes(tmp_path, b"texts,lable\na,x\n")
    assert len(caught.value.problems) == 2
    assert "did you mean `texts`?" in caught.value.problems[0].remedy
    assert "lable" in caught.value.problems[1].expected


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two columns are called `text`"):
        read_bytes(tmp_path, b"text,text,label\na,b,x\n")


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"%PDF-1.7 x", "PDF"), (b"PK\x03\x04xlsx", "Excel"), (b"\x89PNG\r\n", "PNG"), (b"\x80\x04\x95", "pickle")],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, content: bytes, kind: str) -> None:
    with pytest.raises(InputError, match=kind):
        read_bytes(tmp_path, content)


def test_random_bytes_are_refused_as_binary(tmp_path: Path) -> None:
    import random

    junk = random.Random(0).randbytes(20_000)
    with pytest.raises(InputError, match="binary"):
        read_bytes(tmp_path, b"\x07" + junk)


@pytest.mark.parametrize("name", ["none.csv", "none/data.csv", "*.parquet"])
def test_a_path_that_matches_nothing_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "data.csv").write_bytes(b"text,label\na,x\n")
    with pytest.raises(InputError, match=r"no such file|matches no file"):
        run(tmp_path, path=name)


def test_a_folder_is_refused_with_the_pattern_that_would_do(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    with pytest.raises(InputError, match=r"texts/\*\.csv"):
        run(tmp_path, path="texts")


def test_an_unreadable_file_is_an_input_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data.csv").write_bytes(b"text,label\na,x\n")

    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(sources, "digest_file", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        run(tmp_path)


def test_something_that_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data.csv")
    with pytest.raises(InputError, match="not a regular file"):
        run(tmp_path)


def repeated(template: str) -> str:
    return "text,label\n" + "".join(template.replace("#", str(n)) for n in range(40))


CHINESE = repeated("这个酒店的房间很好，我们都喜欢#。,好\n服务太差了，不会再来#！,差\n")
TRADITIONAL = repeated("這個酒店的房間很好，我們都喜歡#。,好\n服務太差了，不會再來#！,差\n")
FRENCH = repeated("L’hôtel était très agréable et le café délicieux #,oui\n")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CHINESE, "utf-8"),
        (CHINESE, "utf-8-sig"),
        (CHINESE, "gb18030"),
        (CHINESE, "utf-16"),
        (CHINESE, "utf-16-le"),
        (CHINESE, "utf-16-be"),
        (CHINESE, "utf-32"),
        (TRADITIONAL, "big5"),
        (TRADITIONAL, "utf-8"),
        (FRENCH, "cp1252"),
        (FRENCH.replace("’", "'"), "latin-1"),
    ],
)
def test_the_encoding_is_found_and_said(tmp_path: Path, text: str, encoding: str) -> None:
    rows, bad, context = read_bytes(tmp_path, text.encode(encoding))
    expected = [tuple(line.rsplit(",", 1)) for line in text.splitlines()[1:]]
    assert pairs(rows) == expected
    assert not bad
    said = "CP1252" if text is not CHINESE and "latin" in encoding else encoding.upper().removesuffix("-SIG")
    assert said in context.said[0]


def test_lines_in_another_encoding_are_kept_apart_and_the_rest_is_not_garbled(tmp_path: Path) -> None:
    body = "".join(f"很好的房间{n},x\n" for n in range(60)).encode()
    rows, bad, _ = read_bytes(tmp_path, b"text,label\n" + body + "服务太差,x\n".encode("gb18030"))
    assert [row["text"] for row in rows] == [f"很好的房间{n}" for n in range(60)]
    assert bad[0]["line"] == 62
    assert bad[0]["reason"] == "bytes that do not decode: as utf-8"
    assert bad[0]["raw"].startswith("\\xb7\\xfe")


def test_utf8_lines_in_a_gb18030_file_are_not_read_as_garbage(tmp_path: Path) -> None:
    lines = CHINESE.encode("gb18030") + "这个很好,好的\n".encode()
    rows, bad, _ = read_bytes(tmp_path, lines)
    assert len(rows) == 80
    assert [row["reason"] for row in bad] == ["another encoding: UTF-8 in a file in gb18030"]


def test_half_of_the_lines_in_another_encoding_stop_the_step(tmp_path: Path) -> None:
    body = CHINESE.encode() + b"".join(CHINESE.encode("gb18030").splitlines(keepends=True)[1:])
    with pytest.raises(InputError, match="bytes that do not decode: 80"):
        read_bytes(tmp_path, body)


def test_the_encoding_can_be_set_and_a_wrong_name_is_refused(tmp_path: Path) -> None:
    content = "text,label\nÄpfel,x\n".encode("cp1250")
    assert pairs(read_bytes(tmp_path, content, encoding="cp1250")[0]) == [("Äpfel", "x")]
    with pytest.raises(InputError, match="unknown encoding"):
        run(tmp_path, encoding="nonsense")


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


def test_labels_become_strings_and_whole_floats_lose_their_point(tmp_path: Path) -> None:
    rows, _, context = read_bytes(tmp_path, b"text,label\na,1.0\nb,0.0\nc, 1 \n")
    assert [row["label"] for row in rows] == ["1", "0", "1"]
    assert any("like 1.0 are written as 1" in line for line in context.said)
    assert any("spaces around" in line for line in context.said)


@pytest.mark.parametrize("whole", [True, False])
def test_labels_that_are_a_quantity_are_refused_as_regression(tmp_path: Path, whole: bool) -> None:
    values = (f"{n * 37 % 1000}.0" if whole else f"{n * 0.37:.3f}" for n in range(300))
    with pytest.raises(InputError, match="regression"):
        read_bytes(tmp_path, b"text,label\n" + "".join(f"t,{value}\n" for value in values).encode())


def test_a_row_without_label_is_rejected_and_one_without_text_is_left_to_cleaning(tmp_path: Path) -> None:
    rows, bad, _ = read_bytes(tmp_path, b"text,label\n,x\na,\nb,  \nc,y\n", max_bad_fraction=1.0)
    assert pairs(rows) == [("", "x"), ("c", "y")]
    assert [row["reason"] for row in bad] == ["no label: label", "no label: label"]


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


def zstd(content: bytes) -> bytes:
    packed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return packed


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_compressed_files_are_known_by_their_bytes_and_a_cut_one_is_refused(tmp_path: Path, pack: Any) -> None:
    content = b"text,label\n" + b"".join(b"text %d,x\n" % (n * n) for n in range(5_000))
    packed = pack(content)
    rows, _, _ = read_bytes(tmp_path, packed, "no_extension")
    assert len(rows) == 5_000
    with pytest.raises(InputError, match="damaged or cut short"):
        read_bytes(tmp_path, packed[: len(packed) // 2])


def test_jsonl_bad_lines_are_kept_apart_each_with_its_fault(tmp_path: Path) -> None:
    good = [json.dumps({"text": f"t{n}", "label": n % 2}) for n in range(3)]
    faults = [
        "{broken",
        "[1, 2]",
        "null",
        '{"text": null, "label": "x"}',
        '{"text": 5, "label": "x"}',
        '{"text": "a"}',
        '{"text": "a", "text": "b", "label": "x"}',
        '{"text": "a\\ud800", "label": "x"}',
        '{"text": NaN, "label": "x"}',
        '{"text": "a", "label": ' + "[" * 5_000 + "]" * 5_000 + "}",
        '{"text": "a\\u0000", "label": "x"}',
    ]
    content = "\n".join([*good, "", *faults]).encode()
    rows, bad, _ = read_bytes(tmp_path, content, "data.jsonl", max_bad_fraction=1.0)
    assert pairs(rows) == [("t0", "0"), ("t1", "1"), ("t2", "0")]
    assert [row["line"] for row in bad] == list(range(5, 5 + len(faults)))
    kinds = [row["reason"].split(":")[0] for row in bad]
    assert kinds == [
        "not JSON",
        "not a JSON object",
        "not a JSON object",
        "no text",
        "text is not a string",
        "no label",
        "not JSON",
        "bytes that do not decode",
        "not JSON",
        "not JSON",
        "NUL byte",
    ]


def test_a_json_array_is_refused_with_the_way_to_convert_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="jq -c"):
        read_bytes(tmp_path, b'[\n{"text": "a"}\n]', "data.json")


def table() -> pa.Table:
    return pa.table(
        {
            "text": ["a", "b", None, "d"],
            "label": [1.0, 0.0, 1.0, None],
            "age": pa.array([1, 2, 3, 4], pa.int32()),
            "tags": [["x"], [], ["y", "z"], None],
        }
    )


def write_parquet(path: Path) -> None:
    pq.write_table(table(), path)


def write_arrow(path: Path) -> None:
    with pa.ipc.new_file(path, table().schema) as writer:
        writer.write_table(table())


def write_stream(path: Path) -> None:
    with pa.ipc.new_stream(path, table().schema) as writer:
        writer.write_table(table())


@pytest.mark.parametrize("write", [write_parquet, write_arrow, write_stream])
def test_tables_keep_their_types_and_their_bad_rows_are_kept_apart(tmp_path: Path, write: Any) -> None:
    write(tmp_path / "data.bin")
    rows, bad, context = run(tmp_path, path="data.bin", max_bad_fraction=0.5)
    assert pairs(rows) == [("a", "1"), ("b", "0")]
    assert [row["age"] for row in rows] == [1, 2]
    assert [row["tags"] for row in rows] == ['["x"]', "[]"]
    assert [(row["line"], row["reason"]) for row in bad] == [(3, "no text: text"), (4, "no label: label")]
    columns = {column.name: column.type for column in Dataset.open(context.output("data")).columns}
    assert columns["age"] == "int32"


@pytest.mark.parametrize("write", [write_parquet, write_arrow, write_stream])
def test_a_table_that_is_cut_short_is_refused(tmp_path: Path, write: Any) -> None:
    write(tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    with pytest.raises(InputError, match="not a whole"):
        read_bytes(tmp_path, content[: len(content) * 2 // 3])


def test_row_ids_stay_when_other_rows_are_rejected_and_differ_between_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,label\na,x\nb\nc,y\n")
    (tmp_path / "b.csv").write_bytes(b"text,label\nd,x\n")
    (tmp_path / "c.csv").write_bytes(b"text,label\nd,x\n")
    rows, bad, context = run(tmp_path, path="*.csv", max_bad_fraction=0.5)
    ids = [row["row_id"] for row in [*rows, *bad]]
    assert len(set(ids)) == 5
    assert [row["row_id"].split("-")[1] for row in rows] == ["1", "3", "1", "1"]
    assert any("same bytes" in line for line in context.said)


def test_files_given_for_splits_bear_their_split_and_one_file_cannot_be_two(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,label\na,x\n")
    (tmp_path / "b.csv").write_bytes(b"text,label\nb,y\n")
    rows, _, context = run(tmp_path, path={"train": "a.csv", "test": "b.csv"})
    assert [row["split"] for row in rows] == ["train", "test"]
    assert Dataset.open(context.output("data")).role("split") == "split"
    with pytest.raises(InputError, match="the same file"):
        run(tmp_path, path={"train": "a.csv", "test": "*.csv"})


def test_every_role_makes_its_value_or_rejects_the_row(tmp_path: Path) -> None:
    content = (
        b"text,label,w,when,who,part\n"
        b"a,x,2,2024-01-05,p1,dev\n"
        b"b,x,0.5,2024/1/6 10:00,p2,train\n"
        b"c,x,1,1704067200,p3,test\n"
        b"d,x,-1,2024-01-01,p4,train\n"
        b"e,x,1,yesterday,p5,train\n"
        b"f,x,1,2024-01-01,p6,other\n"
    )
    roles = {"weight": "w", "time": "when", "subject": "who", "split": "part"}
    rows, bad, _ = read_bytes(tmp_path, content, max_bad_fraction=1.0, **roles)
    assert [row["w"] for row in rows] == [2.0, 0.5, 1.0]
    assert [row["when"].isoformat() for row in rows] == [
        "2024-01-05T00:00:00",
        "2024-01-06T10:00:00",
        "2024-01-01T00:00:00",
    ]
    assert [row["part"] for row in rows] == ["validation", "train", "test"]
    assert [row["reason"].split(":")[0] for row in bad] == [
        "weight is not a finite number of at least 0",
        "time is no date",
        "split is not train, validation or test",
    ]


def test_only_the_columns_to_keep_are_kept(tmp_path: Path) -> None:
    rows, _, _ = read_bytes(tmp_path, b"id,text,secret,label\n1,a,s,x\n", keep=["id"])
    assert sorted(rows[0]) == ["id", "label", "row_id", "text"]


def test_files_of_different_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,label,more\na,x,1\n")
    (tmp_path / "b.csv").write_bytes(b"label,text\ny,b\n")
    with pytest.raises(InputError, match=r"keep: \[\.\.\.\]"):
        run(tmp_path, path="*.csv")
    rows, _, _ = run(tmp_path, path="*.csv", keep=[])
    assert pairs(rows) == [("a", "x"), ("b", "y")]


def test_the_fingerprint_follows_the_bytes_and_not_the_place(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.csv").write_bytes(b"text,label\na,x\n")
    config = read.Config(path="*.csv")
    first = read.fingerprint(config, tmp_path / "one")
    assert read.fingerprint(config, tmp_path / "two") == first
    (tmp_path / "two" / "data.csv").write_bytes(b"text,label\nb,x\n")
    assert read.fingerprint(config, tmp_path / "two") != first


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    content = b"text,label\n" + b"".join(b"text %d,x\n" % n for n in range(20_000))
    first = read_bytes(tmp_path, content)[2].output("data")
    second = run(tmp_path)[2].output("data")
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == [Path("all/00000.parquet"), Path("dataset.json")]
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in files)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(min_size=1, max_size=400))
def test_any_bytes_end_in_rows_or_in_a_clear_error(tmp_path: Path, content: bytes) -> None:
    try:
        rows, bad, context = read_bytes(tmp_path, b"text,label\nstart,x\n" + content, max_bad_fraction=1.0)
    except InputError:
        return
    assert context.value("data.rows") == len(rows) >= 1
    assert all(row["reason"] and row["line"] > 1 for row in bad)


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.lists(CELL, min_size=1, max_size=20))
def test_what_the_csv_module_writes_is_read_back_unchanged(tmp_path: Path, cells: list[str]) -> None:
    import csv

    with (tmp_path / "data.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerows([["text", "label"], *([cell, "x"] for cell in cells)])
    rows, bad, _ = run(tmp_path, encoding="utf-8")
    assert [row["text"] for row in rows] == cells
    assert not bad
