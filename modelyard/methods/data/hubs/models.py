"""A model of a hub as a folder on this machine: pinned, every file checked, and only files that hold data.

Fetched are safetensors, JSON, tokenizer files and the licence of the repository's root. Never fetched: pickles (`.bin`,
`.pt`), Python, anything else that a loader could run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.base.canonical import canonical_json, digest_file
from modelyard.base.files import write_atomic
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.hubs.client import Client, connect
from modelyard.methods.data.hubs.local import cached_folder
from modelyard.methods.data.hubs.repository import COMMIT, Hub, Repository, Snapshot, endpoint_of, offline

SAFE = re.compile(r"[^/]+\.(json|txt|model|jinja|safetensors)|(LICENSE|LICENCE|NOTICE)[^/]*", re.IGNORECASE)
NOT_DATA = re.compile(r".*\.(bin|pt|pth|pkl|ckpt|h5|msgpack)$", re.IGNORECASE)
WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
NAME = re.compile(r"(?:(huggingface|modelscope):)?([\w.-]+(?:/[\w.-]+)?)(?:@([\w./-]+|sha256:[0-9a-f]{64}))?")
PIN = re.compile(r"sha256:[0-9a-f]{64}")
COMPLETE = "modelyard-files.json"
MOST_BYTES = 1 << 40


def parse(name: str) -> tuple[Hub, str, str] | None:
    """Hub, id and revision of `[huggingface:|modelscope:]owner/name[@revision]`; None if it is none."""
    match = NAME.fullmatch(name)
    if match is None or match.group(2).startswith("."):
        return None
    hub: Hub = "modelscope" if match.group(1) == "modelscope" else "huggingface"
    return hub, match.group(2), match.group(3) or ""


def model_folder(hub: Hub, name: str, revision: str = "", endpoint: str | None = None) -> Path:
    """The folder of a model, fetched if this machine does not have it whole.

    Args:
        revision: a commit, branch or tag; a `sha256:…` pin on ModelScope, of its `master`; `` is the default branch.
        endpoint: a mirror.

    Raises:
        InputError: there is no such model, it holds no safetensors, or the hub cannot be asked.
    """
    repository = Repository(hub, "model", name, endpoint_of(hub, endpoint))
    if kept := _kept(repository, revision):
        return kept
    if found := _of_the_hubs_client(repository, revision or "main"):
        return found
    with connect(repository, _token(hub), MOST_BYTES) as client:
        return _fetch(client, repository, revision)


def _kept(repository: Repository, revision: str) -> Path | None:
    if not (COMMIT.fullmatch(revision) or PIN.fullmatch(revision)):
        return None
    folder = _folder(repository, revision)
    return folder if _is_whole(folder) else None


def _of_the_hubs_client(repository: Repository, revision: str) -> Path | None:
    """What transformers or a user have fetched before; a branch only where the network may not be asked."""
    if not COMMIT.fullmatch(revision) and not offline():
        return None
    folder = cached_folder(repository, revision)
    return folder if folder and (folder / "config.json").is_file() and any(folder.glob("*.safetensors")) else None


def _fetch(client: Client, repository: Repository, revision: str) -> Path:
    pinned = bool(PIN.fullmatch(revision))
    asked = "" if pinned else revision
    listed = client.snapshot(repository, asked or ("main" if repository.hub == "huggingface" else "master"))
    found = _safe(listed)
    if pinned and found.pin != revision:
        raise InputError(
            t("the files are not those of `pin`: they come to {pin}", pin=found.pin),
            where=str(repository),
            expected=revision,
            remedy=t("the repository was changed: look at how, then name the new pin"),
        )
    folder = _folder(repository, found.commit or found.pin)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        if not _is_whole(folder):
            paths = client.download(found, folder, lambda done, total: None)
            digests = {path.relative_to(folder).as_posix(): digest_file(path) for path in paths}
            write_atomic(folder / COMPLETE, canonical_json(digests) + b"\n")
    return folder


def _safe(listed: Snapshot) -> Snapshot:
    """The files that are fetched: of several sets of weights the one that transformers loads."""
    paths = [file.path for file in listed.files if SAFE.fullmatch(file.path)]
    weights = [path for path in paths if path.endswith(".safetensors")]
    main = [path for path in weights if WEIGHTS.fullmatch(path)]
    if not weights:
        pickled = sorted(file.path for file in listed.files if NOT_DATA.fullmatch(file.path))
        raise InputError(
            t("the repository holds no safetensors"),
            where=str(listed.repository),
            expected="model.safetensors",
            remedy=t("its weights are in a format that can run code and is not fetched: {names}", names=pickled[:5])
            if pickled
            else t("take another repository of the same model"),
        )
    wanted = {path for path in paths if not path.endswith(".safetensors")} | set(main or weights)
    files = sorted((file for file in listed.files if file.path in wanted), key=lambda file: file.path)
    return Snapshot(listed.repository, listed.revision, listed.commit, tuple(files))


def _is_whole(folder: Path) -> bool:
    """Whether every file that was fetched is there with the digest it had."""
    try:
        digests: dict[str, str] = json.loads((folder / COMPLETE).read_bytes())
        return bool(digests) and all(digest_file(folder / name) == digest for name, digest in digests.items())
    except (OSError, ValueError, AttributeError):
        return False


def _folder(repository: Repository, state: str) -> Path:
    name = repository.id.replace("/", "--")
    return cache_root() / "hubs" / repository.hub / name / state.removeprefix("sha256:")


def cache_root() -> Path:
    """MODELYARD_CACHE, else the user's cache folder."""
    named = os.environ.get("MODELYARD_CACHE")
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelyard"


def _token(hub: Hub) -> str | None:
    """The token the hub's own client would use."""
    if hub == "modelscope":
        return os.environ.get("MODELSCOPE_API_TOKEN") or None
    from huggingface_hub import get_token

    return get_token()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time fetches into a folder, where the system has file locks."""
    try:
        import fcntl
    except ImportError:  # Windows: two fetches at once each check what they end with
        yield
        return
    with (folder / ".lock").open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
