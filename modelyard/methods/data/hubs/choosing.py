"""Which files of a repository are its rows, and which split each is of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelyard.base.canonical import digest_file
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.hubs.repository import Snapshot
from modelyard.methods.data.sources import Source

KINDS = ((".parquet",), (".arrow",), (".jsonl", ".ndjson"), (".csv",), (".tsv",), (".json",))
COMPRESSED = (".gz", ".zst")
ABOUT = re.compile(r"(^|/)(\.[^/]*|dataset_infos?\.json|dataset_dict\.json|state\.json|package\.json)$")
SPLITS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test", "eval": "test",
}  # fmt: skip
Patterns = str | Sequence[str]


@dataclass(frozen=True)
class Chosen:
    """Files to read.

    Attributes:
        snapshot: those files only.
        splits: split of each file by its path; empty if the rows are not divided.
        guessed: whether splits were taken from the names of the files.
    """

    snapshot: Snapshot
    splits: Mapping[str, str]
    guessed: bool = False

    def check(self, pin: str | None, max_bytes: int) -> None:
        """Raises InputError if the files are not those of `pin`, or are more than `max_bytes` in all."""
        where = str(self.snapshot.repository)
        if pin is not None and pin != self.snapshot.pin:
            raise InputError(
                t("the files are not those of `pin`: they come to {pin}", pin=self.snapshot.pin),
                where=where,
                expected=pin,
                remedy=t("the repository was changed: look at how, then name the new pin"),
            )
        if self.snapshot.size > max_bytes:
            raise InputError(
                t("{size:,} bytes in {num:,} files", size=self.snapshot.size, num=len(self.snapshot.files)),
                where=where,
                expected=t("at most {n:,} bytes (setting `max_bytes`)", n=max_bytes),
                remedy=t("name fewer files, `files: [...]`, or raise the limit"),
            )

    def sources(self, folder: Path) -> list[Source]:
        """The files, fetched into `folder`, as they are read: the splits in order, then by name."""
        order = {split: place for place, split in enumerate(("", "train", "validation", "test"))}
        files = sorted(self.snapshot.files, key=lambda file: (order[self.splits.get(file.path, "")], file.path))
        return [self._source(folder / file.path, file.path) for file in files]

    def _source(self, path: Path, name: str) -> Source:
        return Source(path, name, self.splits.get(name) or None, digest_file(path), path.stat().st_size)


def choose(found: Snapshot, files: Patterns | Mapping[str, Patterns] | None) -> Chosen:
    """The files of a snapshot that are read.

    Args:
        files: patterns, or patterns by split; None: all files of one format, Parquet before text, with the splits
            their names say.

    Raises:
        InputError: a pattern matches no file, one file is of two splits, or no file holds rows.
    """
    if files is None:
        return _by_kind(found)
    groups = files if isinstance(files, Mapping) else {"": files}
    splits: dict[str, str] = {}
    for split, patterns in groups.items():
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            matched = found.only([pattern]).files
            if not matched:
                raise _no_match(found, pattern)
            for file in matched:
                if splits.setdefault(file.path, split) != split:
                    raise InputError(
                        t("the same file stands in `{first}` and in `{second}`", first=splits[file.path], second=split),
                        where=f"{found.repository}, {file.path}",
                    )
    only = _exactly(found, list(splits))
    return Chosen(only, splits if isinstance(files, Mapping) else {})


def _exactly(found: Snapshot, paths: Sequence[str]) -> Snapshot:
    by_path = {file.path: file for file in found.files}
    return Snapshot(found.repository, found.revision, found.commit, tuple(by_path[path] for path in sorted(paths)))


def _by_kind(found: Snapshot) -> Chosen:
    rows = [file.path for file in found.files if not ABOUT.search(file.path)]
    for kind in KINDS:
        paths = [path for path in rows if _plain(path).endswith(kind)]
        if paths:
            splits = {path: split for path in paths if (split := split_of(path))}
            divided = len(splits) == len(paths) and "train" in splits.values()
            return Chosen(_exactly(found, paths), splits if divided else {}, divided)
    raise InputError(
        t("no file of the repository holds rows in a known format"),
        where=str(found.repository),
        expected=t("CSV, TSV, JSONL, Parquet or Arrow, plain or in gzip or zstd"),
        remedy=_there(found),
    )


def _plain(path: str) -> str:
    lower = path.lower()
    return lower.rpartition(".")[0] if lower.endswith(COMPRESSED) else lower


def split_of(path: str) -> str:
    """The split a path names (`data/train-00000-of-00002.parquet`), `` if none or several."""
    found = {SPLITS[word] for word in re.findall(r"[a-z]+", path.lower()) if word in SPLITS}
    return found.pop() if len(found) == 1 else ""


def _no_match(found: Snapshot, pattern: str) -> InputError:
    return InputError(
        t("no file of the repository matches `{pattern}`", pattern=pattern),
        where=f"{found.repository}, files",
        remedy=_there(found),
    )


def _there(found: Snapshot) -> str:
    return t("one of: {names}", names=", ".join(sorted(file.path for file in found.files)[:20]))
