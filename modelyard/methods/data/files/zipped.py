"""Zip archives, read in place: the directory is checked whole before any member is, and nothing is unpacked by name.

Python's zipfile reads the format; what is refused here is what it lets pass: links and devices, encryption, overlapping
members (D. Fifield, "A better zip bomb", WOOT 2019), members by the hundred thousand, names that lead elsewhere.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.files.limits import FREE_BYTES, ArchiveLimits
from modelyard.methods.data.files.names import encoding_of, hostile, plain, problems_of, shown
from modelyard.methods.data.files.tree import Entry

ENCRYPTED = 0x1
UTF8_NAME = 0x800
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
END = b"PK\x05\x06"
END_BYTES = 22
END64 = b"PK\x06\x06"
LOCATOR64 = b"PK\x06\x07"
MAX_COMMENT = 1 << 16
ENTRY_BYTES = 46
"""Least bytes of a member in the directory: with its size, a bound on their number that no field can lie about."""
LARGE_ENTRY_BYTES = 2_048


class ZipTree:
    """A checked zip archive as a `Tree`. Use `open_zip`."""

    def __init__(self, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str) -> None:
        self.name = name
        self.what = t("zip archive")
        self.notes: list[str] = []
        self.entries = [Entry(inner, members[inner].file_size) for inner in sorted(members)]
        self._archive = archive
        self._members = members

    def path(self, name: str) -> Path | None:
        return None

    def open(self, name: str) -> BinaryIO:
        where = f"{self.name}/{name}"
        with damage(where):
            return cast(BinaryIO, io.BufferedReader(_Checked(self._archive.open(self._members[name]), where)))


@contextmanager
def open_zip(path: Path, name: str, limits: ArchiveLimits) -> Iterator[ZipTree]:
    """A zip archive, every member of its directory checked.

    Raises:
        InputError: it is damaged, holds what is refused, or passes a limit. Nothing of it has been read then.
    """
    directory = directory_of(path, name)
    most = max(directory.num_members, directory.num_bytes // ENTRY_BYTES if directory.is_large(limits) else 0)
    if most > limits.max_members:
        raise InputError.of([too_many(name, most, limits)])
    with damage(name):
        archive = zipfile.ZipFile(path)
    with archive:
        infos = archive.infolist()
        members = _names(infos)
        problems = _problems(name, infos, members, limits, min(path.stat().st_size, archive.start_dir))
        if problems:
            raise InputError.of(problems)
        files = {plain(text): info for text, info in zip(members, infos, strict=True) if not info.is_dir()}
        yield ZipTree(archive, files, name)


@dataclass(frozen=True)
class Directory:
    """What a zip's end record says of its directory."""

    num_members: int
    num_bytes: int
    start: int

    def is_large(self, limits: ArchiveLimits) -> bool:
        """More bytes than that many members with long names take: then their number is not to be believed."""
        return self.num_bytes > limits.max_members * LARGE_ENTRY_BYTES

    def read(self, path: Path) -> bytes:
        """Its bytes, as long as they are few."""
        with path.open("rb") as stream:
            stream.seek(self.start)
            return stream.read(min(self.num_bytes, 1 << 20))


def directory_of(path: Path, name: str) -> Directory:
    """Where the directory lies, before zipfile makes an object of each member. Raises InputError if there is none."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - MAX_COMMENT - END_BYTES - 20))
        tail = stream.read()
        at = tail.rfind(END)
        if at < 0 or len(tail) - at < END_BYTES:
            found = t("the archive is cut short: its directory is missing")
            raise InputError(found, where=name, remedy=t("copy or download the file again"))
        num, num_bytes, start = struct.unpack_from("<HII", tail, at + 10)
        if at >= 20 and tail[at - 20 : at - 16] == LOCATOR64:
            stream.seek(min(struct.unpack_from("<Q", tail, at - 12)[0], size))
            end64 = stream.read(56)
            if end64.startswith(END64) and len(end64) == 56:
                num, num_bytes, start = struct.unpack_from("<QQQ", end64, 32)
    return Directory(num, min(num_bytes, size), min(start, size))


def _names(infos: Sequence[zipfile.ZipInfo]) -> list[str]:
    """Names as they were meant: those not marked as UTF-8 are bytes that zipfile took for code page 437.

    They are decoded together: one name alone may be text in two encodings.
    """
    unmarked = [info for info in infos if not info.flag_bits & UTF8_NAME]
    encoding = encoding_of(b"\n".join(info.orig_filename.encode("cp437") for info in unmarked))
    return [
        info.orig_filename.encode("cp437").decode(encoding, errors="surrogateescape")
        if not info.flag_bits & UTF8_NAME
        else info.orig_filename
        for info in infos
    ]


def trusted(setting: str) -> str:
    """What to do with an archive that is as it should be and passes a limit."""
    return t("if the archive is to be trusted, raise `{example}`", example=f"archive: {{{setting}: …}}")


def too_many(name: str, num: int, limits: ArchiveLimits) -> Problem:
    return Problem(
        name,
        t("{n:,} members", n=num),
        t("at most {limit:,}", limit=limits.max_members),
        trusted("max_members"),
    )


def too_large(name: str, num_bytes: int, limit: int, setting: str) -> Problem:
    return Problem(
        name,
        t("{n:,} bytes after decompression", n=num_bytes),
        t("at most {limit:,}", limit=limit),
        trusted(setting),
    )


def too_dense(name: str, ratio: float, limits: ArchiveLimits) -> Problem:
    return Problem(
        name,
        t("{ratio:,.0f} times as large after decompression, as a bomb is", ratio=ratio),
        t("at most {limit:,}", limit=limits.max_ratio),
        trusted("max_ratio"),
    )


def _problems(
    name: str,
    infos: Sequence[zipfile.ZipInfo],
    names: Sequence[str],
    limits: ArchiveLimits,
    end: int,
) -> list[Problem]:
    problems = problems_of(name, ((text, info.is_dir()) for text, info in zip(names, infos, strict=True)))
    if len(infos) > limits.max_members:
        problems.append(too_many(name, len(infos), limits))
    total = sum(info.file_size for info in infos)
    if total > limits.max_total_bytes:
        problems.append(too_large(name, total, limits.max_total_bytes, "max_total_bytes"))
    for text, info in zip(names, infos, strict=True):
        problem = _member_problem(name, shown(text), info, limits)
        if problem is not None:
            problems.append(problem)
    problems += _layout_problems(name, infos, end)
    return problems[:5]


def _member_problem(name: str, text: str, info: zipfile.ZipInfo, limits: ArchiveLimits) -> Problem | None:
    where = f"{name}/{text}"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return hostile(name, text, t("a link, a device or another special file"))
    if info.is_dir() and info.file_size:
        return hostile(name, text, t("a folder with bytes of its own"))
    if info.flag_bits & ENCRYPTED:
        return hostile(name, text, t("an encrypted member"))
    if info.compress_type not in METHODS:
        return hostile(name, text, t("a compression that is not read (method {n})", n=info.compress_type))
    if info.file_size > limits.max_member_bytes:
        return too_large(where, info.file_size, limits.max_member_bytes, "max_member_bytes")
    if info.file_size > FREE_BYTES and info.file_size > limits.max_ratio * info.compress_size:
        return too_dense(where, info.file_size / max(1, info.compress_size), limits)
    return None


def _layout_problems(name: str, infos: Sequence[zipfile.ZipInfo], end: int) -> list[Problem]:
    """Members must follow one another from the first byte on: none shares bytes with another, none hides before."""
    places = sorted((info.header_offset, info.compress_size, place) for place, info in enumerate(infos))
    if places and places[0][0] != 0:
        return [hostile(name, "", t("bytes before the first member: two files in one"))]
    for (start, num_bytes, place), following in zip(places, [*(item[0] for item in places[1:]), end], strict=True):
        if start + 30 + len(infos[place].orig_filename) + num_bytes > following:
            return [hostile(name, shown(infos[place].orig_filename), t("its bytes overlap those of another member"))]
    return []


class _Checked(io.RawIOBase):
    """A member's bytes; damage found on the way is an InputError."""

    def __init__(self, stream: Any, where: str) -> None:
        self._stream = stream
        self._where = where

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with damage(self._where):
            data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


@contextmanager
def damage(where: str) -> Iterator[None]:
    """What zipfile raises on damaged bytes, as InputError."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, RuntimeError) as error:
        raise InputError(
            t("the archive is damaged: {reason}", reason=shown(str(error))),
            where=where,
            remedy=t("copy or download the file again"),
        ) from error
