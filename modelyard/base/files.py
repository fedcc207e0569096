"""Durable files: the only place that opens, syncs, renames or removes what must survive a power cut.

Order everywhere: write to a temporary name, flush, fsync, rename, fsync the folder, and only then move the
reference to it. A failed fsync is never retried (the kernel may have dropped the pages: PostgreSQL's fsync
lesson of 2018); it raises. Every primitive passes through `hook`, so that tests can kill or fail the N-th call.
"""

from __future__ import annotations

import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

Hook = Callable[[str, Path], None]


def _no_hook(operation: str, path: Path) -> None:
    """Production: nothing is injected."""


hook: Hook = _no_hook


def fsync_file(path: Path) -> None:
    """Force a file's bytes to the disk."""
    hook("fsync", path)
    descriptor = os.open(path, os.O_RDONLY)
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


def walk(root: Path) -> Iterator[Path]:
    """Regular files below `root` in a stable order; symbolic links are not followed."""
    for folder, names, files in os.walk(root, followlinks=False):
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
    for folder, _, _ in os.walk(root):
        os.chmod(folder, 0o700)
    shutil.rmtree(root)
