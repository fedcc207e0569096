"""A process's part of the store: outputs being written, and pins on artifacts it uses that no reference keeps yet.

A session is a folder below tmp/ whose lock is held while its process lives. `gc` leaves alone what a living session
pins, and sweeps what a dead one left.
"""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from modelyard.base import files
from modelyard.store import locks


class Session:
    """One process's folder below `tmp`; made when it is first needed."""

    def __init__(self, tmp: Path) -> None:
        self._tmp = tmp
        self._begin()

    def _begin(self) -> None:
        self._folder = self._tmp / uuid.uuid4().hex
        self._lock: int | None = None
        self._pinned: set[str] = set()
        self._process = os.getpid()

    @property
    def folder(self) -> Path:
        if self._process != os.getpid():
            self._begin()  # a forked child gets a session of its own: it must not outlive or close its parent's
        if self._lock is None:
            self._lock = locks.acquire(_lock_of(self._folder))
            (self._folder / "pins").mkdir(parents=True)
        return self._folder

    def fresh(self) -> Path:
        """A path for something new; nothing is there yet."""
        return self.folder / uuid.uuid4().hex

    def pin(self, name: str) -> None:
        """Keep `gc` from an artifact while this process lives."""
        pins = self.folder / "pins"
        if name not in self._pinned:
            (pins / name).touch()
            self._pinned.add(name)

    def close(self) -> None:
        """Drop unfinished outputs and pins."""
        if self._lock is None or self._process != os.getpid():
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        _lock_of(self._folder).unlink(missing_ok=True)
        locks.release(self._lock)
        self._begin()


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def pinned(tmp: Path) -> frozenset[str]:
    """What any session pins. A dead one's pins count until it is swept: wrong only on the safe side."""
    found: set[str] = set()
    for folder in os.scandir(tmp):  # not `glob`, which passes over what it cannot read
        if folder.is_dir():
            try:
                found.update(os.listdir(os.path.join(folder.path, "pins")))
            except FileNotFoundError:
                continue  # closed a moment ago, or not yet pinning
    return frozenset(found)


def sweep(tmp: Path, dry_run: bool) -> int:
    """Remove what dead sessions left. Returns the bytes freed."""
    freed = 0
    for lock in sorted(tmp.glob("*.lock")):
        descriptor = locks.try_lock(lock)
        if descriptor is None:
            continue
        try:
            folder = lock.with_suffix("")
            if folder.is_dir():  # else its session closed, or is just being made: it makes its lock again
                freed += sum(path.lstat().st_size for path in files.walk(folder))
            if not dry_run:
                files.remove_tree(folder)
                files.remove_file(lock)
        finally:
            locks.release(descriptor)
    return freed
