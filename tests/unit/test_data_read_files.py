"""Which files data.read takes, under which ids, and which it refuses."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.reading_files import pairs, read_bytes, run

from modelyard.errors import InputError
from modelyard.methods.data import sources
from modelyard.methods.data.dataset import Dataset
from modelyard.stages.data import read


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
    [(b"%PDF-1.7 x", "PDF"), (b"BZh91AY", "bzip2"), (b"\x89PNG\r\n", "PNG"), (b"\x80\x04\x95", "pickle")],
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
