"""Zip and tar archives are read in place; one that could do harm is refused whole, before any member is read."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.archives import Item, pax, raw_zip, tar_header, tar_member, tarred, zipped
from support.pictures import picture
from support.reading_files import pairs, read_bytes, run, run_as
from support.workbooks import xlsx

from modelyard.errors import InputError
from modelyard.methods.data.files.tree import Entry
from modelyard.methods.data.units import select

A, B = b"text,label\na,x\n", b"text,label\nb,y\n"


def python_tar(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as target:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def zstd(content: bytes) -> bytes:
    packed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return packed


FILES = {"b.csv": B, "folder/a.csv": A}


@pytest.mark.parametrize(
    "content",
    [zipped(FILES), python_tar(FILES), gzip.compress(python_tar(FILES)), zstd(python_tar(FILES))],
    ids=["zip", "tar", "tar.gz", "tar.zst"],
)
def test_tables_in_an_archive_are_read_in_the_order_of_their_names(tmp_path: Path, content: bytes) -> None:
    rows, bad, context = read_bytes(tmp_path, content, "texts.bin")
    assert (pairs(rows), bad) == ([("b", "y"), ("a", "x")], [])
    assert any("texts.bin/folder/a.csv" in line for line in context.said)
    (tmp_path / "b.csv").write_bytes(B)
    assert run(tmp_path, path="b.csv")[0][0]["row_id"] == rows[0]["row_id"]
    assert list((context.root / "scratch").iterdir()) == []


def test_members_of_every_kind(tmp_path: Path) -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table({"text": ["p"], "label": ["x"]}), stream)
    files = {"1.parquet": stream.getvalue(), "2.xlsx": xlsx([["text", "label"], ["e", "x"]])}
    files |= {"3.jsonl": b'{"text": "j", "label": "x"}', "4.json": b'[{"text": "k", "label": "x"}]', "5.csv": A}
    rows, _, _ = read_bytes(tmp_path, zipped({**files, "README.md": b"#", "__MACOSX/._5.csv": b"x"}), "all.zip")
    assert [row["text"] for row in rows] == ["p", "e", "j", "k", "a"]


@pytest.mark.parametrize("pack", [zipped, python_tar])
def test_an_archive_of_images_is_read_as_the_folder_is(tmp_path: Path, pack: Any) -> None:
    files = {f"top/train/{name}/{n}.png": picture(seed=n) for n, name in enumerate(("cat", "dog"))}
    files["top/test/cat/9.png"] = picture(seed=9)
    for name, data in files.items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "pics.bin").write_bytes(pack({**files, "top/Thumbs.db": b"x"}))
    archive, _, _ = run_as(tmp_path, path="pics.bin")
    folder, _, _ = run_as(tmp_path, path="folder")
    assert archive == folder
    assert [(row["label"], row["split"]) for row in archive] == [("cat", "test"), ("cat", "train"), ("dog", "train")]
    metadata = {"m/1.png": picture(), "m/metadata.csv": b"file_name,label\n1.png,x\n"}
    (tmp_path / "meta.bin").write_bytes(pack(metadata))
    assert [row["label"] for row in run_as(tmp_path, path="meta.bin")[0]] == ["x"]


def test_a_path_goes_on_into_an_archive(tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_bytes(zipped({"train/1.csv": A, "train/more/2.csv": B, "test/3.csv": B, "x.txt": b""}))
    rows, _, _ = run(tmp_path, path={"train": "all.zip/train/*.csv", "test": "all.zip/test"})
    assert [(row["text"], row["split"]) for row in rows] == [("a", "train"), ("b", "test")]
    assert len(run(tmp_path, path="all.zip/**/*.csv")[0]) == 3
    with pytest.raises(InputError, match="the same file stands in `train` and in `test`"):
        run(tmp_path, path={"train": "all.zip/**/*.csv", "test": "all.zip/test"})
    with pytest.raises(InputError, match="nothing in this zip archive"):
        run(tmp_path, path="all.zip/none/*.csv")
    (tmp_path / "plain.csv").write_bytes(A)
    with pytest.raises(InputError, match="not a zip or tar"):
        run(tmp_path, path="plain.csv/inner.csv")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.csv", ["a.csv"]),
        ("**/*.csv", ["a.csv", "d/b.csv", "d/e/c.csv"]),
        ("d", ["d/b.csv", "d/e/c.csv"]),
        ("d/*", ["d/b.csv"]),
        ("d/**", ["d/b.csv", "d/e/c.csv"]),
        ("[!b].csv", ["a.csv"]),
        ("?/e/c.csv", ["d/e/c.csv"]),
        ("a.csv", ["a.csv"]),
        ("A.csv", []),
        ("a+csv", []),
    ],
)
def test_patterns_of_members(pattern: str, found: list[str]) -> None:
    entries = [Entry(name, 1) for name in ("a.csv", "d/b.csv", "d/e/c.csv")]
    assert [entry.name for entry in select(entries, pattern)[1]] == found


def test_names_in_the_encodings_of_real_archives(tmp_path: Path) -> None:
    for encoding in ("utf-8", "gb18030"):
        items = [Item(f"{name}/1.png".encode(encoding), picture(), flags=0) for name in ("猫", "狗")]
        (tmp_path / "old.zip").write_bytes(raw_zip(items))
        assert sorted(row["label"] for row in run_as(tmp_path, path="old.zip")[0]) == ["狗", "猫"]
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        long = "l" * 90 + "/" + "n" * 90 if form == tarfile.USTAR_FORMAT else "长" * 60 + "/" + "n" * 200
        (tmp_path / "long.tar").write_bytes(python_tar({f"./{long}/1.png": picture()}, form))
        assert run_as(tmp_path, path="long.tar")[0][0]["label"] == long.rsplit("/", maxsplit=1)[-1]


BOMB = bytes(20 << 20)
HOSTILE_ZIPS = {
    "path traversal": (raw_zip([Item("../evil.csv")]), "leads out"),
    "path traversal within": (raw_zip([Item("a/../../evil.csv")]), "leads out"),
    "absolute": (raw_zip([Item("/etc/cron.d/evil.csv")]), "absolute"),
    "drive": (raw_zip([Item("C:/evil.csv")]), "absolute"),
    "backslashes": (raw_zip([Item("..\\evil.csv")]), "backslash"),
    "NUL in a name": (raw_zip([Item("a.csv\0.png")]), "control characters"),
    "newline in a name": (raw_zip([Item("a\n.csv")]), "control characters"),
    "name that is no text": (raw_zip([Item(b"\xff\xfe\xff.csv", flags=0)]), "no text"),
    "empty part": (raw_zip([Item("a//b.csv")]), "empty part"),
    "dot within": (raw_zip([Item("a/./b.csv")]), "empty part"),
    "deep": (raw_zip([Item("a/" * 40 + "b.csv")]), "deeper"),
    "long name": (raw_zip([Item("a" * 2_000 + ".csv")]), "longer"),
    "link": (raw_zip([Item("a.csv", b"/etc/passwd", mode=0o120777)]), "a link"),
    "device": (raw_zip([Item("a.csv", b"", mode=0o020644)]), "a device"),
    "pipe": (raw_zip([Item("a.csv", b"", mode=0o010644)]), "special file"),
    "encrypted": (raw_zip([Item("a.csv", flags=1)]), "encrypted"),
    "foreign compression": (raw_zip([Item("a.csv", method=14)]), "method 14"),
    "one name twice": (raw_zip([Item("a.csv"), Item("a.csv")]), "second member"),
    "names that differ in case": (raw_zip([Item("a.csv"), Item("A.CSV")]), "second member"),
    "names that differ in composition": (raw_zip([Item("\u00e9.csv"), Item("e\u0301.csv")]), "second member"),
    "file and folder": (raw_zip([Item("a"), Item("a/b.csv")]), "one name"),
    "overlap": (raw_zip([Item("a.csv"), Item("b.csv", at=0)]), "overlap"),
    "bytes before": (raw_zip([Item("a.csv")], prefix=raw_zip([Item("b.csv")])), "two files in one"),
    "other name inside": (raw_zip([Item("a.csv", local_name=b"b.csv")]), "damaged"),
    "bomb": (raw_zip([Item("a.csv", BOMB)]), "as a bomb is"),
    "false size": (raw_zip([Item("a.csv", b"text,label\n" + b"a,x\n" * 99, claimed_size=15)]), "damaged"),
    "claims to be huge": (raw_zip([Item("a.csv", claimed_size=(1 << 32) - 2)]), "as a bomb is"),
    "false checksum": (raw_zip([Item("a.csv", crc=1)]), "damaged"),
    "zip in a zip": (raw_zip([Item("a.csv", zipped(FILES))]), "inside an archive"),
    "tar in a zip": (raw_zip([Item("a.csv", python_tar(FILES))]), "inside an archive"),
    "gzip in a zip": (raw_zip([Item("a.csv", gzip.compress(A))]), "inside an archive"),
    "cut short": (zipped(FILES)[:-40], "cut short"),
    "folder with bytes": (raw_zip([Item("a/", b"text")]), "bytes of its own"),
    "claims a million members": (raw_zip([Item("a.csv")], claimed_number=65_000), "65,000 members|damaged"),
}
LIMITS = {"max_members": 50_000, "max_member_bytes": 1 << 32, "max_total_bytes": 1 << 33}


@pytest.mark.parametrize("name", HOSTILE_ZIPS)
def test_a_hostile_zip_is_refused_and_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    check(tmp_path, *HOSTILE_ZIPS[name])


HOSTILE_TARS = {
    "path traversal": (tarred(tar_member("../evil.csv")), "leads out"),
    "absolute": (tarred(tar_member("/evil.csv")), "absolute"),
    "symbolic link": (tarred(tar_member("a", b"", b"2", b"/etc")), "a link"),
    "link, then a file through it": (tarred(tar_member("a", b"", b"2", b".."), tar_member("a/b.csv")), "a link"),
    "hard link": (tarred(tar_member("a.csv", b"", b"1", b"/etc/passwd")), "a link"),
    "character device": (tarred(tar_member("a.csv", b"", b"3")), "a device"),
    "block device": (tarred(tar_member("a.csv", b"", b"4")), "a device"),
    "pipe": (tarred(tar_member("a.csv", b"", b"6")), "special file"),
    "sparse": (tarred(tar_member("a.csv", b"", b"S")), "special file"),
    "sparse by attributes": (tarred(pax({"GNU.sparse.major": "1"}), tar_member("a.csv")), "special file"),
    "unknown kind": (tarred(tar_member("a.csv", b"", b"Z")), "special file"),
    "traversal by attributes": (tarred(pax({"path": "../../evil.csv"}), tar_member("a.csv")), "leads out"),
    "traversal by a long name": (tarred(tar_member("x", b"../evil.csv\0", b"L"), tar_member("a.csv")), "leads out"),
    "huge name": (tarred(tar_member("x", b"a" * 70_000, b"L"), tar_member("a.csv")), "70,000 bytes"),
    "size by attributes": (tarred(pax({"size": "99999999999"}), tar_member("a.csv")), "middle of a member"),
    "negative size by attributes": (tarred(pax({"size": "-1"}), tar_member("a.csv")), "damaged"),
    "huge size": (tar_header(b"a.csv", 1 << 60), "middle of a member"),
    "broken checksum": (tarred(tar_member("a.csv"), b"x" * 512), "checksum"),
    "one name twice": (tarred(tar_member("a.csv"), tar_member("./a.csv")), "second member"),
    "cut short": (tarred(tar_member("a.csv", A * 200))[:1_000], "middle of a member"),
    "bomb in gzip": (gzip.compress(tarred(tar_member("a.csv", BOMB))), "as a bomb is"),
    "bomb in zstd": (zstd(tarred(tar_member("a.csv", BOMB))), "as a bomb is"),
    "gzip in a tar": (tarred(tar_member("a.csv", gzip.compress(A))), "inside an archive"),
    "zip in a tar": (tarred(tar_member("a.csv", zipped(FILES))), "inside an archive"),
    "broken attributes": (tarred(tar_member("x", b"99 path=a", b"x"), tar_member("a.csv")), "attributes"),
    "cut gzip": (gzip.compress(python_tar({"a.csv": random.Random(0).randbytes(9_000)}))[:-900], "cut short"),
}


@pytest.mark.parametrize("name", HOSTILE_TARS)
def test_a_hostile_tar_is_refused_and_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    check(tmp_path, *HOSTILE_TARS[name])


def check(base: Path, content: bytes, message: str) -> None:
    project = base / "project"
    project.mkdir()
    (project / "data.bin").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        run(project, path="data.bin", archive=LIMITS, max_bad_fraction=1.0)
    assert caught.value.problems[0].where.startswith("data.bin")
    assert str(caught.value).isprintable() or "\n" in str(caught.value)
    outside = [path for path in base.rglob("*") if path.is_file() and project / "out0" not in path.parents]
    assert outside == [project / "data.bin"]
    assert not list((project / "out0" / "scratch").rglob("*evil*"))


def test_the_limits_can_be_set(tmp_path: Path) -> None:
    content = zipped({f"{n}.csv": A for n in range(5)})
    assert len(read_bytes(tmp_path, content, "data.zip", archive={"max_members": 5})[0]) == 5
    for limits, found in (
        ({"max_members": 4}, "5 members"),
        ({"max_member_bytes": 10}, "15 bytes after"),
        ({"max_total_bytes": 70}, "75 bytes after"),
    ):
        with pytest.raises(InputError, match=found):
            run(tmp_path, path="data.zip", archive=limits)
        (tmp_path / "data.tar").write_bytes(python_tar({f"{n}.csv": A for n in range(5)}))
        with pytest.raises(InputError, match=found):
            run(tmp_path, path="data.tar", archive=limits)
    bomb = raw_zip([Item("a.csv", b"text,label\n" + (b"a" * 4_000 + b",x\n") * 600)])
    with pytest.raises(InputError, match="as a bomb is"):
        read_bytes(tmp_path, bomb, "dense.zip")
    rows, _, _ = run(tmp_path, path="dense.zip", archive={"max_ratio": 5_000})
    assert len(rows) == 600


def test_no_change_of_bytes_ends_in_anything_but_rows_or_a_refusal(tmp_path: Path) -> None:
    chance = random.Random(5)
    for whole in (zipped(FILES), python_tar(FILES), gzip.compress(python_tar(FILES), mtime=0)):
        for _ in range(60):
            broken = bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            try:
                read_bytes(tmp_path, bytes(broken), "data.bin", max_bad_fraction=1.0)
            except InputError as error:
                assert str(error)  # noqa: PT017


def test_zip64_is_read(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target, target.open("a.csv", "w", force_zip64=True) as member:
        member.write(A)
    assert pairs(read_bytes(tmp_path, stream.getvalue(), "big.zip")[0]) == [("a", "x")]
