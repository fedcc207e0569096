"""A folder of images as rows: the class is the name of the folder, or stands in a `metadata.csv` beside them.

    cat/1.jpg, dog/2.jpg                  class folders
    train/cat/1.jpg, test/dog/2.jpg       split folders above them (train, validation, val, dev, test …)
    metadata.csv|jsonl, 1.jpg, 2.jpg      one row of metadata an image, found by its column `file_name`

The last is the convention of the Hugging Face library `datasets` (imagefolder).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from modelyard.base.canonical import digest_bytes
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.files.names import fault_of, plain
from modelyard.methods.data.files.tree import Entry, Tree
from modelyard.methods.data.images import ImageLimits
from modelyard.methods.data.roles import SPLIT_WORDS
from modelyard.methods.data.rows import Bad, Reader, Row

IMAGE, LABEL, FILE_NAME, SPLIT = "image", "label", "file_name", "split"
METADATA = ("metadata.csv", "metadata.jsonl")
Keyed = tuple[str, str, Row]
"""Digest that the row's id is made of, the file it stands in, and the row."""


@dataclass(frozen=True)
class Arrangement:
    """What the folders of images mean.

    Attributes:
        prefix: folders that all images share and that mean nothing.
        has_splits: the first folder below is the split.
        has_labels: there are class folders.
    """

    prefix: str
    has_splits: bool
    has_labels: bool

    def split(self, name: str) -> str | None:
        return SPLIT_WORDS[self._folders(name)[0].lower()] if self.has_splits else None

    def label(self, name: str) -> str | None:
        """The first folder below the split; None for an image that lies in none."""
        rest = self._folders(name)[self.has_splits :]
        return rest[0] if rest else None

    def _folders(self, name: str) -> list[str]:
        return name.removeprefix(self.prefix).split("/")[:-1]


def arrange(names: Iterable[str], may_split: bool) -> Arrangement:
    """What the folders mean, from the names of all images.

    Args:
        may_split: False where the split is named for the whole folder.
    """
    folders = [name.split("/")[:-1] for name in names]
    depth = 0
    while _is_wrapping(folders, depth, may_split):
        depth += 1
    prefix = "".join(f"{folder}/" for folder in folders[0][:depth]) if folders else ""
    below = [parts[depth:] for parts in folders]
    has_splits = may_split and bool(below) and all(parts and parts[0].lower() in SPLIT_WORDS for parts in below)
    return Arrangement(prefix, has_splits, any(parts[has_splits:] for parts in below))


def _is_wrapping(folders: Sequence[Sequence[str]], depth: int, may_split: bool) -> bool:
    """Whether all images lie in one folder at this depth and in folders below it: then it tells none from another."""
    if not folders or min(len(parts) for parts in folders) < depth + 2:
        return False
    names = {parts[depth] for parts in folders}
    return len(names) == 1 and not (may_split and names.pop().lower() in SPLIT_WORDS)


class PictureReader:
    """Images whose class is their folder. See `rows.Reader`; ids come from the bytes of each image.

    Attributes:
        num_bytes_read: so far.
    """

    def __init__(self, tree: Tree, images: Sequence[Entry], limits: ImageLimits, may_split: bool) -> None:
        self._tree = tree
        self._images = images
        self._limits = limits
        self._arrangement = arrange((entry.name for entry in images), may_split)
        self.num_bytes_read = 0
        self.notes: list[str] = []
        has = {LABEL: self._arrangement.has_labels, SPLIT: self._arrangement.has_splits}
        self.names = [name for name in (IMAGE, LABEL, FILE_NAME, SPLIT) if has.get(name, True)]
        self.types: list[pa.DataType] = [pa.binary() if name == IMAGE else pa.string() for name in self.names]
        self.own_roles = {name: "other" if name == FILE_NAME else name for name in self.names}
        self.described = t("the class is the folder's name") if has[LABEL] else t("no class folders")
        if has[SPLIT]:
            self.described = t("split folders") + ", " + self.described

    def rows(self) -> Iterator[Row]:
        return (row for _, _, row in self.keyed_rows())

    def keyed_rows(self) -> Iterator[Keyed]:
        num_deeper = 0
        for entry in self._images:
            digest, data = read_image(self._tree, entry, self._limits)
            self.num_bytes_read += entry.size
            found = {
                IMAGE: data,
                LABEL: self._arrangement.label(entry.name),
                FILE_NAME: entry.name,
                SPLIT: self._arrangement.split(entry.name),
            }
            depth = entry.name.removeprefix(self._arrangement.prefix).count("/")
            num_deeper += depth > 1 + self._arrangement.has_splits
            values = data if isinstance(data, Bad) else [found[name] for name in self.names]
            yield digest, f"{self._tree.name}/{entry.name}", (1, values, "")
        if num_deeper:
            self.notes.append(
                t(
                    "{file}: {n:,} images lie deeper; their class is the first folder",
                    file=self._tree.name,
                    n=num_deeper,
                )
            )


class DescribedReader:
    """Images named in metadata. See `rows.Reader`.

    Args:
        metadata: by folder (`` or `train/`), the file's name and its reader.

    Raises:
        InputError: metadata without the column `file_name`, or files of it with different columns.
    """

    def __init__(
        self,
        tree: Tree,
        images: Sequence[Entry],
        metadata: Sequence[tuple[str, str, Reader]],
        limits: ImageLimits,
        may_split: bool,
    ) -> None:
        self._tree = tree
        self._images = {entry.name: entry for entry in images}
        self._metadata = metadata
        self._limits = limits
        self.num_bytes_read = 0
        self.notes: list[str] = []
        arrangement = arrange(self._images, may_split)
        self._split = arrangement.split if arrangement.has_splits else None
        self._others = self._columns()
        self.names = [IMAGE, FILE_NAME, *self._others, *([SPLIT] if self._split else [])]
        self.types: list[pa.DataType] = [pa.binary(), *([pa.string()] * (len(self.names) - 1))]
        self.own_roles = {IMAGE: IMAGE, FILE_NAME: "other"}
        self.own_roles |= {LABEL: LABEL} if LABEL in self._others else {}
        self.own_roles |= {SPLIT: SPLIT} if self._split else {}
        self.described = t("described by {names}", names=", ".join(name for _, name, _ in metadata))

    def _columns(self) -> list[str]:
        _, first_name, first = self._metadata[0]
        for _, name, reader in self._metadata:
            where = f"{self._tree.name}/{name}"
            if FILE_NAME not in reader.names:
                raise InputError(
                    t("no column `{name}` in the metadata", name=FILE_NAME),
                    where=where,
                    expected=t("`file_name`: each image's path from the folder of this file"),
                )
            if set(reader.names) != set(first.names):
                raise InputError(
                    t("its columns are {names}", names=", ".join(reader.names)),
                    where=where,
                    expected=t("those of {first}: {names}", first=first_name, names=", ".join(first.names)),
                )
        return [name for name in first.names if name != FILE_NAME]

    def rows(self) -> Iterator[Row]:
        return (row for _, _, row in self.keyed_rows())

    def keyed_rows(self) -> Iterator[Keyed]:
        seen: set[str] = set()
        for folder, name, reader in self._metadata:
            where = f"{self._tree.name}/{name}"
            for line, values, raw in reader.rows():
                if isinstance(values, Bad):
                    yield digest_bytes(f"{where}:{line}".encode()), where, (line, values, raw)
                    continue
                row = dict(zip(reader.names, values, strict=True))
                image = self._find(folder, row[FILE_NAME])
                if isinstance(image, Bad):
                    yield digest_bytes(f"{where}:{line}".encode()), where, (line, image, raw)
                    continue
                seen.add(image.name)
                digest, found = self._row(image, row)
                yield digest, where, (line, found, raw)
        for name in sorted(set(self._images) - seen):
            bad = Bad("image without a row in the metadata", "", name)
            yield digest_bytes(name.encode()), f"{self._tree.name}/{name}", (1, bad, name)

    def _find(self, folder: str, value: Any) -> Entry | Bad:
        text = str(value or "").strip()
        if not text or fault_of(text):
            return Bad("no image name that may stand in metadata", text[:200], text)
        entry = self._images.get(folder + plain(text))
        return entry if entry is not None else Bad("no such image", text[:200], text)

    def _row(self, entry: Entry, row: dict[str, Any]) -> tuple[str, list[Any] | Bad]:
        digest, data = read_image(self._tree, entry, self._limits)
        self.num_bytes_read += entry.size
        if isinstance(data, Bad):
            return digest, data
        split = [self._split(entry.name)] if self._split else []
        return digest, [data, entry.name, *(row[name] for name in self._others), *split]


def read_image(tree: Tree, entry: Entry, limits: ImageLimits) -> tuple[str, bytes | Bad]:
    """The digest that a row's id is made of (of the bytes, or of the name where these are not read), and the bytes."""
    if entry.size > limits.max_bytes:
        detail = f"{entry.size:,} bytes, over {limits.max_bytes:,}"
        return digest_bytes(entry.name.encode()), Bad("image too large", detail, entry.name)
    with tree.open(entry.name) as stream:
        data = stream.read()
    return digest_bytes(data), data
