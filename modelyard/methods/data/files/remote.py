"""Files in object stores and HDFS, through fsspec: listed, known by what the store says of their bytes, fetched whole.

A file is fetched in pieces into a name made of its URL and its identity, so that a fetch that was cut off goes on where
it ended, and what changed meanwhile is fetched anew. Nothing of what a store answers becomes a path of this machine.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from modelyard.base.canonical import PREFIX, Json, digest_json
from modelyard.base.files import fsync_file, rename_durably
from modelyard.base.lookup import require
from modelyard.base.messages import did_you_mean, t
from modelyard.errors import DependencyError, InputError, ModelyardError
from modelyard.methods.data.files.names import problems_of, shown
from modelyard.methods.data.files.settings import holds_credential
from modelyard.methods.data.sources import Source, file_source

PIECE_BYTES = 8 << 20
MAX_OBJECTS = 1_000_000
PACKAGES = {"s3": "s3fs", "oss": "ossfs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
"""What fsspec needs beside itself, by protocol."""
PROTOCOLS = (*PACKAGES, "hdfs", "webhdfs", "memory")
MD5 = re.compile(r"[0-9a-f]{32}")
TIMES = ("modificationTime", "mtime", "LastModified", "last_modified", "updated")
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Object:
    """A file in a store.

    Attributes:
        url: as it is shown and named in the run's key; without credentials.
        path: as fsspec names it.
        size: bytes.
        identity: what the store says of its bytes: an ETag, else a time, else their digest.
    """

    url: str
    path: str
    size: int
    identity: Mapping[str, Json]


class Store:
    """The store behind a URL. Errors never hold a credential.

    Args:
        url: `s3://bucket/key*.parquet`, `webhdfs://host:9870/path` …
        options: fsspec's options of the store (`endpoint_url`, `key` …), secrets looked up.
        hidden: the values of the secrets among them.

    Raises:
        InputError: the protocol is none that is read, or the URL holds a credential.
        DependencyError: the package for the protocol is missing.
    """

    def __init__(self, url: str, options: Mapping[str, Any], hidden: Sequence[str] = ()) -> None:
        self._hidden = sorted((value for value in hidden if value), key=len, reverse=True)
        self.protocol = check_url(url)
        self._url = url
        _need(self.protocol)
        with self._errors(url):
            import fsspec

            plain = {**options, "skip_instance_cache": True, "use_listings_cache": False}
            self._fs, self.path = fsspec.core.url_to_fs(url, **plain)

    def objects(self) -> list[Object]:
        """The files that the URL names: one, those of a pattern, or all below a folder. Raises InputError."""
        with self._errors(self._url):
            found = self._fs.glob(self.path, detail=True) if _is_pattern(self.path) else self._below()
            files = [info for _, info in sorted(found.items()) if info["type"] == "file"]
            if not files:
                raise InputError(t("the URL names no file"), where=self._url)
            if len(files) > MAX_OBJECTS:
                raise InputError(t("{n:,} files", n=len(files)), where=self._url)
            return [Object(self._name(info), info["name"], int(info["size"]), self._identity(info)) for info in files]

    def is_folder(self) -> bool:
        """Whether the URL names a folder, all of whose files are meant."""
        with self._errors(self._url):
            return not _is_pattern(self.path) and bool(self._fs.isdir(self.path))

    def fetch(self, item: Object, room: Path, told: Told) -> Path:
        """Bring a file into `room`, going on where an earlier call was cut off.

        Args:
            told: called with bytes done and in all.

        Raises:
            InputError: it cannot be read, or it changed while it was.
        """
        name = hashlib.sha256(f"{item.url} {digest_json(item.identity)}".encode()).hexdigest()[:32]
        target, part = room / name, room / f"{name}.part"
        if target.is_file() and target.stat().st_size == item.size:
            return target
        with self._errors(item.url):
            resumed = self._pieces(item, part, told)
            if not _md5_holds(part, item.identity) and resumed:
                part.unlink()
                self._pieces(item, part, told)
            now = self._fs.info(item.path)
            if int(now["size"]) != item.size or self._identity(now) != item.identity:
                part.unlink(missing_ok=True)
                raise InputError(t("the file changed while it was fetched"), where=item.url, remedy=t("run again"))
        fsync_file(part)
        rename_durably(part, target)
        return target

    def _pieces(self, item: Object, part: Path, told: Told) -> bool:
        """Fetch what is missing; returns whether some was there."""
        done = part.stat().st_size if part.is_file() else 0
        if done > item.size:
            part.unlink()
            done = 0
        resumed = done > 0
        with part.open("ab") as stream:
            while done < item.size:
                piece = self._fs.cat_file(item.path, start=done, end=min(item.size, done + PIECE_BYTES))
                if not piece:
                    raise InputError(t("the store gave fewer bytes than it says there are"), where=item.url)
                stream.write(piece)
                done += len(piece)
                told(done, item.size)
            stream.flush()
            os.fsync(stream.fileno())
        if done != item.size:
            part.unlink()
            raise InputError(t("the store gave more bytes than it says there are"), where=item.url)
        return resumed

    def _below(self) -> dict[str, Any]:
        info = self._fs.info(self.path)
        return {info["name"]: info} if info["type"] == "file" else self._fs.find(self.path, detail=True)

    def _name(self, info: Mapping[str, Any]) -> str:
        parts = urlsplit(self._url)
        host = f"{parts.netloc}/" if self.protocol in ("webhdfs", "hdfs") else ""
        return f"{self.protocol}://{host}{str(info['name']).lstrip('/')}"

    def _identity(self, info: Mapping[str, Any]) -> dict[str, Json]:
        size = int(info["size"])
        etag = str(info.get("ETag") or info.get("etag") or "").strip('"')
        if etag:
            return {"etag": etag, "size": size}
        time = next((str(info[key]) for key in TIMES if info.get(key)), "")
        return {"time": time, "size": size} if time else {"digest": self._digest(info["name"], size), "size": size}

    def _digest(self, path: str, size: int) -> str:
        """Of the bytes, where a store says nothing of them."""
        hasher = hashlib.sha256()
        for start in range(0, size, PIECE_BYTES):
            hasher.update(self._fs.cat_file(path, start=start, end=min(size, start + PIECE_BYTES)))
        return PREFIX + hasher.hexdigest()

    @contextmanager
    def _errors(self, where: str) -> Iterator[None]:
        """Whatever a client library raises, as InputError, without credentials and without its chain of causes."""
        try:
            yield
        except ModelyardError:
            raise
        except FileNotFoundError:
            raise InputError(t("there is no such file in the store"), where=where) from None
        except PermissionError as error:
            raise InputError(
                t("the store refuses access: {reason}", reason=self._clean(error)),
                where=where,
                remedy=t("check the credentials in `storage_options`, and what they may read"),
            ) from None
        except (MemoryError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise InputError(
                t("the store cannot be read: {reason}", reason=self._clean(error)),
                where=where,
                remedy=t("check the URL, `storage_options` (the endpoint) and the network"),
            ) from None

    def _clean(self, error: Exception) -> str:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        for value in self._hidden:
            text = text.replace(value, "***")
        return shown(" ".join(text.split())[:200])


def check_url(url: str) -> str:
    """The protocol of a URL that is read. Raises InputError for any other, and where credentials stand in it."""
    protocol = url.partition("://")[0].lower()
    if protocol in ("http", "https"):
        raise InputError(
            t("a web address"),
            where=_without_user(url),
            expected=t("a file, or an object store: {names}", names=", ".join(f"{name}://" for name in PROTOCOLS)),
            remedy=t("read an API with data.http_api; download a file (`curl -LO URL`) and name it"),
        )
    if protocol not in PROTOCOLS or "::" in url:
        raise InputError(
            t("an unknown kind of URL"),
            where=_without_user(url),
            expected=", ".join(f"{name}://" for name in PROTOCOLS),
            remedy=did_you_mean(protocol, list(PROTOCOLS)),
        )
    if holds_credential(url):
        raise InputError(
            t("the URL holds a credential"),
            where=_without_user(url),
            remedy=t("name it: `storage_options: {example}`", example="{key: {secret: NAME}, secret: {secret: NAME}}"),
        )
    return protocol


def _without_user(url: str) -> str:
    protocol, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{protocol}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def _need(protocol: str) -> None:
    package = PACKAGES.get(protocol)
    if package == "s3fs":
        require("s3fs", "s3")
    elif package is not None:
        try:
            importlib.import_module(package)
        except ImportError:
            raise DependencyError(
                t("the library `{module}` is not installed", module=package), remedy=f"pip install {package}"
            ) from None


def _is_pattern(path: str) -> bool:
    return any(mark in path for mark in "*?[")


def _md5_holds(path: Path, identity: Mapping[str, Json]) -> bool:
    """Whether an ETag that looks like one is the file's MD5. Stores that encrypt give others of that look."""
    etag = identity.get("etag")
    if not isinstance(etag, str) or not MD5.fullmatch(etag):
        return True
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == etag


def identify(url: str, options: Mapping[str, Any], hidden: Sequence[str]) -> list[Source]:
    """What a URL names, by what the store says of it; nothing is fetched. For fingerprints."""
    return [
        Source(Path(item.url), item.url, None, digest_json(item.identity), item.size)
        for item in Store(url, options, hidden).objects()
    ]


def bring(url: str, options: Mapping[str, Any], hidden: Sequence[str], room: Path, told: Told) -> list[Source]:
    """The files that a URL names, fetched into `room`: one source each, or one for a folder.

    Raises:
        InputError: see `Store`; or names in a folder are none that may stand in a tree of files.
    """
    store = Store(url, options, hidden)
    items = store.objects()
    room.mkdir(parents=True, exist_ok=True)
    if not store.is_folder():
        return [file_source(store.fetch(item, room, told), item.url) for item in items]
    files = {item.path.removeprefix(store.path).lstrip("/"): item for item in items}
    problems = problems_of(url, ((name, False) for name in files))
    if problems:
        raise InputError.of(problems)
    paths = {name: store.fetch(item, room, told) for name, item in files.items()}
    digest = digest_json([[name, item.identity] for name, item in sorted(files.items())])
    return [Source(Path(url), url, None, digest, sum(item.size for item in items), files=paths)]
