"""Files a user names: patterns resolved, kinds told apart by their first bytes, compression undone on the way.

Format and compression are decided by content; a file's extension is only a hint between texts that look alike.
"""

from __future__ import annotations

import glob
import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from modelyard.base.canonical import digest_file
from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError

HEAD_BYTES = 1 << 16
GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
FOREIGN = {
    b"%PDF": "PDF",
    b"PK\x03\x04": "zip or Excel",
    b"\xd0\xcf\x11\xe0": "old Excel or Word",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7-Zip",
    b"Rar!": "RAR",
    b"SQLite format 3": "SQLite",
    b"\x7fELF": "program",
    b"\x89HDF": "HDF5",
    b"OggS": "Ogg",
    b"\x80\x02": "pickle",
    b"\x80\x03": "pickle",
    b"\x80\x04": "pickle",
    b"\x80\x05": "pickle",
}
CONTROL = bytes(code for code in range(32) if code not in b"\t\n\r\f\x1b")


@dataclass(frozen=True)
class Source:
    """One file to read.

    Attributes:
        path: where it is.
        name: relative to the project's folder, with `/`; what messages and artifacts show.
        split: the split it was named for, or None.
        digest: of its bytes as they lie on the disk.
        size: bytes.
    """

    path: Path
    name: str
    split: str | None
    digest: str
    size: int


Paths = str | Sequence[str] | Mapping[str, str | Sequence[str]]


def resolve(paths: Paths, base: Path) -> list[Source]:
    """The files that `paths` names, in a stable order: as listed, each pattern's matches by name.

    Args:
        paths: a path or glob pattern, a list of them, or a mapping of split to either.
        base: where relative paths start.

    Raises:
        InputError: nothing matches, a path is a folder or cannot be read, or one file is named for two splits.
    """
    groups: list[tuple[str | None, str | Sequence[str]]]
    groups = list(paths.items()) if isinstance(paths, Mapping) else [(None, paths)]
    found: dict[Path, Source] = {}
    for split, patterns in groups:
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            for path in _matches(pattern, base):
                real = path.resolve()
                if real in found and found[real].split != split:
                    raise InputError(
                        t("the same file stands in `{first}` and in `{second}`", first=found[real].split, second=split),
                        where=str(path),
                        remedy=t("a model would be tested on what it was trained on: name another file"),
                    )
                if real not in found:
                    found[real] = _source(path, base, split)
    return list(found.values())


def _matches(pattern: str, base: Path) -> list[Path]:
    literal = base / pattern
    if literal.exists():
        if literal.is_dir():
            raise InputError(
                t("a folder, not a file"), where=pattern, remedy=t("name its files: `{glob}`", glob=f"{pattern}/*.csv")
            )
        return [literal]
    if not glob.has_magic(pattern):
        raise InputError(t("no such file"), where=str(literal), remedy=_near(literal))
    matches = [Path(name) for name in sorted(glob.glob(str(base / pattern), recursive=True))]
    files = [path for path in matches if path.is_file()]
    if not files:
        raise InputError(t("the pattern matches no file"), where=str(literal), remedy=_near(literal.parent / "x"))
    return files


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return t("the folder {folder} is not there either", folder=path.parent)
    names = sorted(child.name for child in path.parent.iterdir() if child.is_file())
    return did_you_mean(path.name, names[:20])


def _source(path: Path, base: Path, split: str | None) -> Source:
    name = Path(os.path.relpath(path, base)).as_posix()
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(t("not a regular file"), where=name)
        return Source(path, name, split, digest_file(path), status.st_size)
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


def sniff_format(source: Source, head: bytes) -> str:
    """`parquet`, `arrow`, `arrow-stream`, `jsonl`, `tsv` or `csv`, by content first and then by extension.

    Raises:
        InputError: the file is of a kind that is not read, and which.
    """
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"ARROW1"):
        return "arrow"
    if head.startswith(b"\xff\xff\xff\xff"):
        return "arrow-stream"
    foreign = next((kind for magic, kind in FOREIGN.items() if head.startswith(magic)), None)
    if foreign:
        raise InputError(
            t("a {kind} file", kind=foreign),
            where=source.name,
            expected=t("CSV, TSV, JSONL, Parquet or Arrow, plain or in gzip or zstd"),
            remedy=t("save it as one of these"),
        )
    name = source.name.lower().removesuffix(".gz").removesuffix(".zst")
    if name.endswith((".jsonl", ".ndjson", ".json")) or head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b'{"', b"{ ")):
        return "jsonl"
    return "tsv" if name.endswith((".tsv", ".tab")) else "csv"


def refuse_binary(source: Source, head: bytes) -> None:
    """Raise InputError if `head` is no text in any encoding: many control bytes that no text has."""
    controls = len(head) - len(head.translate(None, CONTROL))
    share = controls / len(head)
    if share > 0.3 or (share > 0.05 and not _is_utf8(head)):
        raise InputError(
            t("binary data: {share:.0%} of its first bytes are control characters", share=share),
            where=source.name,
            expected=t("CSV, TSV, JSONL, Parquet or Arrow, plain or in gzip or zstd"),
        )


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and error.reason == "unexpected end of data"
    return True
