"""File locks between processes, released by the operating system when their holder dies.

`flock` on POSIX, `msvcrt.locking` on Windows. Lock files carry who holds them, for the message of those who wait.
They work on a local disk, not on NFS.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.store.failures import as_store_errors

Waiting = Callable[[str], None]

if os.name == "nt":
    import msvcrt

    def _try(descriptor: int) -> bool:
        try:
            os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # far behind the holder's text, which others may read
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock until it is closed, or None if somebody else holds it.

    A lock file may be swept away between opening and locking it, which would leave two holders: the inode is
    compared after locking.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _try(descriptor):
                os.close(descriptor)
                return None
            if _still_there(path, descriptor):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0) if hasattr(os, "pwrite") else None
                return descriptor
            os.close(descriptor)
        except BaseException:
            os.close(descriptor)
            raise


def _still_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def release(descriptor: int) -> None:
    """Give the lock back, also for children forked while it was held."""
    if os.name != "nt":
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def holder(path: Path) -> str:
    """The process id of who holds a lock, as it wrote it; empty if it did not yet."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def acquire(path: Path, waiting: Waiting | None = None, poll_seconds: float = 0.05) -> int:
    """Take the lock at `path`, waiting for it if need be; give it back with `release`.

    Args:
        path: the lock file; made if missing, its folder must exist.
        waiting: called once, with the holder's process id, when somebody else holds it.
        poll_seconds: how often a waiter looks again (polling keeps Ctrl-C working everywhere).
    """
    descriptor = try_lock(path)
    if descriptor is None and waiting is not None:
        waiting(holder(path))
    while descriptor is None:
        time.sleep(poll_seconds)
        descriptor = try_lock(path)
    return descriptor


@contextmanager
def lock(path: Path, waiting: Waiting | None = None, poll_seconds: float = 0.05) -> Iterator[None]:
    """Hold the lock at `path`. A disk that refuses the lock file is a StoreError; errors of the block stay its own."""
    with as_store_errors(path):
        descriptor = acquire(path, waiting, poll_seconds)
    try:
        yield
    finally:
        release(descriptor)
