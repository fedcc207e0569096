"""data.hub: what a hub lists is what is read, pinned and checked, against servers that speak the hubs' interfaces."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from support.fake_context import FakeContext
from support.fake_hub import COMMIT, FakeHuggingFace, FakeModelScope, as_json
from support.hostile_http import Answer, Site, site

from modelyard.core.project import SecretName
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.hubs import modelscope
from modelyard.methods.data.hubs.choosing import split_of
from modelyard.methods.data.hubs.repository import Repository, safe_path
from modelyard.stages.data import hub


def parquet(texts: list[str]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": texts, "label": ["a", "b"] * (len(texts) // 2)}), buffer)
    return buffer.getvalue()


CSV = {
    "README.md": b"# about\n",
    ".gitattributes": b"*.parquet filter=lfs\n",
    "data/train.csv": b"text,label\none,a\ntwo,b\n",
    "data/test.csv": b"text,label\nthree,a\n",
}
PARQUET = {
    "README.md": b"# about\n",
    "data/train-00000-of-00002.parquet": parquet(["t1", "t2"]),
    "data/train-00001-of-00002.parquet": parquet(["t3", "t4"]),
    "data/test-00000-of-00001.parquet": parquet(["t5", "t6"]),
    "old/all.csv": b"text,label\nx,a\n",
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT", "MODELSCOPE_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with site() as running:
        yield running


def config(server: Site, **more: Any) -> hub.Config:
    return hub.Config(**({"id": "li/mail", "endpoint": server.url, "text": "text", "label": "label"} | more))


def run(tmp_path: Path, settings: hub.Config, **secrets: str) -> FakeContext:
    context = FakeContext(tmp_path, secrets=secrets)
    hub.run(settings, context)
    return context


def rows(context: FakeContext) -> list[tuple[str, str | None]]:
    table = Dataset.open(context.output("data")).table("all").to_pylist()
    return [(row["text"], row.get("split")) for row in table]


def test_a_data_set_is_read_with_the_splits_its_files_name(tmp_path: Path, server: Site) -> None:
    FakeHuggingFace(server, "li/mail", PARQUET)
    context = run(tmp_path, config(server))
    assert rows(context) == [("t1", "train"), ("t2", "train"), ("t3", "train"), ("t4", "train"), ("t5", "test"), ("t6", "test")]  # noqa: E501 # fmt: skip
    assert any(COMMIT in line for line in context.said)
    assert any("test, train" in line for line in context.said)
    assert "/datasets/li/mail/resolve/main/README.md" not in server.paths()
    assert not [path for path in server.paths() if path.endswith(("README.md", "all.csv"))]
    assert hub.fingerprint(config(server), tmp_path) == ["huggingface", "li/mail", COMMIT]


def test_modelscope_too(tmp_path: Path, server: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelscope, "PAGE_SIZE", 2)
    FakeModelScope(server, "li/mail", CSV)
    settings = config(server, hub="modelscope", files={"train": "data/train*", "test": "data/test.csv"})
    context = run(tmp_path, settings)
    assert rows(context) == [("one", "train"), ("two", "train"), ("three", "test")]
    pin = str(hub.fingerprint(settings, tmp_path)[2])
    assert pin.startswith("sha256:")
    assert any(pin in line for line in context.said)


def test_a_changed_file_changes_the_fingerprint_and_fails_the_pin(tmp_path: Path, server: Site) -> None:
    fake = FakeModelScope(server, "li/mail", CSV)
    settings = config(server, hub="modelscope")
    pin = hub.fingerprint(settings, tmp_path)[2]
    pinned = config(server, hub="modelscope", pin=pin)
    run(tmp_path / "before", pinned)
    fake.files["data/test.csv"] = b"text,label\nthree,b\n"
    assert hub.fingerprint(settings, tmp_path)[2] != pin
    with pytest.raises(InputError, match="the files are not those of `pin`"):
        run(tmp_path / "after", pinned)


@pytest.mark.parametrize("hub_name", ["huggingface", "modelscope"])
def test_a_file_that_is_not_the_one_listed_is_refused(tmp_path: Path, server: Site, hub_name: str) -> None:
    files = CSV | {"data/big.parquet": parquet(["x", "y"])}
    kind = FakeHuggingFace if hub_name == "huggingface" else FakeModelScope
    kind(server, "li/mail", files)
    for path in [path for path in server.routes if path.endswith(("train.csv", "/repo", "big.parquet"))]:
        server.routes[path] = lambda asked: Answer(b"text,label\nevil,a\ntwo,b\n"[:23])
    for pattern in ("data/train.csv", "data/big.parquet"):
        with pytest.raises(InputError, match="the file that came is not the one"):
            run(tmp_path / pattern.replace("/", "-"), config(server, hub=hub_name, files=pattern))


def test_a_killed_fetch_goes_on_where_it_was(tmp_path: Path, server: Site) -> None:
    big = parquet([f"text number {n}" for n in range(4000)])
    FakeHuggingFace(server, "li/mail", {"data/train.parquet": big, "data/train-2.parquet": parquet(["a", "b"])})
    whole = server.routes["/cdn/data/train.parquet"]
    half = len(big) // 2
    calls = 0

    def breaking(asked: Any) -> Answer:
        nonlocal calls
        calls += 1
        answer = whole(asked)
        if calls == 1:
            answer.cut = half
        return answer

    server.routes["/cdn/data/train.parquet"] = breaking
    context = run(tmp_path, config(server, keep=["text"]))
    assert len(rows(context)) == 4002
    asked = [item for item in server.asked if item.path == "/cdn/data/train.parquet"]
    assert asked[0].headers.get("range") is None
    assert int(asked[1].headers["range"].removeprefix("bytes=").removesuffix("-")) > 0
    before = len(server.asked)
    again = run(tmp_path, config(server, keep=["text"]))
    assert rows(again) == rows(context)
    assert not [item for item in server.asked[before:] if item.path.startswith("/cdn")]


def test_the_token_goes_to_the_hub_and_nowhere_else(tmp_path: Path, server: Site) -> None:
    FakeHuggingFace(server, "li/mail", PARQUET, token="hf_secret_1234")
    private = config(server, revision=COMMIT, token=SecretName("HF"))
    context = run(tmp_path, private, HF="hf_secret_1234")
    assert len(rows(context)) == 6
    for asked in server.asked:
        assert ("authorization" in asked.headers) == (not asked.path.startswith("/cdn"))
    assert hub.fingerprint(private, tmp_path) == ["huggingface", "li/mail", COMMIT]
    with pytest.raises(InputError, match="no such repository, or it is private") as caught:
        run(tmp_path / "other", private, HF="wrong_secret_99")
    assert "wrong_secret_99" not in str(caught.value)
    with pytest.raises(ValidationError, match="named by what cannot change"):
        config(server, token=SecretName("HF"))


def test_modelscopes_token(tmp_path: Path, server: Site) -> None:
    FakeModelScope(server, "li/mail", CSV, token="ms-1234")
    zeros = "sha256:" + "0" * 64
    private = config(server, hub="modelscope", token=SecretName("MS"), pin=zeros)
    with pytest.raises(InputError, match=r"they come to sha256:[0-9a-f]{64}") as caught:
        run(tmp_path, private, MS="ms-1234")
    pin = str(caught.value).partition("they come to ")[2][:71]
    assert len(rows(run(tmp_path, private.model_copy(update={"pin": pin}), MS="ms-1234"))) == 3
    with pytest.raises(InputError, match="no such repository or revision"):
        run(tmp_path, private, MS="ms-9999")


def test_clear_errors(tmp_path: Path, server: Site) -> None:
    FakeHuggingFace(server, "li/mail", CSV)
    with pytest.raises(InputError, match="no revision `gone`"):
        run(tmp_path, config(server, revision="gone"))
    with pytest.raises(InputError, match="no such repository"):
        run(tmp_path, config(server, id="li/nothing"))
    with pytest.raises(InputError, match=r"no file of the repository matches `\*.tsv`") as caught:
        run(tmp_path, config(server, files="*.tsv"))
    assert "data/train.csv" in str(caught.value)
    with pytest.raises(InputError, match="at most 10 bytes"):
        run(tmp_path, config(server, max_bytes=10))
    server.routes["/api/datasets/li/gated/revision/main"] = lambda asked: as_json(
        {}, 403, **{"X-Error-Code": "GatedRepo"}
    )
    with pytest.raises(InputError, match="gated") as caught:
        run(tmp_path, config(server, id="li/gated"))
    assert f"{server.url}/datasets/li/gated" in str(caught.value)


def test_the_environment_names_mirrors_and_forbids_the_hub(
    tmp_path: Path, server: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeHuggingFace(server, "li/mail", CSV)
    monkeypatch.setenv("HF_ENDPOINT", server.url + "/")
    assert len(rows(run(tmp_path, config(server, endpoint=None)))) == 3
    before = len(server.asked)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    for settings in (config(server, id="li/other"), config(server, hub="modelscope")):
        with pytest.raises(InputError, match="`HF_HUB_OFFLINE` is set"):
            run(tmp_path / "offline", settings)
    assert len(server.asked) == before


def test_offline_rows_come_from_the_hubs_own_cache(
    tmp_path: Path, server: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    cache = tmp_path / "cache"
    snapshot = cache / "datasets--li--mail" / "snapshots" / COMMIT / "data"
    snapshot.mkdir(parents=True)
    (cache / "datasets--li--mail" / "refs").mkdir()
    (cache / "datasets--li--mail" / "refs" / "main").write_text(COMMIT)
    (snapshot / "train.csv").write_bytes(CSV["data/train.csv"])
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    context = run(tmp_path / "run", config(server))
    assert [text for text, _ in rows(context)] == ["one", "two"]
    assert any("nothing is asked of the hub" in line for line in context.said)
    assert hub.fingerprint(config(server), tmp_path) == ["huggingface", "li/mail", COMMIT]
    assert server.asked == []


EVIL = [
    "../../etc/passwd",
    "/etc/passwd",
    "a/../b.csv",
    "..",
    "a//b.csv",
    "a\\..\\b.csv",
    "a/\x00.csv",
    "C:/x.csv",
    "",
    None,
]


@pytest.mark.parametrize("path", EVIL)
def test_paths_that_lead_out_are_refused(path: Any) -> None:
    with pytest.raises(InputError, match="a file that is none"):
        safe_path(path, Repository("huggingface", "dataset", "a/b", "http://x"))


def test_a_listing_with_an_evil_path_is_refused(tmp_path: Path, server: Site) -> None:
    FakeHuggingFace(server, "li/mail", {"../evil.csv": b"text,label\n"})
    with pytest.raises(InputError, match="a file that is none"):
        run(tmp_path, config(server))


def test_a_listing_that_goes_on_elsewhere_is_refused(tmp_path: Path, server: Site) -> None:
    FakeHuggingFace(server, "li/mail", CSV)
    away = '<http://localhost:1/api/datasets/li/mail/tree/main>; rel="next"'
    server.routes[f"/api/datasets/li/mail/tree/{COMMIT}"] = lambda asked: as_json([], link=away)
    with pytest.raises(InputError, match="the next page is on another server"):
        run(tmp_path, config(server))


@pytest.mark.parametrize("answer", [b"<html>hello</html>", b"[]", b'{"sha": 5}', b'{"sha": "abc"}', b"null"])
def test_what_is_no_hub_is_an_input_error(tmp_path: Path, server: Site, answer: bytes) -> None:
    for path in ("/api/datasets/li/mail/revision/main", "/api/v1/datasets/li/mail/repo/tree"):
        server.routes[path] = lambda asked: Answer(answer, 200)
    monkey = config(server)
    with pytest.raises(InputError):
        run(tmp_path, monkey)
    if answer != b"[]":  # an empty list is how ModelScope may say that there is nothing
        with pytest.raises(InputError):
            run(tmp_path, config(server, hub="modelscope"))


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("data/train-00000-of-00002.parquet", "train"),
        ("dev.jsonl", "validation"),
        ("validation/0000.parquet", "validation"),
        ("test.csv", "test"),
        ("latest.csv", ""),
        ("train_test.csv", ""),
        ("training/part-1.csv", "train"),
    ],
)
def test_splits_by_name(path: str, split: str) -> None:
    assert split_of(path) == split


@pytest.mark.parametrize("name", ["../x", "a/b/c", "a b", "", "http://x/y"])
def test_ids_are_ids(name: str) -> None:
    with pytest.raises(ValidationError):
        hub.Config(id=name)


def test_what_a_hub_says_shows_no_token(tmp_path: Path, server: Site) -> None:
    said = as_json({"Code": 10, "Success": False, "Message": "x" * 195 + "bad token hub-token-1"})
    server.routes["/api/v1/datasets/li/mail/repo/tree"] = lambda asked: said
    settings = config(server, hub="modelscope", token=SecretName("T"), pin="sha256:" + 64 * "0")
    with pytest.raises(InputError, match="the hub refuses") as caught:
        run(tmp_path, settings, T="hub-token-1")
    assert "hub-t" not in str(caught.value)
