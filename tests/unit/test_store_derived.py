"""What is made from artifacts: whole or absent, swept when its artifact goes, never needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard import store as stores
from modelyard.base import files
from modelyard.store import Store, derived
from modelyard.store.collect import gc

GONE = "sha256:" + "0" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return stores.open(tmp_path / "store")


def keep(store: Store, text: str) -> str:
    folder = store.artifacts.workspace()
    (folder / "a.txt").write_text(text)
    return store.artifacts.commit(folder, "dataset").digest


def test_small_files_come_back_and_what_is_not_there_is_none(store: Store) -> None:
    assert derived.read(store.root, "statistics", 1, GONE, "all.json") is None
    derived.write(store.root, "statistics", 1, GONE, "all.json", b"{}")
    assert derived.read(store.root, "statistics", 1, GONE, "all.json") == b"{}"
    assert derived.read(store.root, "statistics", 2, GONE, "all.json") is None


def test_a_place_that_is_taken_stays_as_it_is(store: Store) -> None:
    target = derived.entry(store.root, "search", 1, GONE)
    for text in ("first", "second"):
        built = store.artifacts.workspace()
        (built / "index").write_text(text)
        assert derived.place(built, target) == target
        assert not built.exists()
    assert (target / "index").read_text() == "first"


def test_a_kill_before_the_move_leaves_nothing_in_place(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    built = store.artifacts.workspace()
    (built / "index").write_text("half")

    def killed(operation: str, path: Path) -> None:
        if operation == "rename":
            raise KeyboardInterrupt

    monkeypatch.setattr(files, "hook", killed)
    target = derived.entry(store.root, "search", 1, GONE)
    with pytest.raises(KeyboardInterrupt):
        derived.place(built, target)
    assert not target.exists()


def test_gc_removes_entries_of_artifacts_that_are_gone_or_go_and_of_older_versions(store: Store) -> None:
    there = keep(store, "data")  # nothing refers to it: this very gc removes it, once its process is gone
    for digest in (there, GONE):
        derived.write(store.root, "statistics", 1, digest, "all.json", b"{}")
        derived.write(store.root, "statistics", 2, digest, "all.json", b"{}")
    freed = gc(store, dry_run=True)
    assert freed.cache_bytes == 6
    gc(store)
    assert derived.read(store.root, "statistics", 2, there, "all.json") == b"{}"
    for digest, version in ((there, 1), (GONE, 1), (GONE, 2)):
        assert derived.read(store.root, "statistics", version, digest, "all.json") is None
    store.close()  # its pins go
    again = stores.open(store.root)
    gc(again)
    assert derived.read(store.root, "statistics", 2, there, "all.json") is None
    assert not list((store.root / "cache" / "derived").glob(f"*/*/*{derived.DROPPED}"))


def test_a_cache_that_cannot_be_written_is_no_error(store: Store) -> None:
    (store.root / "cache" / "derived").write_text("a file where a folder should be")
    derived.write(store.root, "statistics", 1, GONE, "all.json", b"{}")
    assert derived.read(store.root, "statistics", 1, GONE, "all.json") is None
