"""Artifacts: immutable folders named by their content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from modelyard.base.canonical import digest_json

Kind = Literal["dataset", "model", "report", "bundle"]
KINDS: tuple[str, ...] = get_args(Kind)

Split = Literal["all", "train", "validation", "test", "calibration"]
SPLITS: tuple[str, ...] = get_args(Split)
"""`all`: the rows of a data set that has not been split; on `calibration` a model learns how sure it may be."""


@dataclass(frozen=True, order=True)
class FileEntry:
    """One file of an artifact.

    Attributes:
        path: relative to the artifact, with `/`.
        size: bytes.
        digest: SHA-256 of the bytes.
    """

    path: str
    size: int
    digest: str


@dataclass(frozen=True)
class Manifest:
    """Every file of an artifact, in path order. The artifact's digest is the digest of this list."""

    files: tuple[FileEntry, ...]

    @classmethod
    def of(cls, files: Iterable[FileEntry]) -> Manifest:
        return cls(tuple(sorted(files)))

    @property
    def digest(self) -> str:
        return digest_json(self.to_json())

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.files)

    def to_json(self) -> list[dict[str, object]]:
        return [{"path": entry.path, "size": entry.size, "digest": entry.digest} for entry in self.files]

    @classmethod
    def from_json(cls, value: Iterable[Mapping[str, object]]) -> Manifest:
        return cls.of(FileEntry(str(entry["path"]), int(str(entry["size"])), str(entry["digest"])) for entry in value)

    def splits(self) -> tuple[str, ...]:
        """The splits a data set holds: its top folders that bear a split's name."""
        heads = {entry.path.split("/", 1)[0] for entry in self.files if "/" in entry.path}
        return tuple(split for split in SPLITS if split in heads)

    def view(self, splits: Iterable[str]) -> Manifest:
        """The part a port may see: the declared splits and what belongs to no split."""
        hidden = set(self.splits()) - set(splits)
        return Manifest.of(entry for entry in self.files if entry.path.split("/", 1)[0] not in hidden)


@dataclass(frozen=True)
class Artifact:
    """What the ledger knows of an artifact.

    Attributes:
        digest: of its manifest.
        kind: `dataset`, `model`, `report` or `bundle`.
        size: bytes of all files.
        num_files: how many.
    """

    digest: str
    kind: str
    size: int
    num_files: int
