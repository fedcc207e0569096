"""Killed at any write, sync, rename or commit, the store loses nothing that it acknowledged."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from support import store_workload

import modelyard.store
import modelyard.store.collect
from modelyard.base import files

pytest_plugins = ("support.quick_disk",)


def count_points(root: Path) -> list[str]:
    """The operations of one undisturbed life."""
    seen: list[str] = []
    files.hook = lambda operation, path: seen.append(operation)
    try:
        store_workload.live(root, lambda line: None)
    finally:
        files.hook = files._no_hook
    return seen


def live_until_killed(root: Path, at: int) -> list[str]:
    """Live in a child that is killed at its `at`-th operation; what it acknowledged until then."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        left = [at]

        def kill(operation: str, path: Path) -> None:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        files.hook = kill
        try:
            store_workload.live(root, lambda line: os.write(writer, f"{line}\n".encode()) and None)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        acknowledged = stream.read().splitlines()
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status)
    return acknowledged


def test_killed_at_every_operation_nothing_acknowledged_is_lost_and_life_goes_on(quick_disk: Path) -> None:
    operations = count_points(quick_disk / "undisturbed")
    kinds = {"write", "fsync", "fsync_folder", "rename", "mkdir", "remove", "begin", "commit", "committed"}
    assert kinds <= set(operations)
    assert len(operations) > 60
    most = 0
    for at in range(1, len(operations) + 1):
        root = quick_disk / str(at)
        acknowledged = live_until_killed(root, at)
        most = max(most, len(acknowledged))
        store_workload.check(root, acknowledged)
        again: list[str] = []
        store_workload.live(root, again.append)
        store_workload.check(root, acknowledged + again)
        assert len(again) == 4
        shutil.rmtree(root)
    assert most == 4


def test_what_a_killed_process_left_is_swept(quick_disk: Path) -> None:
    operations = count_points(quick_disk / "undisturbed")
    root = quick_disk / "store"
    live_until_killed(root, operations.index("mkdir", operations.index("committed")))
    assert list((root / "tmp").iterdir())
    store_workload.live(root, lambda line: None)
    assert list((root / "tmp").iterdir()) == []


def test_a_run_whose_process_was_killed_is_declared_killed_and_its_scratch_kept(quick_disk: Path) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        store = modelyard.store.open(quick_disk)
        with store.artifacts.lock("key"):
            store.ledger.start_run(
                key="key", project="p", step="s", uses="u", seed=0, settings={}, identity={}, environment={}
            )
            (store.artifacts.scratch("key") / "checkpoint").write_text("half way")
            os.write(writer, b"x")
            signal.pause()
    os.read(reader, 1)
    with modelyard.store.open(quick_disk) as store:
        assert modelyard.store.collect.gc(store).killed == ()
        assert store.ledger.run(1).status == "running"
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert modelyard.store.collect.gc(store, dry_run=True).killed == (1,)
        assert store.ledger.run(1).status == "running"
        assert modelyard.store.collect.gc(store).killed == (1,)
        assert store.ledger.run(1).status == "killed"
        assert (store.artifacts.scratch("key") / "checkpoint").read_text() == "half way"


def test_a_store_that_is_killed_while_it_is_made_opens(quick_disk: Path) -> None:
    operations: list[str] = []
    files.hook = lambda operation, path: operations.append(operation)
    try:
        modelyard.store.open(quick_disk / "undisturbed").close()
    finally:
        files.hook = files._no_hook
    for at in range(1, len(operations) + 1):
        root = quick_disk / str(at)
        child = os.fork()
        if child == 0:
            left = [at]

            def kill(operation: str, path: Path, left: list[int] = left) -> None:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            files.hook = kill
            modelyard.store.open(root)
            os._exit(0)
        os.waitpid(child, 0)
        store_workload.live(root, lambda line: None)
        store_workload.check(root, ["run 1", "run 2", "release 1"])
        shutil.rmtree(root)
