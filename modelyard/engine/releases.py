"""Making a release: the model, its evidence, the decision and the card, sealed by a signed manifest over every file.

release.json      name, version, state, model, decision with every finding, data, steps and overrides as run
model/            the model artifact's files
card.html         the transparency report; card.md and card.zh.md are the same for a model hub, card.json the record
evidence.json     all evidence about the model and its ancestors
modelyard.yaml    the project file; what `--set` changed stands in release.json
signer.pub        the public key; whether it is the right one is for the reader to know
model.sig         OpenSSF model signature (DSSE) over every other file
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelyard.base.canonical import canonical_json, digest_bytes
from modelyard.base.messages import t
from modelyard.core.gate import Decision
from modelyard.core.release import Release
from modelyard.engine.bound import BoundProject
from modelyard.errors import GateError, IntegrityError, StoreError
from modelyard.store import Store

FORMAT = 1
KEYS = "keys"
PUBLIC = "signer.pub"
PUBLIC_KEY = "signing.pub"
MAX_DIGITS = 18
"""Of a version: what a ledger's integer holds."""


def signing_keys(store: Store) -> tuple[Path, Path]:
    """The store's private and public key; made if there are none."""
    from modelyard.store import signing

    with store.artifacts.lock(digest_bytes(b"signing key")):
        return signing.ensure_key(store.root / KEYS)


def public_key(store: Store) -> Path:
    """The public half of the store's key, which checks its releases; nothing is made.

    Raises:
        StoreError: it is gone.
    """
    path = store.root / KEYS / PUBLIC_KEY
    if not path.is_file():
        raise StoreError(
            t("the store's public key is gone, so its releases cannot be checked"),
            where=str(path),
            remedy=t("restore it; `modelyard run` makes it again if its private half is there"),
        )
    return path


def make(
    store: Store,
    bound: BoundProject,
    decision: Decision,
    record: Mapping[str, Any],
    pages: Mapping[str, str],
    lost: Release | None = None,
    overrides: Sequence[str] = (),
) -> Release:
    """Seal a bundle and record the release. Asked again for the same decision, returns the release that is there.

    Args:
        lost: the release of this decision whose bundle is damaged or gone; this one follows it under a new version.
        record: what the card shows, decision included; written as card.json.
        pages: file name to text: the card as HTML and as Markdown.
        overrides: `--set` options that the project was run with; the bundle names them.

    Raises:
        GateError: the decision does not allow a release.
        ConflictError: another machine released under this name at the same moment.
    """
    if not decision.releasable:
        raise GateError(t("the gate refused"), where=bound.project.name)
    name = bound.project.name
    with store.artifacts.lock(digest_bytes(f"release {name}".encode())):
        there = store.ledger.release_of(name, decision.digest)
        if there is not None and (lost is None or there.bundle != lost.bundle):
            return there  # made by another run while this one waited
        known = store.ledger.releases(name)
        version = known[0].version + 1 if known else 1
        folder = store.artifacts.workspace()
        _fill(folder, store, _about(bound, decision, record, version, overrides), record, pages)
        if bound.project.path.is_file():
            shutil.copyfile(bound.project.path, folder / "modelyard.yaml")
        _sign(folder, store)
        bundle = store.artifacts.commit(folder, "bundle")
        return store.ledger.create_release(
            name=name,
            state="draft" if decision.draft else "released",
            model=decision.model,
            bundle=bundle.digest,
            decision=decision.digest,
            keeps=sorted({item["digest"] for run in record["runs"] for item in run["outputs"]}),
            lost=lost.bundle if lost else None,
            expected_version=version,
        )


def is_whole(store: Store, release: Release) -> bool:
    """Whether the release's bundle is there, its bytes as sealed; what was changed by hand is set aside."""
    if not store.artifacts.has(release.bundle):
        return False
    try:
        store.artifacts.use(release.bundle)
    except IntegrityError as error:
        store.artifacts.quarantine(release.bundle, str(error))
        return False
    return True


def _about(
    bound: BoundProject, decision: Decision, record: Mapping[str, Any], version: int, overrides: Sequence[str]
) -> dict[str, Any]:
    """The content of release.json. `format` is the file's own version; `steps` are the settings as they were run."""
    return {
        "format": FORMAT,
        "name": bound.project.name,
        "version": version,
        "state": "draft" if decision.draft else "released",
        "model": decision.model,
        "decision": decision.to_json("en"),
        "data": sorted({item["dataset"] for item in record["evidence"] if item["dataset"]}),
        "overrides": list(overrides),
        "steps": [{name: run[name] for name in ("step", "uses", "seed", "settings", "key")} for run in record["runs"]],
    }


def _fill(
    folder: Path, store: Store, about: Mapping[str, Any], record: Mapping[str, Any], pages: Mapping[str, str]
) -> None:
    store.artifacts.verify(about["model"], deep=True)
    shutil.copytree(store.artifacts.path(about["model"]), folder / "model")
    _writable(folder)
    (folder / "release.json").write_bytes(canonical_json(about) + b"\n")
    (folder / "card.json").write_bytes(canonical_json(record) + b"\n")
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "evidence.json").write_bytes(canonical_json(record["evidence"]) + b"\n")


def _writable(folder: Path) -> None:
    """Copies of read-only files are ours to seal: the store makes them read-only again."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _sign(folder: Path, store: Store) -> None:
    from modelyard.store import signing

    private, public = signing_keys(store)
    shutil.copyfile(public, folder / PUBLIC)
    signing.sign(folder, private)


def resolve(store: Store, reference: str) -> Release:
    """A release by `name` (its `production` alias, else the newest), `name@3` or `name:alias`.

    Raises StoreError with what there is.
    """
    if "@" in reference:
        name, _, text = reference.partition("@")
        version = text.removeprefix("v")
        if not (version.isascii() and version.isdigit() and len(version) <= MAX_DIGITS):
            raise StoreError(t("`{text}` is no version", text=text), where=reference, expected="name@3")
        return store.ledger.release(name, int(version))
    name, _, alias = reference.partition(":")
    found = store.ledger.alias(name, alias or "production")
    if found is not None:
        return store.ledger.release(name, found.version)
    releases = store.ledger.releases(name)
    if alias or not releases:
        known = sorted({f"{item.name}@{item.version}" for item in store.ledger.releases()})
        raise StoreError(
            t("there is no release `{name}`", name=reference),
            where=str(store.root),
            remedy=t("there are: {known}", known=", ".join(known)) if known else t("`modelyard run` makes one"),
        )
    return releases[0]


def whole_bundle(store: Store, release: Release) -> Path:
    """The bundle's folder after every byte was checked.

    Raises:
        IntegrityError: they are not those that were sealed.
        StoreError: the bundle is gone.
    """
    try:
        store.artifacts.verify(release.bundle, deep=True)
    except StoreError as error:
        remedy = t("`modelyard run` seals it again as the next version; or restore it from a copy of the bundle")
        raise type(error).of([replace(problem, remedy=remedy) for problem in error.problems]) from error
    return store.artifacts.path(release.bundle)


def verified_bundle(store: Store, release: Release) -> Path:
    """As `whole_bundle`, and the signature is by this store's key, else IntegrityError."""
    from modelyard.store import signing

    folder = whole_bundle(store, release)
    signing.verify(folder, public_key(store))
    return folder
