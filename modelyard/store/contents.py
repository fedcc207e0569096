"""What is inside an artifact's folder: sealing it, and comparing it with its manifest."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from modelyard.base import files
from modelyard.base.canonical import digest_file
from modelyard.base.messages import t
from modelyard.core.artifact import FileEntry, Manifest
from modelyard.errors import Problem, StoreError

Stamp = tuple[int, int, int, int]


def entries(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below `folder` that is not a folder: relative path with `/` and its lstat, in a stable order."""
    for parent, names, found in os.walk(folder, followlinks=False, onerror=files.raise_error):
        names.sort()
        linked = [name for name in names if os.path.islink(os.path.join(parent, name))]
        for name in sorted(found + linked):
            path = Path(parent) / name
            yield path.relative_to(folder).as_posix(), path.lstat()


def stamp(status: os.stat_result) -> Stamp:
    """What changes when a file's bytes change, without reading them. The change time catches a restored mtime."""
    return (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


def refuse_unsafe(folder: Path) -> None:
    """Raise StoreError if the folder is no plain tree of regular files."""
    problems = []
    num_files = 0
    if folder.is_symlink() or not folder.is_dir():
        raise StoreError(t("there is no folder to keep"), where=str(folder))
    for path, status in entries(folder):
        num_files += 1
        if not stat.S_ISREG(status.st_mode):
            problems.append(Problem(path, t("is a symbolic link or a special file"), t("regular files only")))
        elif not _portable(path):
            problems.append(Problem(repr(path), t("is no portable file name"), t("UTF-8 without control characters")))
    if not num_files:
        raise StoreError(t("the folder is empty"), where=str(folder), expected=t("at least one file"))
    if problems:
        raise StoreError.of(problems)


def _portable(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return path.isprintable() and "\\" not in path


def seal(folder: Path) -> Manifest:
    """Hash every file, force all to the disk, make the files read-only, drop empty folders."""
    found = []
    for path, status in list(entries(folder)):
        full = folder / path
        if status.st_nlink > 1:
            _unshare(full)
        size, digest = files.hash_and_sync(full)
        os.chmod(full, 0o444)
        found.append(FileEntry(path, size, digest))
    deepest_first = [Path(at) for at, _, _ in os.walk(folder, topdown=False, onerror=files.raise_error)]
    for parent in deepest_first:
        if parent != folder and not any(parent.iterdir()):
            parent.rmdir()
        else:
            files.fsync_folder(parent)
    return Manifest.of(found)


def _unshare(path: Path) -> None:
    """A hard link elsewhere could change our bytes: give the artifact its own copy."""
    copy = path.with_name(f".{path.name}.copy")
    shutil.copyfile(path, copy)
    os.replace(copy, path)


def manifest_bytes(manifest: Manifest, kind: str) -> bytes:
    value = {"kind": kind, "files": manifest.to_json()}
    return json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8")


def remake() -> str:
    """The remedy for damaged bytes."""
    return t("run the project again: the artifact is made again and the damaged one is set aside")


def stamps(folder: Path) -> dict[str, Stamp]:
    """The stamps of a folder whose bytes are known to be right."""
    return {path: stamp(status) for path, status in entries(folder)}


def differences(folder: Path, manifest: Manifest, trusted: dict[str, Stamp]) -> tuple[list[Problem], dict[str, Stamp]]:
    """How a folder differs from its manifest.

    Args:
        folder: the artifact.
        manifest: what it should hold.
        trusted: stamps under which a file was found right before; a file that still has its stamp is not read again.

    Returns:
        The problems, each naming its file, and the stamps of the files that are right.
    """
    problems: list[Problem] = []
    right: dict[str, Stamp] = {}
    expected = {entry.path: entry for entry in manifest.files}
    for path, status in entries(folder):
        problem = _difference(folder / path, status, expected.pop(path, None), trusted.get(path))
        if problem is None:
            right[path] = stamp(status)
        else:
            problems.append(problem)
    for path, entry in expected.items():
        problems.append(Problem(str(folder / path), t("is missing"), entry.digest, remake()))
    return problems, right


def _difference(path: Path, status: os.stat_result, entry: FileEntry | None, trusted: Stamp | None) -> Problem | None:
    if entry is None:
        return Problem(str(path), t("was added"), t("no file of that name"), remake())
    if not stat.S_ISREG(status.st_mode):
        return Problem(str(path), t("is a symbolic link or a special file"), entry.digest, remake())
    if status.st_size != entry.size:
        return Problem(str(path), t("has {n} bytes", n=status.st_size), t("{n} bytes", n=entry.size), remake())
    if trusted == stamp(status):
        return None
    found = digest_file(path)
    if found == entry.digest:
        return None
    return Problem(str(path), t("has digest {digest}", digest=found), entry.digest, remake())
