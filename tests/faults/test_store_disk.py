"""A disk that is full or failing gives a typed error with a remedy, and the store recovers when it is well again."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
from pathlib import Path

import pytest
from support import store_workload

import modelyard.store
from modelyard.base import files
from modelyard.errors import StoreError

pytest_plugins = ("support.quick_disk",)

LEDGER = {"begin", "commit", "committed"}
"""Points inside SQLite's transaction: it does its own I/O (see test_ledger_sqlite for its full disk)."""


def fail_at(at: int, code: int, for_ever: bool):
    """A hook whose `at`-th file operation fails, once or from then on."""
    seen = [0]

    def hook(operation: str, path: Path) -> None:
        if operation in LEDGER:
            return
        seen[0] += 1
        if seen[0] == at or (for_ever and seen[0] > at):
            raise OSError(code, os.strerror(code), str(path))

    return hook, seen


def live_until_error(root: Path, acknowledged: list[str]) -> StoreError | None:
    try:
        store_workload.live(root, acknowledged.append)
    except StoreError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("code", "for_ever"), [(errno.ENOSPC, True), (errno.EIO, False)], ids=["full from then on", "failing once"]
)
def test_a_disk_that_fails_at_any_operation(
    quick_disk: Path, monkeypatch: pytest.MonkeyPatch, code: int, for_ever: bool
) -> None:
    counting, seen = fail_at(-1, code, False)
    monkeypatch.setattr(files, "hook", counting)
    store_workload.live(quick_disk / "undisturbed", lambda line: None)
    total, failures = seen[0], 0
    for at in range(1, total + 1):
        root = quick_disk / str(at)
        acknowledged: list[str] = []
        monkeypatch.setattr(files, "hook", fail_at(at, code, for_ever)[0])
        error = live_until_error(root, acknowledged)
        failures += error is not None
        assert error is None or (error.problems[0].where and error.problems[0].remedy)
        monkeypatch.setattr(files, "hook", files._no_hook)
        store_workload.check(root, acknowledged)
        store_workload.live(root, acknowledged.append)
        store_workload.check(root, acknowledged)
        shutil.rmtree(root)
    assert total - 12 < failures <= total, "only writing the cache may fail without a word"


def test_a_real_limit_on_file_size_is_a_typed_error(quick_disk: Path) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = _commit_over_the_limit(quick_disk / "store")
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with modelyard.store.open(quick_disk / "store") as store:
        assert store.artifacts.digests() == []
        store_workload.make(store, "x")


def _commit_over_the_limit(root: Path) -> int:
    """The manifest of very many files is larger than a file may be."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = modelyard.store.open(root)
    folder = store.artifacts.workspace()
    for number in range(200):
        (folder / f"file {number}").write_text("x")
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
    try:
        store.artifacts.commit(folder, "dataset")
    except StoreError as error:
        return 0 if "free some space" in str(error) else 2
    return 3


def test_too_many_open_files_is_a_typed_error(quick_disk: Path) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            store = modelyard.store.open(quick_disk / "store")
            folder = store.artifacts.workspace()
            (folder / "a").write_text("x")
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
            try:
                store.artifacts.commit(folder, "dataset")
            except StoreError as error:
                code = 0 if "ulimit" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
