"""data.read from object stores and HDFS: a real S3 server of this machine, a WebHDFS one, and memory."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from support.archives import zipped
from support.fake_context import FakeContext
from support.hdfs_server import HdfsServer
from support.pictures import picture
from support.reading_files import pairs, run, run_as

from modelyard.errors import DependencyError, InputError
from modelyard.methods.data.files import remote
from modelyard.stages.data import read

A, B = b"text,label\na,x\n", b"text,label\nb,y\n"
KEYS = {"KEY": "AKIATESTTESTTEST", "WORD": "s3cr3t/Value+That=MustNotShow"}


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A client of an S3 server of this machine, and its address."""
    boto3 = pytest.importorskip("boto3")
    server_module = pytest.importorskip("moto.server")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=address,
        aws_access_key_id=KEYS["KEY"],
        aws_secret_access_key=KEYS["WORD"],
        region_name="us-east-1",
    )
    client.address = address
    yield client
    server.stop()


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> tuple[Any, str, dict[str, Any]]:
    name = "b" + hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    s3.create_bucket(Bucket=name)
    options = {"endpoint_url": s3.address, "key": {"secret": "KEY"}, "secret": {"secret": "WORD"}}
    return s3, name, options


def put(s3: Any, bucket: str, **files: bytes) -> None:
    for name, data in files.items():
        s3.put_object(Bucket=bucket, Key=name, Body=data)


def test_files_of_a_bucket_are_read_and_their_etags_are_the_fingerprint(
    tmp_path: Path, bucket: tuple[Any, str, dict[str, Any]]
) -> None:
    s3, name, options = bucket
    stream = io.BytesIO()
    pq.write_table(pa.table({"text": ["p"], "label": ["z"]}), stream)
    put(s3, name, **{"in/1.csv": A, "in/2.csv": B, "in/3.parquet": stream.getvalue(), "other.txt": b"x"})
    made = run(tmp_path, KEYS, path=[f"s3://{name}/in/*.csv", f"s3://{name}/in/3.parquet"], storage_options=options)
    assert pairs(made[0]) == [("a", "x"), ("b", "y"), ("p", "z")]
    assert any(f"s3://{name}/in/1.csv: CSV" in line for line in made[2].said)

    def print_of(**changes: Any) -> Any:
        settings = {"path": f"s3://{name}/in/*.csv", "storage_options": options, **changes}
        return read.fingerprint(read.Config(**settings), tmp_path, KEYS.__getitem__)

    before = print_of()
    assert print_of(storage_options={**options, "default_block_size": 1 << 20}) == before
    put(s3, name, **{"in/2.csv": B})
    assert print_of() == before
    put(s3, name, **{"in/2.csv": A})
    assert print_of() != before
    assert KEYS["WORD"] not in json.dumps(before)


def test_a_folder_of_images_and_an_archive_in_a_bucket(tmp_path: Path, bucket: tuple[Any, str, dict[str, Any]]) -> None:
    s3, name, options = bucket
    put(
        s3,
        name,
        **{"pics/train/cat/1.png": picture(), "pics/test/dog/2.png": picture(seed=1), "all.zip": zipped({"a.csv": A})},
    )
    rows, _, _ = run_as(tmp_path, KEYS, path=f"s3://{name}/pics/", storage_options=options)
    assert [(row["label"], row["split"], row["image"]) for row in rows] == [
        ("dog", "test", picture(seed=1)),
        ("cat", "train", picture()),
    ]
    assert pairs(run(tmp_path, KEYS, path=f"s3://{name}/all.zip", storage_options=options)[0]) == [("a", "x")]


def test_a_fetch_that_was_cut_off_goes_on_where_it_ended(
    tmp_path: Path, bucket: tuple[Any, str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    s3, name, options = bucket
    content = b"text,label\n" + b"".join(b"text %d,x\n" % n for n in range(5_000))
    put(s3, name, **{"big.csv": content})
    monkeypatch.setattr(remote, "PIECE_BYTES", 10_000)
    found = {**options, "key": KEYS["KEY"], "secret": KEYS["WORD"]}
    store = remote.Store(f"s3://{name}/big.csv", found)
    item = store.objects()[0]
    real, calls = store._fs.cat_file, []

    def cut(path: str, start: int, end: int) -> bytes:
        calls.append(start)
        if len(calls) == 3:
            raise ConnectionResetError("cut off")
        data: bytes = real(path, start=start, end=end)
        return data

    monkeypatch.setattr(store._fs, "cat_file", cut)
    with pytest.raises(InputError, match="cut off"):
        store.fetch(item, tmp_path, lambda done, total: None)
    assert [path.name[-5:] for path in tmp_path.iterdir()] == [".part"]
    target = store.fetch(item, tmp_path, lambda done, total: None)
    expected = [0, 10_000, 20_000, *range(20_000, len(content), 10_000)]
    assert calls == expected
    assert target.read_bytes() == content
    assert store.fetch(item, tmp_path, lambda done, total: None) == target
    assert calls == expected


def test_a_part_that_was_damaged_is_fetched_anew(tmp_path: Path, bucket: tuple[Any, str, dict[str, Any]]) -> None:
    s3, name, options = bucket
    put(s3, name, **{"a.csv": A})
    store = remote.Store(f"s3://{name}/a.csv", {**options, "key": KEYS["KEY"], "secret": KEYS["WORD"]})
    item = store.objects()[0]
    target = store.fetch(item, tmp_path, lambda done, total: None)
    target.rename(tmp_path / f"{target.name}.part")
    (tmp_path / f"{target.name}.part").write_bytes(b"\0" * 7)
    assert store.fetch(item, tmp_path, lambda done, total: None).read_bytes() == A


def test_a_file_that_changes_while_it_is_fetched_is_refused(
    tmp_path: Path, bucket: tuple[Any, str, dict[str, Any]]
) -> None:
    s3, name, options = bucket
    put(s3, name, **{"a.csv": A})
    store = remote.Store(f"s3://{name}/a.csv", {**options, "key": KEYS["KEY"], "secret": KEYS["WORD"]})
    item = store.objects()[0]
    put(s3, name, **{"a.csv": B})
    with pytest.raises(InputError, match="changed while"):
        store.fetch(item, tmp_path, lambda done, total: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("s3://{name}/none.csv", "no such file"),
        ("s3://nobucket/*.csv", "no such file|names no file"),
        ("s3://{name}/*.x", "names no file"),
    ],
    ids=["file", "bucket", "pattern"],
)
def test_what_is_not_there_is_said(
    tmp_path: Path, bucket: tuple[Any, str, dict[str, Any]], path: str, message: str
) -> None:
    _, name, options = bucket
    with pytest.raises(InputError, match=message):
        run(tmp_path, KEYS, path=path.format(name=name), storage_options=options)


def test_no_error_shows_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"endpoint_url": "http://127.0.0.1:9", "key": {"secret": "KEY"}, "secret": {"secret": "WORD"}}
    options["config_kwargs"] = {"retries": {"max_attempts": 0}, "connect_timeout": 1}
    with pytest.raises(InputError, match="the store cannot be read") as caught:
        run(tmp_path, KEYS, path="s3://bucket/a.csv", storage_options=options)
    store = remote.Store("memory://a.csv", {}, list(KEYS.values()))
    with pytest.raises(InputError) as made, store._errors("memory://a.csv"):
        raise ValueError(f"signature of {KEYS['WORD']} by {KEYS['KEY']} is wrong")
    for error in (caught.value, made.value):
        assert error.__cause__ is None
        assert error.__suppress_context__
        assert not any(value in str(error) for value in KEYS.values())
    assert "***" in str(made.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"storage_options": {"key": {"secret": "KEY"}, "secret": "plain"}},
        {"storage_options": {"client_kwargs": {"aws_secret_access_key": "plain"}}},
        {"storage_options": {"token": "plain"}},
        {"storage_options": {"endpoint_url": "https://me:plain@host"}},
        {"path": "s3://ME:plain@bucket/a.csv"},
        {"path": {"train": ["webhdfs://me:plain@host/a.csv"]}},
    ],
    ids=range(6),
)
def test_a_credential_in_the_settings_is_refused_and_not_shown_by_check(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    import modelyard

    with pytest.raises(ValidationError):
        read.Config(**{"path": "s3://bucket/a.csv", **settings})
    values = {"path": "s3://bucket/a.csv", "text": "text", **settings}
    text = f"version: 1\nproject: p\nsteps:\n  rows: {{uses: data.read, with: {json.dumps(values)}}}\n"
    (tmp_path / "modelyard.yaml").write_text(text)
    problems = modelyard.check(tmp_path / "modelyard.yaml")
    assert len(problems) == 1
    assert "credential" in str(problems[0])
    assert "plain" not in str(problems[0])


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://example.org/data.csv", "data.http_api"),
        ("http://127.0.0.1/data.csv", "data.http_api"),
        ("file:///etc/passwd", "unknown kind of URL"),
        ("ftp://host/a.csv", "unknown kind of URL"),
        ("zip://a.csv::s3://b/c.zip", "unknown kind of URL"),
        ("simplecache::s3://b/c.zip", "no such file|unknown kind"),
        ("S4://b/c", "unknown kind of URL"),
    ],
)
def test_other_urls_are_refused_with_what_to_do(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(tmp_path, path=url)


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match="pip install ossfs"):
        run(tmp_path, path="oss://bucket/a.csv")


def test_a_store_that_says_nothing_of_its_bytes_is_fingerprinted_by_them(tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe({"/yard/a.csv": A, "/yard/b.csv": B})
    try:
        rows, _, _ = run(tmp_path, path={"train": "memory://yard/a.csv", "test": "memory://yard/b.csv"})
        assert [(row["text"], row["split"]) for row in rows] == [("a", "train"), ("b", "test")]
        config = read.Config(path="memory://yard/*.csv")
        before = read.fingerprint(config, tmp_path)
        memory.pipe({"/yard/b.csv": B})
        assert read.fingerprint(config, tmp_path) == before
        memory.pipe({"/yard/b.csv": A})
        assert read.fingerprint(config, tmp_path) != before
        with pytest.raises(InputError, match="the same file"):
            run(tmp_path, path={"train": "memory://yard/a.csv", "test": "memory://yard/*.csv"})
    finally:
        memory.rm("/yard", recursive=True)


def test_names_in_a_bucket_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.store["/bad/cat/..\\..\\evil.png"] = memory.store.get("x") or fsspec.implementations.memory.MemoryFile(
        memory, "/bad/cat/..\\..\\evil.png", picture()
    )
    try:
        with pytest.raises(InputError, match="backslash"):
            run_as(tmp_path, path="memory://bad")
    finally:
        memory.store.pop("/bad/cat/..\\..\\evil.png")


def test_files_in_hdfs_are_read_over_its_rest_interface(tmp_path: Path) -> None:
    with HdfsServer({"/data/1.csv": A, "/data/2.csv": B, "/data/deep/3.csv": A}, user="etl") as server:
        url = f"webhdfs://etl@{server.address}/data/*.csv"
        rows, _, _ = run(tmp_path, path=url)
        assert pairs(rows) == [("a", "x"), ("b", "y")]
        config = read.Config(path=url)
        before = read.fingerprint(config, tmp_path)
        server.times["/data/2.csv"] += 1
        assert read.fingerprint(config, tmp_path) != before
        with pytest.raises(InputError, match=r"refuses access|cannot be read"):
            run(tmp_path, path=f"webhdfs://other@{server.address}/data/1.csv")
        with pytest.raises(InputError, match="no such file"):
            run(tmp_path, path=f"webhdfs://etl@{server.address}/data/none.csv")


def test_a_run_of_the_engine_looks_secrets_up_and_stores_none(
    tmp_path: Path, bucket: tuple[Any, str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import modelyard

    s3, name, options = bucket
    put(s3, name, **{"a.csv": A + b"c,y\n"})
    for key, value in KEYS.items():
        monkeypatch.setenv(key, value)
    values = {"path": f"s3://{name}/a.csv", "text": "text", "label": "label", "storage_options": options}
    text = f"version: 1\nproject: p\nsteps:\n  rows: {{uses: data.read, with: {json.dumps(values)}}}\n"
    (tmp_path / "modelyard.yaml").write_text(text)
    modelyard.run(tmp_path / "modelyard.yaml")
    assert [step.state for step in modelyard.plan(tmp_path / "modelyard.yaml").steps] == ["cached"]
    put(s3, name, **{"a.csv": B})
    assert [step.state for step in modelyard.plan(tmp_path / "modelyard.yaml").steps] == ["run"]
    stored = [path for path in tmp_path.rglob("*") if path.is_file() and os.access(path, os.R_OK)]
    assert len(stored) > 3
    for path in stored:
        data = path.read_bytes()
        assert not any(value.encode() in data for value in KEYS.values()), path


def test_a_fetch_leaves_its_files_for_a_restart_under_names_of_its_own(
    tmp_path: Path, bucket: tuple[Any, str, dict[str, Any]]
) -> None:
    s3, name, options = bucket
    put(s3, name, **{"a.csv": A})
    context = FakeContext(tmp_path, base=tmp_path, secrets=KEYS)
    config = read.Config(path=f"s3://{name}/a.csv", text="text", storage_options=options)
    read.run(config, context)
    files = list((context.scratch() / "fetched").iterdir())
    assert [len(path.name) for path in files] == [32]
    assert context.progressed
