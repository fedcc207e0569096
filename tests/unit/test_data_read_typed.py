"""data.read on JSONL, JSON, Parquet and Arrow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from support.reading_files import pairs, read_bytes, run

from modelyard.errors import InputError
from modelyard.methods.data import lines
from modelyard.methods.data.dataset import Dataset


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


ARRAY = [
    {"text": "plain", "label": "x"},
    {"text": 'quotes " and \\ and ]}, \\" [{', "label": "y"},
    {"label": "z", "text": "中文\nzwei", "more": {"a": [1, {"b": "]"}]}},
]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("chunk", [1, 2, 7, 1 << 18])
def test_a_json_array_is_read_object_by_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indent: int | None, chunk: int
) -> None:
    monkeypatch.setattr(lines, "CHUNK_CHARACTERS", chunk)
    rows, bad, _ = read_bytes(tmp_path, json.dumps(ARRAY, indent=indent, ensure_ascii=False).encode(), "data.json")
    assert pairs(rows) == [(item["text"], item["label"]) for item in ARRAY]
    assert rows[2]["more"] == '{"a": [1, {"b": "]"}]}'
    assert bad == []


def test_a_bad_element_of_an_array_costs_itself_and_names_its_line(tmp_path: Path) -> None:
    content = b"""[
  {"text": "a", "label": "x"},
  {broken: 1},
  7, "eight", null,
  [{"text": "inner", "label": "x"}],
  {"text": "nul \\u0000", "label": "x"},
  {"text": "twice", "text": "twice", "label": "x"},
  {"text": "\xff", "label": "x"},
  {"text": "b", "label": "y"}
]"""
    rows, bad, _ = read_bytes(tmp_path, content, "data.json", max_bad_fraction=1.0, encoding="utf-8")
    assert pairs(rows) == [("a", "x"), ("b", "y")]
    assert [(row["line"], row["reason"].split(":")[0]) for row in bad] == [
        (3, "not JSON"),
        (4, "not a JSON object"),
        (4, "not a JSON object"),
        (4, "not a JSON object"),
        (5, "not a JSON object"),
        (6, "NUL byte"),
        (7, "not JSON"),
        (8, "bytes that do not decode"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"text": "a", "label": "x"}, {"text": "b"', "cut short"),
        (b'[{"text": "a", "label": "x"}', "cut short"),
        (b'[{"text": "open, "label": "x"}]', "cut short"),
        (b'[{"text": "a", "label": "x"}]\n[{"text": "b", "label": "x"}]', "after the end"),
        (b'[{"text": "a", "label": "x"}] end', "after the end"),
        (b"[]", "no element"),
        (b"[1, 2]", "no element"),
    ],
)
def test_an_array_that_is_not_whole_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_bytes(tmp_path, content, "data.json", max_bad_fraction=1.0)


def test_an_element_without_end_fills_no_memory_and_the_next_is_read(tmp_path: Path) -> None:
    content = b'[{"text": "' + b"x" * 60_000 + b'", "label": "x"}, {"text": "b", "label": "y"}]'
    rows, bad, _ = read_bytes(tmp_path, content, "data.json", max_cell_bytes=1_000, max_bad_fraction=1.0)
    assert pairs(rows) == [("b", "y")]
    assert bad[0]["reason"].startswith("line too long")


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


@pytest.mark.parametrize("zone", [None, "Asia/Shanghai"])
def test_times_finer_than_microseconds_are_cut_and_it_is_said(tmp_path: Path, zone: str | None) -> None:
    times = pa.array([1_700_000_000_000_000_001, 1_700_000_000_000_001_000, None], pa.timestamp("ns", zone))
    table = pa.table({"text": ["a", "b", "c"], "label": ["x", "y", "x"], "at": times})
    pq.write_table(table, tmp_path / "fine.parquet")
    rows, _, context = run(tmp_path, path="fine.parquet")
    assert [row["at"] and row["at"].microsecond for row in rows] == [0, 1, None]
    assert any("column at: 1 times have nanoseconds" in line for line in context.said)


def test_a_time_that_no_column_can_hold_is_named_as_such(tmp_path: Path) -> None:
    times = pa.array([1, 1 << 52], pa.timestamp("s"))
    pq.write_table(pa.table({"text": ["a", "b"], "label": ["x", "y"], "at": times}), tmp_path / "far.parquet")
    with pytest.raises(InputError, match="column at: a value cannot be read") as error:
        run(tmp_path, path="far.parquet")
    assert "not a whole" not in str(error.value)
