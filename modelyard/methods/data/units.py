"""From what a user names to what is read one after another: files, members of archives, folders of images.

A member of an archive is laid into a room of ours under a name of ours for as long as it is read; the archive decides
nothing about where.
"""

from __future__ import annotations

import glob
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.files.names import is_litter
from modelyard.methods.data.files.pictures import METADATA, DescribedReader, PictureReader
from modelyard.methods.data.files.saved import Part, SavedReader, is_saved, parts_of
from modelyard.methods.data.files.tarred import is_tar, open_tar
from modelyard.methods.data.files.tree import Entry, PathTree, Tree, folder_tree
from modelyard.methods.data.files.workbook import office_kind
from modelyard.methods.data.files.zipped import open_zip
from modelyard.methods.data.opening import Reading, open_reader
from modelyard.methods.data.rows import Reader
from modelyard.methods.data.sources import (
    IMAGES,
    ZIP,
    Source,
    file_source,
    head_of,
    is_compressed,
    named_twice,
)

TABLES = (".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".parquet", ".arrow", ".xlsx", ".xls", ".ods")


@dataclass(frozen=True)
class Opened:
    """An open unit.

    Attributes:
        how: in words, how it is read.
        digest: of the bytes, which the ids of rows without ids of their own are made of.
    """

    reader: Reader
    how: str
    digest: str = ""


@dataclass(frozen=True)
class Unit:
    """What is read in one go. `open` gives it for as long as the context lasts."""

    name: str
    split: str | None
    size: int
    open: Callable[[], AbstractContextManager[Opened]]
    notes: tuple[str, ...] = ()


def expand(sources: Sequence[Source], reading: Reading) -> Iterator[Unit]:
    """Units of the sources, in order. Archives stay open while their units are handed out.

    Raises:
        InputError: an archive is refused, or there is nothing in it, or images and tables are mixed in it.
    """
    seen: dict[str, str | None] = {}
    with ExitStack() as stack:
        room = reading.room or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modelyard-")))
        for source in sources:
            with _tree(source, reading, room) as tree:
                if tree is None:
                    yield Unit(source.name, source.split, source.size, _file_opener(source, reading))
                else:
                    yield from _units(tree, source, reading, room, seen)


def _file_opener(source: Source, reading: Reading) -> Callable[[], AbstractContextManager[Opened]]:
    @contextmanager
    def opened() -> Iterator[Opened]:
        reader, how = open_reader(source, reading)
        yield Opened(reader, how, source.digest)

    return opened


@contextmanager
def _tree(source: Source, reading: Reading, room: Path) -> Iterator[Tree | None]:
    """The files in a folder or an archive; None for any other file."""
    if source.files is not None:
        yield PathTree(source.name, t("folder"), source.files, [])
        return
    if source.path.is_dir():
        yield folder_tree(source.path, source.name)
        return
    head = head_of(source)
    if head.startswith(ZIP) and not is_compressed(source) and not office_kind(source):
        with open_zip(source.path, source.name, reading.archive) as archive:
            yield archive
    elif is_tar(head):
        with open_tar(source, reading.archive, room) as tar:
            yield tar
    elif source.inner:
        raise InputError(t("not a zip or tar archive"), where=source.name)
    else:
        yield None


def _units(tree: Tree, source: Source, reading: Reading, room: Path, seen: dict[str, str | None]) -> Iterator[Unit]:
    root, entries = select(tree.entries, source.inner)
    kept = [entry for entry in entries if not is_litter(entry.name)]
    _refuse_twice(kept, source, seen)
    tree = _Below(tree, root, kept) if root or len(kept) < len(tree.entries) else tree
    notes = tuple(tree.notes)
    if len(kept) < len(entries):
        num = len(entries) - len(kept)
        notes += (t("{file}: {n:,} hidden files and the like are passed over", file=tree.name, n=num),)
    names = {entry.name for entry in tree.entries}
    if is_saved(names):
        yield from _saved(tree, source, room, notes)
        return
    images = [entry for entry in tree.entries if entry.name.lower().endswith(IMAGES)]
    tables = [entry for entry in tree.entries if entry.name.lower().endswith(TABLES)]
    metadata = [entry for entry in tables if images and entry.name.rpartition("/")[2] in METADATA]
    tables = [entry for entry in tables if entry not in metadata]
    _check_kinds(tree, images, tables)
    num_other = len(tree.entries) - len(images) - len(tables) - len(metadata)
    if num_other:
        notes += (t("{file}: {n:,} files of other kinds are passed over", file=tree.name, n=num_other),)
    if images:
        size = sum(entry.size for entry in images)
        opener = _picture_opener(tree, images, metadata, source, reading, room)
        yield Unit(tree.name, source.split, size, opener, notes)
    for entry in tables:
        name = f"{tree.name}/{entry.name}"
        yield Unit(name, source.split, entry.size, _member_opener(tree, entry, reading, room), notes)
        notes = ()


def select(entries: Sequence[Entry], inner: str) -> tuple[str, list[Entry]]:
    """The files that `inner` means: all, those of a folder (and its name with `/`), one file, or those of a pattern."""
    inner = inner.strip("/")
    if not inner:
        return "", list(entries)
    if glob.has_magic(inner):
        pattern = re.compile(_regex(inner))
        return "", [entry for entry in entries if pattern.fullmatch(entry.name)]
    below = [entry for entry in entries if entry.name.startswith(inner + "/")]
    return (inner + "/", below) if below else ("", [entry for entry in entries if entry.name == inner])


def _regex(pattern: str) -> str:
    """A glob pattern over `/`-paths as a regular expression; `**` stands for any folders, also none."""
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]*\])", pattern)
    meanings = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        meanings.get(piece) or (piece.replace("[!", "[^", 1) if piece.startswith("[") else re.escape(piece))
        for piece in pieces
    )


def _refuse_twice(entries: Sequence[Entry], source: Source, seen: dict[str, str | None]) -> None:
    """Raise InputError if a file in the tree was already read for another split."""
    if source.split is None:
        return
    root = source.path.resolve()
    for entry in entries:
        key = f"{root}/{entry.name}"
        if seen.setdefault(key, source.split) != source.split:
            raise named_twice(seen[key], source.split, f"{source.name}/{entry.name}")


class _Below:
    """Some files of a tree, under names that begin at a folder of it."""

    def __init__(self, tree: Tree, root: str, entries: Sequence[Entry]) -> None:
        self.name = f"{tree.name}/{root}".rstrip("/")
        self.what = tree.what
        self.notes = tree.notes
        self.entries = [Entry(entry.name.removeprefix(root), entry.size) for entry in entries]
        self._tree = tree
        self._root = root

    def open(self, name: str) -> BinaryIO:
        return self._tree.open(self._root + name)

    def path(self, name: str) -> Path | None:
        return self._tree.path(self._root + name)


def _check_kinds(tree: Tree, images: Sequence[Entry], tables: Sequence[Entry]) -> None:
    if images and tables:
        num = len(images)
        raise InputError(
            t("{n:,} images and {tables:,} tables in one {what}", n=num, tables=len(tables), what=tree.what),
            where=tree.name,
            expected=t("one kind, or `metadata.csv` beside the images"),
            remedy=t("say which: `path: {glob}`", glob=f"{tree.name}/**/*{Path(tables[0].name).suffix}"),
        )
    if not images and not tables:
        raise InputError(
            t("nothing in this {what} is read", what=tree.what),
            where=tree.name,
            expected=t("images, or tables in CSV, TSV, JSON, JSONL, Parquet, Arrow or Excel"),
        )


@contextmanager
def _laid_out(tree: Tree, name: str, room: Path) -> Iterator[Source]:
    """A file of a tree as one of this machine. Raises InputError if it is compressed or an archive itself."""
    where = f"{tree.name}/{name}"
    there = tree.path(name)
    if there is not None:
        yield file_source(there, where)
        return
    with tempfile.TemporaryDirectory(prefix="member-", dir=room) as folder:
        path = Path(folder) / "bytes"
        with tree.open(name) as stream, path.open("wb") as out:
            shutil.copyfileobj(stream, out, 1 << 20)
        source = file_source(path, where)
        _refuse_nested(source)
        yield source


def _refuse_nested(source: Source) -> None:
    if source.size == 0:
        raise InputError(t("the file is empty"), where=source.name)
    remedy = t("unpack the inner one and name it by itself")
    if is_compressed(source):
        raise InputError(t("a compressed file inside an archive"), where=source.name, remedy=remedy)
    head = head_of(source)
    if is_tar(head) or (head.startswith(ZIP) and not office_kind(source)):
        raise InputError(t("an archive inside an archive"), where=source.name, remedy=remedy)


def _member_opener(
    tree: Tree, entry: Entry, reading: Reading, room: Path
) -> Callable[[], AbstractContextManager[Opened]]:
    @contextmanager
    def opened() -> Iterator[Opened]:
        with _laid_out(tree, entry.name, room) as source:
            reader, how = open_reader(source, reading)
            yield Opened(reader, how, source.digest)

    return opened


def _saved(tree: Tree, source: Source, room: Path, notes: tuple[str, ...]) -> Iterator[Unit]:
    sizes = {entry.name: entry.size for entry in tree.entries}
    for part in parts_of(tree, may_split=source.split is None):
        name = f"{tree.name}/{part.name}"
        yield Unit(name, part.split or source.split, sizes[part.name], _saved_opener(tree, part, room), notes)
        notes = ()


def _saved_opener(tree: Tree, part: Part, room: Path) -> Callable[[], AbstractContextManager[Opened]]:
    @contextmanager
    def opened() -> Iterator[Opened]:
        with _laid_out(tree, part.name, room) as file:
            head_of(file)
            yield Opened(SavedReader(file, part.classes), t("Arrow stream"), file.digest)

    return opened


def _picture_opener(
    tree: Tree,
    images: Sequence[Entry],
    metadata: Sequence[Entry],
    source: Source,
    reading: Reading,
    room: Path,
) -> Callable[[], AbstractContextManager[Opened]]:
    @contextmanager
    def opened() -> Iterator[Opened]:
        may_split = source.split is None
        how = t("{n:,} images in a {what}", n=len(images), what=tree.what)
        if not metadata:
            yield Opened(PictureReader(tree, images, reading.image, may_split), how)
            return
        plain = replace(reading, roles={}, keep=["file_name"], form="auto", header=True, columns=None)
        with ExitStack() as stack:
            readers = []
            for entry in metadata:
                laid = stack.enter_context(_laid_out(tree, entry.name, room))
                folder = entry.name.rpartition("/")[0]
                readers.append((folder + "/" if folder else "", entry.name, open_reader(laid, plain)[0]))
            yield Opened(DescribedReader(tree, images, readers, reading.image, may_split), how)

    return opened
