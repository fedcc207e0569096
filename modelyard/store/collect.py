"""Scrubbing the store, and freeing what nothing needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modelyard.base import files
from modelyard.base.canonical import PREFIX, short
from modelyard.base.messages import t
from modelyard.core.artifact import Artifact
from modelyard.errors import IntegrityError, Problem, StoreError, UsageError
from modelyard.store import Store, contents, derived, layout, locks, sessions
from modelyard.store.failures import as_store_errors

KEEP_RECENT_RUNS = 3
BATCH = 50
"""Artifacts taken out under one hold of the lock, so that a commit never waits for long."""


@dataclass(frozen=True)
class Scrub:
    """What `verify_store` found.

    Attributes:
        problems: bytes that differ, references to what is not there.
        orphans: files that belong to nothing (left by a crash); `gc` removes those of unfinished artifacts.
        num_artifacts, num_bytes: what was read.
        quarantined: digests that were set aside.
    """

    problems: tuple[Problem, ...]
    orphans: tuple[Path, ...]
    num_artifacts: int
    num_bytes: int
    quarantined: tuple[str, ...] = ()


@dataclass(frozen=True)
class Freed:
    """What `gc` removed, or would remove.

    Attributes:
        artifacts: those that no release, no recent run and no living process needs.
        artifact_bytes, scratch_bytes, temporary_bytes: sizes.
        cache_bytes: of what was made from artifacts that are gone: search indexes, statistics.
        killed: ids of runs whose process is gone, now recorded as killed.
        quarantine_bytes: what lies in quarantine; people look at it and remove it themselves.
        dry_run: nothing was removed.
    """

    artifacts: tuple[Artifact, ...]
    artifact_bytes: int
    scratch_bytes: int
    temporary_bytes: int
    killed: tuple[int, ...]
    quarantine_bytes: int
    dry_run: bool
    cache_bytes: int = 0

    @property
    def num_bytes(self) -> int:
        return self.artifact_bytes + self.scratch_bytes + self.temporary_bytes + self.cache_bytes


def verify_store(store: Store, quarantine: bool = False) -> Scrub:
    """Read every byte of every artifact and follow every reference.

    Args:
        quarantine: set damaged artifacts aside, so that the next run makes them again.
    """
    problems = store.ledger.check()
    damaged = []
    num_bytes = 0
    digests = store.artifacts.digests()
    for digest in digests:
        try:
            store.artifacts.verify(digest, deep=True)
            num_bytes += store.artifacts.manifest(digest).size
        except IntegrityError as error:
            problems += error.problems
            damaged.append(digest)
    problems += _missing(store, set(digests))
    if quarantine and damaged:
        store.ledger.forget_artifacts(damaged)
        for digest in damaged:
            store.artifacts.quarantine(digest, t("found damaged by `modelyard verify`"))
    return Scrub(tuple(problems), tuple(_orphans(store)), len(digests), num_bytes, tuple(damaged) if quarantine else ())


def _missing(store: Store, there: set[str]) -> Iterator[Problem]:
    remedy = t("run the project again: what is missing is made again")
    for artifact in store.ledger.artifacts():
        if artifact.digest not in there:
            where = str(store.artifacts.root / "artifacts")
            found = t("the {kind} {digest} is missing", kind=artifact.kind, digest=short(artifact.digest))
            yield Problem(where, found, artifact.digest, remedy)
    for release in store.ledger.releases():
        for digest in (release.model, release.bundle):
            if digest not in there:
                where = f"{release.name}@{release.version}"
                found = t("the release's {digest} is missing", digest=short(digest))
                yield Problem(where, found, digest, t("restore it from a backup or from a copy of the bundle"))


def _orphans(store: Store) -> Iterator[Path]:
    """What lies in artifacts/ without being a whole artifact."""
    for fan in sorted((store.root / "artifacts").iterdir()):
        names = {path.name for path in fan.iterdir()} if fan.is_dir() else set()
        for name in sorted(names):
            partner = name.removesuffix(".json") if name.endswith(".json") else f"{name}.json"
            if partner not in names:
                yield fan / name


def gc(store: Store, keep_recent_runs: int = KEEP_RECENT_RUNS, dry_run: bool = False) -> Freed:
    """Remove artifacts that nothing needs, scratch of runs that will not resume, and what dead processes left.

    Needed are: what releases keep, what running runs read, what the last done runs of each step read and made, and
    what living processes pin. Safe beside a run: an artifact is pinned, under the lock that this takes, before it is
    in place, and stays pinned until its process ends; pins are read before the ledger.

    Args:
        keep_recent_runs: done runs of each step whose artifacts stay; at least 1.
        dry_run: only say what would go.
    """
    if keep_recent_runs < 1:
        raise UsageError(t("nothing recent would be kept"), expected=t("at least 1 run of each step"))
    with as_store_errors(store.root):
        killed = sweep_runs(store, dry_run)
        temporary = sessions.sweep(store.root / "tmp", dry_run) + _sweep_orphans(store, dry_run)
        artifacts = _collect(store, keep_recent_runs, dry_run)
        scratch = _sweep_scratch(store, keep_recent_runs, dry_run)
        if not dry_run:
            _sweep_locks(store)
        return Freed(
            artifacts=artifacts,
            artifact_bytes=sum(artifact.size for artifact in artifacts),
            scratch_bytes=scratch,
            temporary_bytes=temporary,
            killed=killed,
            quarantine_bytes=_size(store.root / "quarantine"),
            dry_run=dry_run,
            cache_bytes=_sweep_derived(store, artifacts, dry_run),
        )


def sweep_runs(store: Store, dry_run: bool = False) -> tuple[int, ...]:
    """Record as killed every run that says it is running while nobody holds its key's lock. Returns their ids."""
    dead = []
    for run in store.ledger.runs(status="running", limit=10_000):
        if not store.artifacts.held(run.key):
            dead.append(run.id)
    if not dry_run:
        store.ledger.kill_runs(dead, t("its process ended without a word"))
    return tuple(dead)


def _collect(store: Store, keep: int, dry_run: bool) -> tuple[Artifact, ...]:
    """Take out what nothing needs, a batch at a time; what is needed is asked again for each."""
    removed: list[Artifact] = []
    candidates = store.artifacts.digests()
    for start in range(0, len(candidates), BATCH):
        aside = []
        with store.artifacts.placing():
            pins = sessions.pinned(store.root / "tmp")
            needed = store.ledger.needed(keep)
            batch = [digest for digest in candidates[start : start + BATCH] if digest not in needed]
            gone = [_describe(store, digest) for digest in batch if digest.removeprefix(PREFIX) not in pins]
            removed += gone
            if gone and not dry_run:
                store.ledger.forget_artifacts([artifact.digest for artifact in gone])
                aside = [store.artifacts.take_out(artifact.digest) for artifact in gone]
        for folder in aside:
            files.remove_tree(folder)
    return tuple(removed)


def _describe(store: Store, digest: str) -> Artifact:
    try:
        return store.artifacts.artifact(digest)
    except StoreError:  # damaged, and not needed
        return Artifact(digest, "report", 0, 0)


def _sweep_orphans(store: Store, dry_run: bool) -> int:
    """Remove halves of artifacts that a crash left; under the lock there is no half on its way."""
    freed = 0
    with store.artifacts.placing():
        for path in [*_orphans(store), *store.root.glob(".store.json.*.tmp")]:
            freed += _size(path)
            if not dry_run and path.is_dir():
                files.remove_tree(path)
            elif not dry_run:
                files.remove_file(path)
    return freed


def _sweep_scratch(store: Store, keep: int, dry_run: bool) -> int:
    """Remove scratch folders whose key no recent run has, or is done, unless somebody works there."""
    waiting = {layout.hex_of_key(key) for key in store.ledger.unfinished(keep)}
    freed = 0
    for folder in sorted((store.root / "scratch").glob("??/*")):
        name = folder.parent.name + folder.name
        if name in waiting:
            continue
        descriptor = locks.try_lock(store.root / "locks" / f"{name}.lock")
        if descriptor is None:
            continue
        try:
            freed += _size(folder)
            if not dry_run:
                files.remove_tree(folder)
        finally:
            locks.release(descriptor)
    return freed


def _sweep_derived(store: Store, removed: tuple[Artifact, ...], dry_run: bool) -> int:
    """Remove what was made from artifacts that are gone, or go."""
    gone = {artifact.digest for artifact in removed}
    kept = {digest.removeprefix(PREFIX) for digest in store.artifacts.digests() if digest not in gone}
    return derived.sweep(store.root, kept, dry_run)


def _sweep_locks(store: Store) -> None:
    """Remove lock files that nobody holds; who opens one at this moment notices and makes it again."""
    for path in (store.root / "locks").glob("*.lock"):
        if path.name == "commit.lock" or os.name == "nt":
            continue
        descriptor = locks.try_lock(path)
        if descriptor is None:
            continue
        try:
            files.remove_file(path)
        finally:
            locks.release(descriptor)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(status.st_size for _, status in contents.entries(path))
