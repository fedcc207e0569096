"""Artifacts are kept whole, named by their bytes, and never believed without looking."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

import modelyard.store
from modelyard.base import files
from modelyard.core.artifact import FileEntry, Manifest
from modelyard.errors import IntegrityError, StoreError, VersionError
from modelyard.store import ArtifactStore, contents, locks


@pytest.fixture
def store(tmp_path: Path):
    opened = ArtifactStore(tmp_path / "store")
    yield opened
    opened.close()


def fill(folder: Path, **contents: str) -> Path:
    for name, text in contents.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def commit(store: ArtifactStore, **contents: str):
    return store.commit(fill(store.workspace(), **contents), "dataset")


def damage(path: Path, data: bytes, keep_times: bool = False) -> None:
    before = path.stat()
    os.chmod(path, 0o644)
    path.write_bytes(data)
    if keep_times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_an_artifact_is_named_by_its_manifest_and_reads_back(store: ArtifactStore) -> None:
    artifact = commit(store, a="one", sub__b="two", sub__deep__c="")
    assert (artifact.size, artifact.num_files, artifact.kind) == (6, 3, "dataset")
    folder = store.path(artifact.digest)
    assert folder.parent.parent == store.root / "artifacts"
    assert "sha256:" + folder.parent.name + folder.name == artifact.digest
    assert (folder / "sub/deep/c").read_bytes() == b""
    manifest = store.manifest(artifact.digest)
    assert manifest.digest == artifact.digest
    assert [entry.path for entry in manifest.files] == ["a", "sub/b", "sub/deep/c"]
    assert folder.with_name(folder.name + ".json").is_file()
    assert store.artifact(artifact.digest) == artifact
    assert store.digests() == [artifact.digest]
    for path in files.walk(folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o444


def test_the_digest_depends_on_names_and_bytes_only(store: ArtifactStore) -> None:
    first = commit(store, a="1", b="2")
    folder = fill(store.workspace(), b="2", a="1")
    (folder / "empty").mkdir()
    os.utime(folder / "a", (1, 1))
    assert store.commit(folder, "dataset").digest == first.digest
    assert commit(store, a="2", b="1").digest != first.digest
    assert commit(store, a="1", c="2").digest != first.digest


def test_commit_consumes_its_folder_and_stores_equal_bytes_once(store: ArtifactStore) -> None:
    folder = fill(store.workspace(), a="x")
    first = store.commit(folder, "dataset")
    assert not folder.exists()
    inode = (store.path(first.digest) / "a").stat().st_ino
    again = fill(store.workspace(), a="x")
    assert store.commit(again, "dataset") == first
    assert not again.exists()
    assert (store.path(first.digest) / "a").stat().st_ino == inode
    with pytest.raises(StoreError):
        store.commit(folder, "dataset")


@pytest.mark.parametrize("kind", ["link", "folder_link", "pipe", "empty", "backslash", "control", "not_utf8"])
def test_what_is_no_plain_file_is_refused(store: ArtifactStore, kind: str, tmp_path: Path) -> None:
    folder = store.workspace()
    if kind != "empty":
        fill(folder, a="x")
    if kind == "link":
        (folder / "l").symlink_to(folder / "a")
    if kind == "folder_link":
        (folder / "l").symlink_to(tmp_path)
    if kind == "pipe":
        os.mkfifo(folder / "p")
    if kind == "backslash":
        (folder / "a\\b").write_text("x")
    if kind == "control":
        (folder / "a\nb").write_text("x")
    if kind == "not_utf8":
        (Path(os.fsdecode(os.fsencode(folder) + b"/\xff"))).write_text("x")
    with pytest.raises(StoreError):
        store.commit(folder, "dataset")
    assert store.digests() == []


def test_a_hard_link_to_a_users_file_cannot_change_an_artifact_later(store: ArtifactStore, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("as committed")
    folder = store.workspace()
    os.link(mine, folder / "a")
    artifact = store.commit(folder, "dataset")
    mine.write_text("changed later")
    store.verify(artifact.digest, deep=True)
    assert (store.path(artifact.digest) / "a").read_text() == "as committed"
    assert stat.S_IMODE(mine.stat().st_mode) & 0o200


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kind", ["flip", "flip_same_times", "truncate", "append", "remove", "add", "link", "rename"])
def test_every_kind_of_damage_is_found_and_its_file_named(store: ArtifactStore, kind: str, deep: bool) -> None:
    digest = commit(store, a="12345678", sub__b="abc").digest
    folder = store.path(digest)
    store.verify(digest)
    named = folder / "a"
    if kind == "flip":
        damage(named, b"1234567X")
    if kind == "flip_same_times":
        damage(named, b"1234567X", keep_times=True)
    if kind == "truncate":
        damage(named, b"1234")
    if kind == "append":
        damage(named, b"123456789")
    if kind == "remove":
        named.unlink()
    if kind == "add":
        named = folder / "sub" / "new"
        named.write_text("x")
    if kind == "link":
        shutil.copy(named, store.root / "elsewhere")
        named.unlink()
        named.symlink_to(store.root / "elsewhere")
    if kind == "rename":
        named.rename(folder / "z")
    with pytest.raises(IntegrityError) as caught:
        store.verify(digest, deep=deep)
    assert str(named) in [problem.where for problem in caught.value.problems]
    assert all(problem.remedy for problem in caught.value.problems)


def test_a_shallow_check_reads_no_bytes_twice_and_the_memo_may_be_lost(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = commit(store, a="x", b="y").digest
    read: list[Path] = []
    digest_file = contents.digest_file
    monkeypatch.setattr(contents, "digest_file", lambda path: read.append(path) or digest_file(path))
    store.verify(digest)
    assert read == []
    store.verify(digest, deep=True)
    assert len(read) == 2
    for content in (None, b"not json", b'{"a": [1]}', b"[]"):
        read.clear()
        memo = next((store.root / "cache").glob("*.stamps.json"))
        memo.unlink() if content is None else memo.write_bytes(content)
        store.verify(digest)
        assert len(read) == 2
        store.verify(digest)
        assert len(read) == 2


def test_a_changed_manifest_is_found(store: ArtifactStore) -> None:
    digest = commit(store, a="x").digest
    folder = store.path(digest)
    beside = folder.with_name(folder.name + ".json")
    good = beside.read_text()
    lying = Manifest.of([FileEntry("a", 1, "sha256:" + "0" * 64)])
    for text in ("", "{", "[]", json.dumps({"kind": "dataset", "files": lying.to_json()})):
        beside.write_text(text)
        with pytest.raises(IntegrityError, match="list"):
            store.manifest(digest)
        with pytest.raises(IntegrityError):
            store.verify(digest)
    commit(store, a="x")
    assert beside.read_text() == good


def test_a_damaged_artifact_that_is_made_again_is_replaced_and_kept_aside(store: ArtifactStore) -> None:
    digest = commit(store, a="good").digest
    damage(store.path(digest) / "a", b"evil")
    assert commit(store, a="good").digest == digest
    store.verify(digest, deep=True)
    assert (store.path(digest) / "a").read_text() == "good"
    (aside,) = (store.root / "quarantine").iterdir()
    assert (aside / "files" / "a").read_bytes() == b"evil"
    assert digest in (aside / "reason.txt").read_text()


def test_quarantine_takes_an_artifact_out_of_use(store: ArtifactStore) -> None:
    digest = commit(store, a="x").digest
    aside = store.quarantine(digest, "looks odd")
    assert not store.has(digest)
    assert (aside / "files" / "a").read_text() == "x"
    assert "looks odd" in (aside / "reason.txt").read_text()
    with pytest.raises(StoreError, match="no artifact"):
        store.path(digest)
    assert commit(store, a="x").digest == digest


@pytest.mark.parametrize("bad", ["", "sha256:abc", "../../etc/passwd", "sha256:" + "g" * 64, "sha256:" + "A" * 64])
def test_only_a_digest_becomes_a_path(store: ArtifactStore, bad: str) -> None:
    for call in (store.has, store.path, store.verify, store.manifest, store.use):
        with pytest.raises(StoreError, match="not a digest"):
            call(bad)


def test_a_view_shows_only_the_declared_splits_and_bears_their_digest(store: ArtifactStore, tmp_path: Path) -> None:
    digest = commit(store, **{"dataset.json": "{}"}, train__0="t", validation__0="v", test__0="secret").digest
    shown = store.view(digest, ["train", "validation"], tmp_path / "view")
    assert sorted(path.relative_to(tmp_path / "view").as_posix() for path in (tmp_path / "view").rglob("*/*")) == [
        "train/0",
        "validation/0",
    ]
    assert (tmp_path / "view" / "train" / "0").read_text() == "t"
    assert (tmp_path / "view" / "dataset.json").exists()
    assert shown == store.manifest(digest).view(["train", "validation"])
    assert shown.digest != digest
    other = commit(store, **{"dataset.json": "{}"}, train__0="t", validation__0="v", test__0="other").digest
    assert store.manifest(other).view(["train", "validation"]).digest == shown.digest


def test_use_checks_the_bytes(store: ArtifactStore) -> None:
    digest = commit(store, a="x").digest
    assert store.use(digest) == store.path(digest)
    damage(store.path(digest) / "a", b"y")
    with pytest.raises(IntegrityError):
        store.use(digest)


def test_scratch_stays_until_it_is_dropped(store: ArtifactStore) -> None:
    key = "sha256:" + "ab" * 32
    fill(store.scratch(key), checkpoint="1")
    assert (ArtifactStore(store.root).scratch(key) / "checkpoint").read_text() == "1"
    assert store.scratch("any text") != store.scratch("other text")
    store.drop_scratch(key)
    store.drop_scratch(key)
    assert list(store.scratch(key).iterdir()) == []


def test_one_process_at_a_time_makes_a_key_and_the_waiter_is_told(store: ArtifactStore) -> None:
    told, order = [], []
    entered = threading.Event()

    def second() -> None:
        with ArtifactStore(store.root).lock("key", told.append):
            order.append("second")

    with store.lock("key"), store.lock("another key"):
        thread = threading.Thread(target=second)
        thread.start()
        entered.wait(0.15)
        assert store.held("key")
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert told == [str(os.getpid())]
    assert not store.held("key")


def test_a_lock_dies_with_its_process(store: ArtifactStore) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        descriptor = locks.acquire(store.root / "locks" / "x.lock")
        os.write(writer, str(descriptor).encode())
        threading.Event().wait(60)
    os.read(reader, 10)
    assert locks.try_lock(store.root / "locks" / "x.lock") is None
    assert locks.holder(store.root / "locks" / "x.lock") == str(child)
    os.kill(child, 9)
    os.waitpid(child, 0)
    with locks.lock(store.root / "locks" / "x.lock"):
        pass


def test_a_lock_file_that_was_swept_away_has_no_two_holders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.lock"
    real = locks._try
    swept = []

    def sweep_between(descriptor: int) -> bool:
        if not swept:
            swept.append(path.unlink())
        return real(descriptor)

    monkeypatch.setattr(locks, "_try", sweep_between)
    descriptor = locks.try_lock(path)
    assert os.path.samestat(os.fstat(descriptor), path.stat())
    assert locks.try_lock(path) is None
    locks.release(descriptor)


@pytest.mark.parametrize(
    ("text", "error"),
    [('{"version": 2}', VersionError), ('{"version": "1"}', VersionError), ("{}", StoreError), ("", StoreError)],
)
def test_a_store_of_another_version_is_refused(tmp_path: Path, text: str, error: type[StoreError]) -> None:
    modelyard.store.open(tmp_path).close()
    (tmp_path / "store.json").write_text(text)
    with pytest.raises(error) as caught:
        modelyard.store.open(tmp_path)
    assert caught.value.problems[0].remedy
    assert "store.json" in caught.value.problems[0].where


def test_a_store_where_a_file_is_in_the_way_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError):
        modelyard.store.open(tmp_path / "file" / "store")


def test_a_read_only_folder_is_a_typed_error_with_a_remedy(tmp_path: Path) -> None:
    shared = Path("/tmp") / f"modelyard-read-only-{os.getpid()}"
    store = ArtifactStore(shared)
    os.chmod(shared / "tmp", 0o555)
    try:
        child = os.fork()
        if child == 0:
            os._exit(_commit_as_somebody_else(shared))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        os.chmod(shared / "tmp", 0o755)
        store.close()
        shutil.rmtree(shared)


def _commit_as_somebody_else(root: Path) -> int:
    try:
        if os.getuid() == 0:
            os.setuid(65534)
        ArtifactStore(root).workspace()
    except StoreError as error:
        return 0 if "writable" in str(error) else 3
    return 2


def test_a_full_disk_is_a_typed_error_and_nothing_is_half_there(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(operation: str, path: Path) -> None:
        if operation == "fsync" and path.name == "a":  # the data themselves; any other failing sync is no excuse
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    folder = fill(store.workspace(), a="x")
    with monkeypatch.context() as patched:
        patched.setattr(files, "hook", full)
        with pytest.raises(StoreError, match="free some space"):
            store.commit(folder, "dataset")
    assert not folder.exists(), "a failed sync is never tried again on the same bytes"
    assert store.digests() == []
    commit(store, a="x")


def test_unfinished_outputs_go_when_the_store_is_closed(tmp_path: Path) -> None:
    with modelyard.store.open(tmp_path) as store:
        fill(store.artifacts.workspace(), a="x")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_forked_child_that_closes_the_store_leaves_its_parents_outputs(tmp_path: Path) -> None:
    store = modelyard.store.open(tmp_path)
    folder = fill(store.artifacts.workspace(), a="x")
    child = os.fork()
    if child == 0:
        mine = store.artifacts.workspace()
        apart = mine.parent != folder.parent
        store.close()
        os._exit(0 if apart else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (folder / "a").read_text() == "x"
    store.artifacts.commit(folder, "dataset")
    assert store.ledger.begin_invocation("p") == 1
    store.close()
