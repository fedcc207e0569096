"""After a power cut only what was synced is sure: kill -9 cannot show a missing fsync, so the cut is simulated.

Every sync, rename and removal of a small life is recorded with the state of the folder at that moment. From each moment
three disks are made: all that was done; only what was synced; and names as they were but bytes only as synced (a torn
file is empty). SQLite does its own syncing below us: the ledger on each disk is the one of that moment.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support import store_workload

import modelyard.store
from modelyard.base import files
from modelyard.errors import IntegrityError

pytest_plugins = ("support.quick_disk",)


@dataclass
class Disk:
    """What is sure to be on the disk.

    Attributes:
        contents: inode to the bytes at its last sync.
        names: inode of a folder to its entries at its last sync: name to (inode, is a folder).
    """

    root: Path
    contents: dict[int, bytes] = field(default_factory=dict)
    names: dict[int, dict[str, tuple[int, bool]]] = field(default_factory=dict)

    def sync(self, path: Path) -> None:
        inode = path.stat().st_ino
        if path.is_dir():
            self.names[inode] = {entry.name: (entry.inode(), entry.is_dir()) for entry in os.scandir(path)}
        else:
            self.contents[inode] = path.read_bytes()

    def write_sure(self, inode: int, target: Path) -> None:
        """Only what was synced, names and bytes."""
        target.mkdir(parents=True, exist_ok=True)
        for name, (child, is_folder) in self.names.get(inode, {}).items():
            if is_folder:
                self.write_sure(child, target / name)
            else:
                (target / name).write_bytes(self.contents.get(child, b""))

    def write_torn(self, target: Path) -> None:
        """Names as they are now, bytes as synced."""
        for folder, _, names in os.walk(self.root):
            copy = target / Path(folder).relative_to(self.root)
            copy.mkdir(parents=True, exist_ok=True)
            for name in names:
                inode = (Path(folder) / name).stat().st_ino
                (copy / name).write_bytes(self.contents.get(inode, b""))

    def write_all(self, target: Path) -> None:
        shutil.copytree(self.root, target, symlinks=True)


def record(root: Path, monkeypatch: pytest.MonkeyPatch, at_each: Callable[[Disk, list[str]], None]) -> None:
    """Live, calling `at_each` around every sync and after every rename and removal that really reached the system."""
    disk, acknowledged = Disk(root), []
    root.mkdir()
    real = {name: getattr(os, name) for name in ("fsync", "rename", "replace", "unlink", "mkdir")}

    def fsync(descriptor: int) -> None:
        at_each(disk, acknowledged)
        real["fsync"](descriptor)
        disk.sync(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        at_each(disk, acknowledged)

    def watched(name: str):
        def call(*arguments, **named):
            real[name](*arguments, **named)
            at_each(disk, acknowledged)

        return call

    disk.sync(root)
    monkeypatch.setattr(os, "fsync", fsync)
    for name in ("rename", "replace", "unlink", "mkdir"):
        monkeypatch.setattr(os, name, watched(name))
    store_workload.live(root, acknowledged.append)
    monkeypatch.undo()


def check_disk(disk: Path, ledger_of: Path, acknowledged: list[str]) -> None:
    """Put the ledger of that moment on the disk and look; a store that was not yet made may be made again."""
    for name in ("ledger.db", "ledger.db-journal", "ledger.db-wal"):
        (disk / name).unlink(missing_ok=True)
        if (ledger_of / name).exists():
            shutil.copy(ledger_of / name, disk / name)
    if not acknowledged and not (disk / "store.json").exists():
        return
    store_workload.check(disk, acknowledged)


@pytest.mark.parametrize("state", ["all", "sure", "torn"])
def test_after_a_power_cut_at_any_moment_nothing_acknowledged_is_lost(
    quick_disk: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    moments: list[list[str]] = []

    def at_each(disk: Disk, acknowledged: list[str]) -> None:
        number = str(len(moments))
        moments.append(list(acknowledged))
        target = quick_disk / "disks" / number
        if state == "all":
            disk.write_all(target)
        elif state == "sure":
            disk.write_sure(disk.root.stat().st_ino, target)
        else:
            disk.write_torn(target)
        keep = quick_disk / "ledgers" / number
        keep.mkdir(parents=True)
        for found in disk.root.glob("ledger.db*"):
            shutil.copy(found, keep / found.name)

    busy = []

    def once(disk: Disk, acknowledged: list[str]) -> None:
        if not busy:  # making a disk renames and removes too
            busy.append(True)
            at_each(disk, acknowledged)
            busy.clear()

    record(quick_disk / "store", monkeypatch, once)
    assert len(moments) > 60
    assert max(len(acknowledged) for acknowledged in moments) == 4
    for number, acknowledged in enumerate(moments):
        check_disk(quick_disk / "disks" / str(number), quick_disk / "ledgers" / str(number), acknowledged)
        shutil.rmtree(quick_disk / "disks" / str(number))


@pytest.mark.parametrize("forgotten", ["fsync", "fsync_folder"])
def test_the_simulation_catches_a_store_that_forgets_to_sync(
    quick_disk: Path, monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    """A test of the test: without file syncs, or without folder syncs, acknowledged artifacts are lost."""
    disk = Disk(quick_disk / "store")
    disk.root.mkdir()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)
        if path.is_dir() != (forgotten == "fsync_folder"):
            disk.sync(path)

    disk.sync(disk.root)
    monkeypatch.setattr(os, "fsync", fsync)
    with modelyard.store.open(disk.root) as store:
        digest = store_workload.make(store, "x").digest
    monkeypatch.undo()
    disk.write_sure(disk.root.stat().st_ino, quick_disk / "after")
    shutil.copyfile(disk.root / "ledger.db", quick_disk / "after" / "ledger.db")  # SQLite syncs below us
    with modelyard.store.open(_whole_marker(quick_disk / "after")) as store:
        assert not store.artifacts.has(digest) or _is_damaged(store, digest)


def _whole_marker(root: Path) -> Path:
    if (root / "store.json").exists():
        files.write_atomic(root / "store.json", b'{"version": 1}')
    return root


def _is_damaged(store: modelyard.store.Store, digest: str) -> bool:
    try:
        store.artifacts.verify(digest, deep=True)
    except IntegrityError:
        return True
    return False
