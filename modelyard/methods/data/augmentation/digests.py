"""Digests of the files that augmentation is given."""

from __future__ import annotations

from pathlib import Path

from modelyard.base.canonical import digest_file, digest_json
from modelyard.base.files import walk
from modelyard.base.messages import t
from modelyard.errors import InputError


def digest_of(name: str, base: Path) -> str:
    """Digest of a file's bytes, or of every file of a folder by its name. Raises InputError if neither is there."""
    path = base / Path(name).expanduser()
    if path.is_file():
        return digest_file(path)
    if not path.is_dir():
        raise InputError(t("no such file or folder"), where=str(path))
    files = sorted(file for file in walk(path) if file.is_file())
    return digest_json({file.relative_to(path).as_posix(): digest_file(file) for file in files})
