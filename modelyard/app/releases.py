"""Releases: make, list, show, verify, promote, roll back, find."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.app.run import RunResult, run
from modelyard.app.session import PROJECT_FILE, open_store
from modelyard.base.files import is_file, is_folder
from modelyard.base.messages import t
from modelyard.core.release import Alias, Release
from modelyard.engine.events import Listener
from modelyard.errors import GateError, IntegrityError, StoreError, UsageError
from modelyard.store import Store

ALIAS = re.compile(r"[a-z][a-z0-9-]{0,63}")


@dataclass(frozen=True)
class ReleaseInfo:
    """A release with the aliases that point to it and where its bundle lies."""

    release: Release
    aliases: tuple[str, ...]
    bundle: Path | None

    def to_json(self) -> dict[str, Any]:
        return {**vars(self.release), "aliases": list(self.aliases), "path": str(self.bundle) if self.bundle else None}


@dataclass(frozen=True)
class Verified:
    """What verifying a bundle showed.

    Attributes:
        signer: SHA-256 fingerprint of the public key it was checked with.
        trusted: False if that key came with the bundle itself, which proves integrity but not origin.
    """

    path: Path
    name: str
    model: str
    num_files: int
    signer: str
    trusted: bool

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "path": str(self.path)}


def folder_of(project: str | Path | None) -> Path:
    """The folder whose store is meant: of the project file named, the folder named, or this one."""
    path = Path(project) if project is not None else Path.cwd()
    if is_file(path):
        return path.resolve().parent
    if not is_folder(path):
        raise UsageError(t("there is no such folder or project file"), where=str(path))
    return path.resolve()


def has_store(folder: Path) -> bool:
    return (folder / ".modelyard").is_dir() or (folder / PROJECT_FILE).is_file()


def release(
    project: str | Path | None = None,
    *,
    sets: Sequence[str] = (),
    profile: str | None = None,
    listener: Listener | None = None,
) -> RunResult:
    """Decide about the project's release and make it; steps that are not done are run first."""
    return run(project, sets=sets, profile=profile, listener=listener, release=True)


def releases(
    name: str | None = None, *, project: str | Path | None = None, profile: str | None = None
) -> list[ReleaseInfo]:
    """All releases of the store, or those of a name, newest first."""
    with open_store(folder_of(project), profile) as (_, store):
        aliases = store.ledger.aliases(name)
        return [_info(store, item, aliases) for item in store.ledger.releases(name)]


def _info(store: Store, item: Release, aliases: Sequence[Alias]) -> ReleaseInfo:
    names = tuple(a.alias for a in aliases if (a.name, a.version) == (item.name, item.version))
    path = store.artifacts.path(item.bundle) if store.artifacts.has(item.bundle) else None
    return ReleaseInfo(item, names, path)


def show_release(reference: str, *, project: str | Path | None = None, profile: str | None = None) -> dict[str, Any]:
    """A release, whole: what `release list` says of it, and its `release.json`."""
    from modelyard.engine.releases import resolve

    with open_store(folder_of(project), profile) as (_, store):
        item = resolve(store, reference)
        info = _info(store, item, store.ledger.aliases(item.name))
        if info.bundle is None:
            raise StoreError(t("its bundle is not in the store"), where=reference)
        return {**info.to_json(), "about": json.loads((info.bundle / "release.json").read_text(encoding="utf-8"))}


def verify_release(
    reference: str | Path,
    *,
    key: Path | None = None,
    project: str | Path | None = None,
    profile: str | None = None,
) -> Verified:
    """Check every byte and the signature of a release, or of a bundle folder copied here from elsewhere.

    Args:
        reference: `name`, `name@version`, `name:alias`, or a bundle's folder.
        key: the public key you trust. Without it: the store's own key for its releases; the key inside the bundle
            for a folder, which shows that nothing was changed since it was signed, not who signed it.

    Raises:
        IntegrityError: a file differs, is missing or was added, or the signature is by another key.
    """
    path = Path(reference)
    if is_file(path / "release.json"):
        return _verify_folder(path, key)
    from modelyard.engine.releases import public_key, resolve, whole_bundle

    with open_store(folder_of(project), profile) as (_, store):
        item = resolve(store, str(reference))
        return _verify_folder(whole_bundle(store, item), key or public_key(store))


def _verify_folder(folder: Path, key: Path | None) -> Verified:
    from modelyard.base.canonical import digest_file
    from modelyard.engine.releases import PUBLIC
    from modelyard.methods.runtimes.manifest import manifest
    from modelyard.store import signing

    chosen = key or folder / PUBLIC
    if not chosen.is_file():
        raise UsageError(t("there is no such key"), where=str(chosen))
    signing.verify(folder, chosen)
    about = json.loads((folder / "release.json").read_text(encoding="utf-8"))
    found = manifest(folder / "model").digest
    if found != about["model"]:
        raise IntegrityError(
            t("the model is not the one that was decided about"),
            where=str(folder / "model"),
            expected=about["model"],
            remedy=t("get the bundle again from where it was made"),
        )
    num_files = sum(path.is_file() for path in folder.rglob("*"))
    return Verified(folder, about["name"], about["model"], num_files, digest_file(chosen), key is not None)


def promote(
    reference: str,
    alias: str = "production",
    *,
    expected_revision: int | None = None,
    allow_draft: bool = False,
    project: str | Path | None = None,
    profile: str | None = None,
) -> Alias:
    """Point an alias to a release, after checking its bundle.

    Args:
        reference: `name@version`.
        alias: lower-case letters, digits and hyphens.
        expected_revision: the revision you saw; None takes the present one (whoever moves it in between still wins).

        allow_draft: point it to a draft, which no rule has judged.

    Raises:
        GateError: it is a draft.
        ConflictError: somebody moved the alias first.
    """
    from modelyard.engine.releases import resolve, verified_bundle

    if not ALIAS.fullmatch(alias):
        raise UsageError(
            t("`{alias}` is no name for an alias", alias=alias),
            expected=t("a lower-case letter, then letters, digits or hyphens; at most 64 in all"),
        )
    with open_store(folder_of(project), profile) as (_, store):
        item = resolve(store, reference)
        if item.state == "draft" and not allow_draft:
            raise GateError(
                t("{release} is a draft: no rule has judged it", release=f"{item.name}@{item.version}"),
                remedy=t("give the project rules; or say --allow-draft"),
            )
        verified_bundle(store, item)
        current = store.ledger.alias(item.name, alias)
        seen = expected_revision if expected_revision is not None else (current.revision if current else 0)
        return store.ledger.move_alias(item.name, alias, item.version, seen)


def rollback(
    name: str, alias: str = "production", *, project: str | Path | None = None, profile: str | None = None
) -> Alias:
    """Point an alias back to what it pointed to before, once: where from, it forgets, so that a second call does not
    bring the bad release back. Raises StoreError if there is nothing to go back to.
    """
    from modelyard.engine.releases import verified_bundle

    with open_store(folder_of(project), profile) as (_, store):
        current = store.ledger.alias(name, alias)
        if current is None or current.previous is None:
            raise StoreError(
                t("{name}:{alias} has nothing to go back to", name=name, alias=alias),
                remedy=t("`modelyard release promote {name}@VERSION` moves it", name=name),
            )
        verified_bundle(store, store.ledger.release(name, current.previous))
        return store.ledger.move_alias(name, alias, current.previous, current.revision, forget=True)
