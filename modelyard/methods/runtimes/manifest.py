"""The digest of a model folder: what evidence and replies name."""

from __future__ import annotations

from pathlib import Path

from modelyard.base.canonical import digest_file
from modelyard.base.files import walk
from modelyard.core.artifact import FileEntry, Manifest


def manifest(folder: Path) -> Manifest:
    """Every regular file below `folder` with size and SHA-256; the same list the store keeps of an artifact."""
    return Manifest.of(
        FileEntry(path.relative_to(folder).as_posix(), path.stat().st_size, digest_file(path)) for path in walk(folder)
    )
