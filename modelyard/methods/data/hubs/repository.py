"""What a repository, a file in it and a pinned state of it are; and which names are safe on a disk."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from modelyard.base.canonical import digest_json
from modelyard.base.messages import t
from modelyard.errors import InputError

Hub = Literal["huggingface", "modelscope"]
Kind = Literal["dataset", "model"]
COMMIT = re.compile(r"[0-9a-f]{40}")
PART = re.compile(r"[^\x00-\x1f\x7f\\:*?\"<>|]{1,255}")
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
TRUE = {"1", "ON", "YES", "TRUE"}
_ENDPOINTS = {
    "huggingface": ("HF_ENDPOINT", "https://huggingface.co"),
    "modelscope": ("MODELSCOPE_ENDPOINT", "https://modelscope.cn"),
}


@dataclass(frozen=True)
class Repository:
    """A repository: `id` is `name` or `owner/name`; `endpoint` has no slash at its end."""

    hub: Hub
    kind: Kind
    id: str
    endpoint: str

    def __str__(self) -> str:
        return f"{self.hub}:{self.id}"


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub lists it.

    Attributes:
        path: in the repository, checked to be safe.
        digest: `sha256:…`, or `` where the hub gives none.
        blob: Git's SHA-1 of the file as a blob, or ``.
    """

    path: str
    size: int
    digest: str = ""
    blob: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A state of a repository.

    Attributes:
        revision: what is asked for: the commit where the hub has them, else the branch or tag.
        commit: 40 hex digits, or `` on ModelScope.
    """

    repository: Repository
    revision: str
    commit: str
    files: tuple[RemoteFile, ...]

    @property
    def pin(self) -> str:
        """`sha256:…` of the names, sizes and digests of all files."""
        return digest_json([[file.path, file.size, file.digest, file.blob] for file in self.files])

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def only(self, patterns: Sequence[str]) -> Snapshot:
        """The files that match one of the patterns, in the order of their paths."""
        chosen = [file for file in self.files if any(fnmatch.fnmatchcase(file.path, pattern) for pattern in patterns)]
        return Snapshot(self.repository, self.revision, self.commit, tuple(sorted(chosen, key=lambda file: file.path)))


def endpoint_of(hub: Hub, setting: str | None) -> str:
    """Where a hub is: the setting, else HF_ENDPOINT or MODELSCOPE_ENDPOINT, else its public address."""
    variable, public = _ENDPOINTS[hub]
    return (setting or os.environ.get(variable) or public).strip().rstrip("/")


def offline() -> str:
    """The environment variable that forbids the hub, or ``."""
    return next((name for name in OFFLINE if os.environ.get(name, "").upper() in TRUE), "")


def refuse_offline(repository: Repository) -> None:
    """Raise InputError if the environment forbids the hub."""
    if name := offline():
        raise InputError(
            t("`{name}` is set: nothing is asked of the hub", name=name),
            where=str(repository),
            remedy=t("unset it, or name a commit that this machine has"),
        )


def safe_path(path: object, repository: Repository) -> str:
    """A path of a listing, if it stays inside a folder on every system.

    Raises:
        InputError: it is absolute, goes up, or holds what is no name of a file.
    """
    parts = path.split("/") if isinstance(path, str) else []
    if not parts or len(parts) > 32 or not all(PART.fullmatch(part) and part.strip(". ") for part in parts):
        raise InputError(
            t("the hub lists a file that is none: {path}", path=repr(path)[:100]),
            where=str(repository),
            remedy=t("take another repository: this one may be meant to do harm"),
        )
    return "/".join(parts)
