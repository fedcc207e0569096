"""Durable files: the only place that opens, syncs, renames or removes what must survive a power cut.

Order everywhere: write to a temporary name, flush, fsync, rename, fsync the folder, and only then move the
reference to it. A failed fsync is never retried (the kernel may have dropped the pages: PostgreSQL's fsync
lesson of 2018); it raises. Every primitive passes through `hook`, so that tests can kill or fail the N-th call.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from modelyard.base.canonical import PREFIX

Hook = Callable[[str, Path], None]


def _no_hook(operation: str, path: Path) -> None:
    """Production: nothing is injected."""


hook: Hook = _no_hook


def is_file(path: Path) -> bool:
    """Whether there is a file; False, not an error, for a name no disk can hold or a folder that may not be read."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """As `is_file`, for folders."""
    try:
        return path.is_dir()
    except OSError:
        return False


def fsync_file(path: Path) -> None:
    """Force a file's bytes to the disk."""
    hook("fsync", path)
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(path: Path) -> None:
    """Force a folder's entries (creations and renames in it) to the disk. No-op where folders cannot be synced."""
    hook("fsync_folder", path)
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace `path` with `data` durably: after a crash the file holds the old bytes or the new, whole."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        hook("write", temporary)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            hook("fsync", temporary)
            os.fsync(stream.fileno())
        hook("rename", path)
        os.replace(temporary, path)
        fsync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_new(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file durably that must not be there yet. Raises FileExistsError, and never leaves half a file."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    write_atomic(temporary, data, mode)
    try:
        hook("link", path)
        os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(path.parent)


def rename(source: Path, target: Path) -> None:
    """Rename without syncing: the caller syncs the folders before anything refers to `target`."""
    hook("rename", target)
    os.rename(source, target)


def rename_durably(source: Path, target: Path) -> None:
    """Rename and sync the folders on both sides."""
    hook("rename", target)
    os.rename(source, target)
    fsync_folder(target.parent)
    if source.parent != target.parent:
        fsync_folder(source.parent)


def fsync_tree(root: Path) -> None:
    """Sync every regular file below `root`, then every folder, deepest first."""
    folders = [root]
    for path in walk(root):
        fsync_file(path)
    folders += [path for path in root.rglob("*") if path.is_dir()]
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        fsync_folder(folder)


def raise_error(error: OSError) -> None:
    """For `os.walk`, which by itself skips folders that it cannot read."""
    raise error


def walk(root: Path) -> Iterator[Path]:
    """Regular files below `root` in a stable order; symbolic links are not followed."""
    for folder, names, files in os.walk(root, followlinks=False, onerror=raise_error):
        names.sort()
        for name in sorted(files):
            path = Path(folder) / name
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def remove_tree(root: Path) -> None:
    """Remove a folder, read-only files in it included. Missing is fine."""
    hook("remove", root)
    if not root.exists():
        return
    for folder, _, names in os.walk(root):
        os.chmod(folder, 0o700)
        if os.name == "nt":  # Windows refuses to delete what is read-only
            for name in names:
                os.chmod(Path(folder) / name, stat.S_IWRITE)
    shutil.rmtree(root)


def remove_file(path: Path) -> None:
    """Remove one file; missing is fine. Not durable by itself: sync the folder if it must stay gone."""
    hook("remove", path)
    path.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Create a folder and what is missing above it, each entry synced. There already is fine."""
    if path.is_dir():
        return
    make_folder(path.parent)
    hook("mkdir", path)
    path.mkdir(exist_ok=True)
    fsync_folder(path.parent)


def write_cache(path: Path, data: bytes) -> None:
    """Replace a file that may be lost: whole or absent after a crash of the process, never synced."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    hook("write_cache", temporary)
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def hash_and_sync(path: Path, chunk_bytes: int = 1 << 20) -> tuple[int, str]:
    """Size in bytes and digest of a file whose bytes are then on the disk: one open for both."""
    hasher = hashlib.sha256()
    size = 0
    with path.open("r+b" if os.name == "nt" else "rb") as stream:
        while chunk := stream.read(chunk_bytes):
            hasher.update(chunk)
            size += len(chunk)
        hook("fsync", path)
        os.fsync(stream.fileno())
    return size, PREFIX + hasher.hexdigest()


def append_durably(path: Path, data: bytes) -> None:
    """Add lines to a file, in one write, on the disk when this returns; the file is made if it is not there.

    If the last line has no end (a power cut tore it), it is ended first, so that it spoils no line but itself.
    """
    new = not path.exists()
    hook("append", path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size:
            os.lseek(descriptor, size - 1, os.SEEK_SET)
            data = data if os.read(descriptor, 1) == b"\n" else b"\n" + data
        written = os.write(descriptor, data)
        if written != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        hook("fsync", path)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if new:
        fsync_folder(path.parent)
