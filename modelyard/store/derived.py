"""What is made from an artifact and may be lost at any time: full-text indexes, statistics.

    cache/derived/<what>-<version>/ab/cdef…/     one folder for each artifact, whole or absent

An entry is built aside and moved into place, so that none is ever half there. `gc` removes the entries of artifacts
that are gone (they hold words of their rows), and those of older versions.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from modelyard.base import files
from modelyard.store import layout

_WHAT = re.compile(r"([a-z_]+)-([0-9]+)")
DROPPED = ".dropped"


def entry(root: Path, what: str, version: int, digest: str) -> Path:
    """Where an artifact's entry lies; there or not."""
    return layout.fanned(root / "cache" / "derived" / f"{what}-{version}", layout.hex_of(digest))


def place(built: Path, target: Path) -> Path:
    """Move a folder that is complete into its place. Somebody else's that is there already stays. Returns the place."""
    files.fsync_tree(built)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        files.rename_durably(built, target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(built, ignore_errors=True)
    return target


def read(root: Path, what: str, version: int, digest: str, name: str) -> bytes | None:
    """A small file of an entry, None if it is not there."""
    try:
        return (entry(root, what, version, digest) / name).read_bytes()
    except OSError:
        return None


def write(root: Path, what: str, version: int, digest: str, name: str, data: bytes) -> None:
    """Keep a small file in an entry; where that fails, it is made again next time."""
    folder = entry(root, what, version, digest)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.write_cache(folder / name, data)
    except OSError:
        return


def sweep(root: Path, kept: Collection[str], dry_run: bool) -> int:
    """Remove entries whose artifact is not in `kept` (64 hex digits each) or whose version is past. Returns bytes."""
    freed = 0
    for folder in list(_entries(root, kept)):
        freed += sum(path.lstat().st_size for path in files.walk(folder))
        if not dry_run:
            aside = folder if folder.name.endswith(DROPPED) else folder.with_name(folder.name + DROPPED)
            if aside != folder:
                files.rename(folder, aside)
            files.remove_tree(aside)
    return freed


def _entries(root: Path, kept: Collection[str]) -> Iterator[Path]:
    """Entries that may go."""
    kinds = {path: match for path in (root / "cache" / "derived").glob("*") if (match := _WHAT.fullmatch(path.name))}
    newest: dict[str, int] = {}
    for match in kinds.values():
        newest[match[1]] = max(newest.get(match[1], 0), int(match[2]))
    for path, match in sorted(kinds.items()):
        for folder in sorted(path.glob("??/*")):
            if int(match[2]) < newest[match[1]] or folder.parent.name + folder.name not in kept:
                yield folder
