"""One face for both hubs: list a repository, fetch files of it into a folder, each checked against its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from modelyard.base.canonical import digest_file
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.egress import Egress, Limits
from modelyard.methods.data.hubs import huggingface, modelscope
from modelyard.methods.data.hubs.repository import RemoteFile, Repository, Snapshot, refuse_offline

PROTOCOLS: dict[str, ModuleType] = {"huggingface": huggingface, "modelscope": modelscope}
CHUNK = 1 << 20


@dataclass(frozen=True)
class Client:
    """Asks one hub; see `connect`."""

    egress: Egress

    def snapshot(self, repository: Repository, revision: str) -> Snapshot:
        """The files of a revision. Raises InputError: there is no such repository or revision, or no right to it."""
        found: Snapshot = PROTOCOLS[repository.hub].snapshot(self.egress, repository, revision)
        return found

    def commit(self, repository: Repository, revision: str) -> str:
        """The commit a revision names now; only the Hugging Face hub has them."""
        return huggingface.commit_of(self.egress, repository, revision)

    def download(self, found: Snapshot, folder: Path, progress: Callable[[int, int], None]) -> list[Path]:
        """Fetch the files of a snapshot; those that lie in `folder` whole are not fetched again.

        Raises:
            InputError: a file is not the one that was listed, or cannot be had.
        """
        total, done, paths = sum(file.size for file in found.files), 0, []
        for file in found.files:
            path = folder / file.path
            if not (path.is_file() and _same(path, file)):
                path.parent.mkdir(parents=True, exist_ok=True)
                url = PROTOCOLS[found.repository.hub].url_of(found, file.path)
                self.egress.stream_to(path, url, digest=file.digest or None, size=file.size)
                if file.blob and git_blob(path) != file.blob:
                    path.unlink()
                    raise InputError(
                        t("the file that came is not the one listed: {path}", path=file.path),
                        where=str(found.repository),
                        remedy=t("try again; if it stays so, the mirror does not serve what the hub has"),
                    )
            done += file.size
            progress(done, total)
            paths.append(path)
        return paths


@contextmanager
def connect(repository: Repository, token: str | None, max_bytes: int) -> Iterator[Client]:
    """A client of the repository's hub. The token is sent to its endpoint only, not to where it redirects.

    Raises:
        InputError: the environment says to stay offline.
    """
    refuse_offline(repository)
    limits = Limits(max_file_bytes=max_bytes)
    headers = PROTOCOLS[repository.hub].headers(token)
    with Egress(limits, secrets=[token] if token else [], headers=headers) as egress:
        yield Client(egress)


def _same(path: Path, file: RemoteFile) -> bool:
    if path.stat().st_size != file.size:
        return False
    if file.digest:
        return digest_file(path) == file.digest
    return bool(file.blob) and git_blob(path) == file.blob


def git_blob(path: Path) -> str:
    """SHA-1 of a file as Git names a blob of it: over `blob SIZE NUL` and the bytes."""
    found = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()
