"""One face for a folder, an archive and a prefix of an object store: names of files, and their bytes."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from modelyard.base.messages import t
from modelyard.methods.data.sources import unreadable


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a tree: its name below the root, with `/`, and its size in bytes."""

    name: str
    size: int


class Tree(Protocol):
    """Files under one root.

    Attributes:
        name: of the root, for messages.
        what: `folder`, `zip archive` …, in the user's language.
        entries: the files in the order of their names; nothing but regular files.
        notes: what was passed over, for the user.
    """

    name: str
    what: str
    entries: list[Entry]
    notes: list[str]

    def open(self, name: str) -> BinaryIO:
        """The bytes of a file, to be read in order. Raises InputError if it cannot be read.

        Bytes that are damaged raise InputError where they are read.
        """
        ...

    def path(self, name: str) -> Path | None:
        """Where a file lies on this machine, None if it lies in an archive."""
        ...


class PathTree:
    """Files of this machine under names of their own, which need not be where they lie."""

    def __init__(self, name: str, what: str, paths: Mapping[str, Path], notes: list[str]) -> None:
        self.name = name
        self.what = what
        self.notes = notes
        self._paths = dict(paths)
        self.entries = [Entry(inner, self._paths[inner].stat().st_size) for inner in sorted(self._paths)]

    def path(self, name: str) -> Path | None:
        return self._paths[name]

    def open(self, name: str) -> BinaryIO:
        try:
            return self._paths[name].open("rb")
        except OSError as error:
            raise unreadable(f"{self.name}/{name}", error) from error


def folder_tree(path: Path, name: str) -> PathTree:
    """The files of a folder. Links to files are read; links to folders are not followed.

    Args:
        name: of the folder, for messages.

    Raises:
        InputError: a folder in it cannot be read.
    """
    paths: dict[str, Path] = {}
    num_links = num_special = 0
    try:
        for folder, children, files in os.walk(path, onerror=_raise):
            num_links += sum((Path(folder) / child).is_symlink() for child in children)
            for file in files:
                found = Path(folder) / file
                if not found.exists() or not stat.S_ISREG(found.stat().st_mode):
                    num_special += 1
                    continue
                inner = found.relative_to(path).as_posix()
                composed = unicodedata.normalize("NFC", inner)
                paths[inner if composed in paths else composed] = found
    except OSError as error:
        raise unreadable(name, error) from error
    notes = []
    if num_links:
        notes.append(t("{file}: {n:,} linked folders are not followed", file=name, n=num_links))
    if num_special:
        notes.append(t("{file}: {n:,} entries are no regular files and are passed over", file=name, n=num_special))
    return PathTree(name, t("folder"), paths, notes)


def _raise(error: OSError) -> None:
    raise error
