"""Tar archives, plain or in gzip or zstd, read in place by a reader of our own.

Only regular files and folders (POSIX ustar, pax `path` and `size`, GNU long names). Everything else in the format,
links, devices and sparse files, is refused, so that the long list of ways to leave the target folder through them
(CVE-2007-4559, CVE-2025-4517 and its kin) has nothing to begin with.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.files.limits import FREE_BYTES, ArchiveLimits
from modelyard.methods.data.files.names import encoding_of, hostile, plain, problems_of, shown
from modelyard.methods.data.files.tree import Entry
from modelyard.methods.data.files.zipped import too_dense, too_large, too_many
from modelyard.methods.data.sources import Source, is_compressed, open_bytes

BLOCK = 512
MAX_EXTENSION_BYTES = 1 << 16
FILES = (b"0", b"\0", b"7")
FOLDER = b"5"
LONG_NAME = b"L"
PAX, PAX_GLOBAL = b"x", b"g"


@dataclass(frozen=True)
class Member:
    """A regular file or a folder in a tar: where its bytes begin and how many there are."""

    name: str
    is_folder: bool
    start: int
    size: int


class TarTree:
    """A checked tar archive as a `Tree`. Use `open_tar`."""

    def __init__(self, path: Path, members: list[Member], name: str) -> None:
        self.name = name
        self.what = t("tar archive")
        self.notes: list[str] = []
        self._path = path
        self._members = {plain(member.name): member for member in members if not member.is_folder}
        self.entries = [Entry(inner, self._members[inner].size) for inner in sorted(self._members)]

    def path(self, name: str) -> Path | None:
        return None

    def open(self, name: str) -> BinaryIO:
        member = self._members[name]
        stream = self._path.open("rb")
        stream.seek(member.start)
        return cast(BinaryIO, io.BufferedReader(_Part(stream, member.size)))


def is_tar(head: bytes) -> bool:
    """Whether bytes begin with a tar header, by its checksum."""
    block = head[:BLOCK]
    return len(block) == BLOCK and block[:1] != b"\0" and _checksum_holds(block)


@contextmanager
def open_tar(source: Source, limits: ArchiveLimits, room: Path) -> Iterator[TarTree]:
    """A tar archive, every header of it checked. A compressed one is decompressed into `room` while it is read.

    Raises:
        InputError: it is damaged, holds what is refused, or passes a limit.
    """
    if not is_compressed(source):
        yield TarTree(source.path, _checked(source.path, source.name, limits), source.name)
        return
    plain_tar = room / "archive.tar"
    try:
        _decompress(source, plain_tar, limits)
        yield TarTree(plain_tar, _checked(plain_tar, source.name, limits), source.name)
    finally:
        plain_tar.unlink(missing_ok=True)


def _decompress(source: Source, target: Path, limits: ArchiveLimits) -> None:
    done = 0
    with open_bytes(source) as (stream, raw), target.open("wb") as out:
        while chunk := stream.read(1 << 20):
            done += len(chunk)
            if done > limits.max_total_bytes:
                raise InputError.of([too_large(source.name, done, limits.max_total_bytes, "max_total_bytes")])
            if done > 10 * FREE_BYTES and done > limits.max_ratio * raw.tell():
                raise InputError.of([too_dense(source.name, done / max(1, raw.tell()), limits)])
            out.write(chunk)


def _checked(path: Path, name: str, limits: ArchiveLimits) -> list[Member]:
    members: list[Member] = []
    total = 0
    with path.open("rb") as stream:
        for member in _members(stream, path.stat().st_size, name):
            members.append(member)
            total += member.size
            if len(members) > limits.max_members:
                raise InputError.of([too_many(name, len(members), limits)])
            if member.size > limits.max_member_bytes:
                where = f"{name}/{shown(member.name)}"
                raise InputError.of([too_large(where, member.size, limits.max_member_bytes, "max_member_bytes")])
    if total > limits.max_total_bytes:
        raise InputError.of([too_large(name, total, limits.max_total_bytes, "max_total_bytes")])
    problems = problems_of(name, ((member.name, member.is_folder) for member in members))
    if problems:
        raise InputError.of(problems)
    return members


def _members(stream: BinaryIO, end: int, name: str) -> Iterator[Member]:
    """Files and folders in the order of the archive. Raises InputError at the first header that is not one of them."""
    long_name: str | None = None
    pax: dict[str, str] = {}
    at = 0
    while at + BLOCK <= end:
        stream.seek(at)
        block = stream.read(BLOCK)
        if block == bytes(BLOCK):
            return
        if not _checksum_holds(block):
            raise _damaged(name, t("a header at byte {place:,} does not match its checksum", place=at))
        kind, size = block[156:157], _number(block[124:136], name)
        if kind in FILES and "size" in pax:
            size = _whole(pax["size"], name)
        start = at + BLOCK
        if size < 0 or start + size > end:
            raise _damaged(name, t("it ends in the middle of a member"))
        at = start + -(-size // BLOCK) * BLOCK
        if kind in (LONG_NAME, PAX, PAX_GLOBAL):
            data = _extension(stream, size, name)
            if kind == LONG_NAME:
                long_name = _text(data.rstrip(b"\0"))
            elif kind == PAX:
                pax = _records(data, name)
            continue
        found = pax.get("path") or long_name or _header_name(block)
        long_name, pax = None, {}
        if kind not in FILES and kind != FOLDER:
            raise InputError.of([hostile(name, shown(found), t("a link, a device or another special file"))])
        is_folder = kind == FOLDER or found.endswith("/")
        if is_folder and size:
            raise InputError.of([hostile(name, shown(found), t("a folder with bytes of its own"))])
        if plain(found) not in ("", "."):
            yield Member(found, is_folder, start, size)


def _extension(stream: BinaryIO, size: int, name: str) -> bytes:
    if size > MAX_EXTENSION_BYTES:
        found = t("a name or attributes of {n:,} bytes", n=size)
        raise InputError.of([Problem(name, found, t("at most {limit:,}", limit=MAX_EXTENSION_BYTES))])
    return stream.read(size)


def _records(data: bytes, name: str) -> dict[str, str]:
    """Pax attributes: lines of `length key=value`. Raises InputError where they describe a sparse file."""
    found: dict[str, str] = {}
    while data:
        length, space, _ = data.partition(b" ")
        if not space or not length.isdigit() or len(length) > 6 or not 0 < int(length) <= len(data):
            raise _damaged(name, t("its attributes are not to be read"))
        record, data = data[len(length) + 1 : int(length) - 1], data[int(length) :]
        key, _, value = record.partition(b"=")
        if key.startswith(b"GNU.sparse"):
            raise InputError.of([hostile(name, "", t("a link, a device or another special file"))])
        if key in (b"path", b"size"):
            found[key.decode("ascii")] = _text(value)
    return found


def _header_name(block: bytes) -> str:
    short, prefix = block[:100].split(b"\0")[0], block[345:500].split(b"\0")[0]
    ustar = block[257:263] == b"ustar\0"
    return _text(prefix + b"/" + short if ustar and prefix else short)


def _text(raw: bytes) -> str:
    """A name; bytes that are no text become surrogates, which no name may hold."""
    return raw.decode(encoding_of(raw), errors="surrogateescape")


def _number(field: bytes, name: str) -> int:
    """A number in a header: octal digits, or base 256 where the first bit is set."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    digits = field.strip(b" \0")
    if not all(48 <= byte <= 55 for byte in digits):
        raise _damaged(name, t("a number in a header is none"))
    return int(digits or b"0", 8)


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise _damaged(name, t("a number in a header is none"))
    return int(text)


def _checksum_holds(block: bytes) -> bool:
    """The sum of the header's bytes, its own field taken as spaces; old writers summed signed bytes."""
    digits = block[148:156].strip(b" \0")
    if not digits or not all(48 <= byte <= 55 for byte in digits):
        return False
    rest = block[:148] + b" " * 8 + block[156:]
    total = sum(rest)
    return int(digits, 8) in (total, total - 256 * sum(byte > 127 for byte in rest))


def _damaged(name: str, reason: str) -> InputError:
    return InputError(
        t("the archive is damaged: {reason}", reason=reason), where=name, remedy=t("copy or download the file again")
    )


class _Part(io.RawIOBase):
    """The next `size` bytes of a file, which is closed with it."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(len(buffer), self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()
