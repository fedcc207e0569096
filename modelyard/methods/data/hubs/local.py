"""What the Hugging Face hub's own client has left on this machine: used when the environment forbids the network."""

from __future__ import annotations

from pathlib import Path

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.hubs.repository import COMMIT, RemoteFile, Repository, Snapshot, offline


def cached_snapshot(repository: Repository, revision: str) -> tuple[Snapshot, Path]:
    """The snapshot of a revision in the cache, and its folder.

    Raises:
        InputError: the cache does not have it; ModelScope's is not read.
    """
    folder = cached_folder(repository, revision)
    if folder is None or not COMMIT.fullmatch(folder.name):
        raise InputError(
            t("`{name}` is set, and this machine's cache does not have {revision}", name=offline(), revision=revision),
            where=str(repository),
            remedy=t("unset it, or bring the files and use data.read"),
        )
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [RemoteFile(path.relative_to(folder).as_posix(), path.stat().st_size) for path in paths]
    return Snapshot(repository, folder.name, folder.name, tuple(files)), folder


def cached_folder(repository: Repository, revision: str) -> Path | None:
    """The folder of a revision in the cache of the hub's client, or None; asks nothing of the network."""
    if repository.hub != "huggingface":
        return None
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(repository.id, repo_type=repository.kind, revision=revision, local_files_only=True)
        )
    except (OSError, ValueError):  # its own errors of what is not in the cache are of these kinds
        return None
