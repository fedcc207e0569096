"""Files a user names: patterns resolved, folders and members of archives among them, compression undone on the way."""

from __future__ import annotations

import glob
import gzip
import io
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from modelyard.base.canonical import digest_file, digest_json
from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError

HEAD_BYTES = 1 << 16
ZIP = b"PK\x03\x04"
GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
SAVED = ("dataset_info.json", "dataset_dict.json")
"""What the `datasets` library leaves in a folder that it saved."""
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class Source:
    """One file to read.

    Attributes:
        path: where it is.
        name: relative to the project's folder, with `/`; what messages and artifacts show.
        split: the split it was named for, or None.
        digest: of its bytes as they lie on the disk; of a folder, of the names and digests of its files.
        size: bytes.
        inner: of an archive: which of its members are meant, as a pattern; `` for all.
        files: of a folder of an object store: where each of its files was laid; `path` is no path then.
    """

    path: Path
    name: str
    split: str | None
    digest: str
    size: int
    inner: str = ""
    files: Mapping[str, Path] | None = None


Fetch = Callable[[str], "list[Source]"]
"""Gives the files that a URL names; see `files.remote`."""
Paths = str | Sequence[str] | Mapping[str, str | Sequence[str]]


def resolve(paths: Paths, base: Path, fetch: Fetch | None = None) -> list[Source]:
    """The files that `paths` names, in a stable order: as listed, each pattern's matches by name.

    Args:
        paths: a path, glob pattern or URL, a list of them, or a mapping of split to either. A path may be a folder of
            images, and may go on into an archive: `texts.zip/train/*.csv`.
        base: where relative paths start.
        fetch: gives what a URL names; without it URLs are refused.

    Raises:
        InputError: nothing matches, a folder holds nothing that is read, a file cannot be read, or one file is named
            for two splits.
    """
    groups: list[tuple[str | None, str | Sequence[str]]]
    groups = list(paths.items()) if isinstance(paths, Mapping) else [(None, paths)]
    found: dict[tuple[Path, str], Source] = {}
    for split, patterns in groups:
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            for source in _sources(pattern, base, fetch):
                key = (source.path.resolve(), source.inner)
                if key in found and found[key].split != split:
                    raise named_twice(found[key].split, split, str(source.path))
                found.setdefault(key, replace(source, split=split))
    return list(found.values())


def named_twice(first: str | None, second: str | None, where: str) -> InputError:
    return InputError(
        t("the same file stands in `{first}` and in `{second}`", first=first, second=second),
        where=where,
        remedy=t("a model would be tested on what it was trained on: name another file"),
    )


def _sources(pattern: str, base: Path, fetch: Fetch | None) -> list[Source]:
    if URL.match(pattern):
        if fetch is None:
            raise InputError(t("a URL, where a file of this machine is needed"), where=pattern.partition("?")[0])
        return fetch(pattern)
    archive, inner = _within_archive(pattern, base)
    if inner:
        return [replace(_source(archive, base), inner=inner)]
    return [_folder(path, base) if path.is_dir() else _source(path, base) for path in _matches(pattern, base)]


def _within_archive(pattern: str, base: Path) -> tuple[Path, str]:
    """`texts.zip/train/*.csv` as the file and the pattern inside it; the pattern is `` if no file stands on the way."""
    parts = pattern.split("/")
    for end in range(1, len(parts)):
        front = "/".join(parts[:end])
        if front and not glob.has_magic(front) and (base / front).is_file():
            return base / front, "/".join(parts[end:])
    return base / pattern, ""


def _matches(pattern: str, base: Path) -> list[Path]:
    literal = base / pattern
    if literal.exists():
        return [literal]
    if not glob.has_magic(pattern):
        raise InputError(t("no such file"), where=str(literal), remedy=_near(literal))
    matches = [Path(name) for name in sorted(glob.glob(str(base / pattern), recursive=True))]
    files = [path for path in matches if path.is_file()]
    if not files:
        raise InputError(t("the pattern matches no file"), where=str(literal), remedy=_near(literal.parent / "x"))
    return files


def _folder(path: Path, base: Path) -> Source:
    """A folder of images or one that `datasets` saved. Raises InputError if it is neither."""
    name = Path(os.path.relpath(path, base)).as_posix()
    parts: list[list[str]] = []
    size = 0
    is_read = False
    try:
        for folder, _, files in os.walk(path, onerror=_raise):
            for file in files:
                found = Path(folder) / file
                if file.startswith(".") or not found.is_file():
                    continue
                is_read = is_read or file in SAVED or file.lower().endswith(IMAGES)
                parts.append([found.relative_to(path).as_posix(), digest_file(found)])
                size += found.stat().st_size
    except OSError as error:
        raise unreadable(name, error) from error
    if not is_read:
        remedy = t("name its files: `{glob}`", glob=f"{name}/*.csv")
        raise InputError(t("a folder, not a file, and without images"), where=name, remedy=remedy)
    return Source(path, name, None, digest_json(sorted(parts)), size)


def _raise(error: OSError) -> None:
    raise error


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return t("the folder {folder} is not there either", folder=path.parent)
    names = sorted(child.name for child in path.parent.iterdir() if child.is_file())
    return did_you_mean(path.name, names[:20])


def _source(path: Path, base: Path) -> Source:
    return file_source(path, Path(os.path.relpath(path, base)).as_posix())


def file_source(path: Path, name: str) -> Source:
    """A file as a source that no split was named for. Raises InputError if it is none or cannot be read."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(t("not a regular file"), where=name)
        return Source(path, name, None, digest_file(path), status.st_size)
    except OSError as error:
        raise unreadable(name, error) from error


def unreadable(name: str, error: OSError) -> InputError:
    return InputError(
        t("cannot be read: {reason}", reason=error.strerror or error), where=name, remedy=t("check its permissions")
    )


@contextmanager
def open_bytes(source: Source) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """The file's bytes, decompressed if they begin like gzip or zstd, and the raw file below (for progress).

    Raises:
        InputError: it cannot be read, or the compressed data is damaged or cut short.
    """
    try:
        with source.path.open("rb") as raw:
            head = raw.read(4)
            raw.seek(0)
            yield _decompressed(raw, head), raw
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _damaged(source, error) from error
    except OSError as error:
        if error.errno is None:  # Arrow's decompression errors are OSErrors without a number
            raise _damaged(source, error) from error
        raise unreadable(source.name, error) from error


def _damaged(source: Source, error: Exception) -> InputError:
    return InputError(
        t("the compressed data is damaged or cut short: {reason}", reason=error),
        where=source.name,
        remedy=t("copy or download the file again"),
    )


def _decompressed(raw: BinaryIO, head: bytes) -> BinaryIO:
    if head.startswith(GZIP):
        return cast(BinaryIO, io.BufferedReader(gzip.GzipFile(fileobj=raw)))
    if head.startswith(ZSTD):
        import pyarrow as pa  # not above: fingerprints of files need no Arrow, and a cached run must start fast

        stream = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
        return cast(BinaryIO, io.BufferedReader(stream))
    return raw


def head_of(source: Source) -> bytes:
    """The first HEAD_BYTES bytes, decompressed. Raises InputError if there are none."""
    with open_bytes(source) as (stream, _):
        head = stream.read(HEAD_BYTES)
    if not head:
        raise InputError(t("the file is empty"), where=source.name)
    return head


def is_compressed(source: Source) -> bool:
    with source.path.open("rb") as stream:
        head = stream.read(4)
    return head.startswith((GZIP, ZSTD))
