"""Content-addressed artifacts: immutable folders named by the digest of their manifest.

An artifact is there when both its folder and its manifest are: the folder is moved in first, so that a crash leaves
at most an unreferenced folder, which the next commit of the same bytes checks and takes over.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from modelyard.base import files
from modelyard.base.canonical import PREFIX, short
from modelyard.base.messages import t
from modelyard.core.artifact import Artifact, Manifest
from modelyard.errors import IntegrityError, StoreError
from modelyard.store import contents, layout, locks, memo
from modelyard.store.failures import as_store_errors
from modelyard.store.sessions import Session


class ArtifactStore:
    """Artifacts, scratch folders and run-key locks below one folder.

    Raises (every method): StoreError with place and remedy when the disk refuses.
    """

    def __init__(self, root: Path) -> None:
        """Open the store at `root`, or make it. Raises VersionError if another version wrote it."""
        self.root = Path(os.path.abspath(root))
        self._session = Session(self.root / "tmp")
        with as_store_errors(self.root):
            layout.prepare(self.root)

    # Committing ------------------------------------------------------------------------------------------------

    def workspace(self) -> Path:
        """A fresh empty folder on the store's disk, for outputs on their way to `commit`. Swept if we die."""
        with as_store_errors(self.root):
            folder = self._session.fresh()
            folder.mkdir()
            return folder

    def commit(self, folder: Path, kind: str) -> Artifact:
        """Keep a folder's files durably and forever.

        Consumes `folder`: it is gone afterwards, whatever happens. (After a failed sync the kernel may have dropped
        the bytes while claiming to hold them; so a folder is never offered to the disk twice.)

        Args:
            folder: regular files only, at least one; best made by `workspace()` (another disk costs a copy).
            kind: `dataset`, `model`, `report` or `bundle`.

        Raises:
            StoreError: links, special files, an empty folder, a full or failing disk.
        """
        try:
            with as_store_errors(folder):
                contents.refuse_unsafe(folder)
                inside = self._on_this_disk(folder)
                manifest = contents.seal(inside)
                with self.placing():
                    self._session.pin(layout.hex_of(manifest.digest))
                    self._place(inside, manifest, kind)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return Artifact(manifest.digest, kind, manifest.size, len(manifest.files))

    def _on_this_disk(self, folder: Path) -> Path:
        """`folder`, or a copy of it in the session's folder if a rename could not move it into place."""
        if folder.stat().st_dev == self.root.stat().st_dev:
            return folder
        copy = self._session.fresh()
        shutil.copytree(folder, copy)
        return copy

    def _place(self, folder: Path, manifest: Manifest, kind: str) -> None:
        """Move sealed files into place, or drop them if the same bytes are there; damaged ones make room."""
        digest = manifest.digest
        target, beside = self._paths(digest)
        listed = self._is_listed(digest)
        if target.exists():
            trusted = memo.read(self._memo_path(digest)) if listed else {}
            problems, right = contents.differences(target, manifest, trusted)
            if problems:
                self._quarantine(digest, "\n".join(str(problem) for problem in problems))
            elif listed:
                files.remove_tree(folder)
                return memo.write(self._memo_path(digest), right)
        files.make_folder(target.parent)
        if not target.exists():
            files.rename(folder, target)
        files.write_atomic(beside, contents.manifest_bytes(manifest, kind))
        memo.write(self._memo_path(digest), contents.stamps(target))

    # Reading ---------------------------------------------------------------------------------------------------

    def has(self, digest: str) -> bool:
        """Whether the artifact is there (not whether its bytes are right: `verify`)."""
        folder, beside = self._paths(digest)
        return beside.is_file() and folder.is_dir()

    def path(self, digest: str) -> Path:
        """The artifact's folder, read-only. Raises StoreError if it is not there."""
        if not self.has(digest):
            raise StoreError(
                t("the store has no artifact {digest}", digest=short(digest)),
                where=str(self.root),
                remedy=t("run the project again: what is missing is made again"),
            )
        return self._paths(digest)[0]

    def manifest(self, digest: str) -> Manifest:
        """The artifact's files. Raises IntegrityError if the list does not bear this digest."""
        return self._read_manifest(digest)[0]

    def artifact(self, digest: str) -> Artifact:
        """What the store knows of an artifact, the ledger aside."""
        manifest, kind = self._read_manifest(digest)
        return Artifact(digest, kind, manifest.size, len(manifest.files))

    def _read_manifest(self, digest: str) -> tuple[Manifest, str]:
        self.path(digest)
        beside = self._paths(digest)[1]
        with as_store_errors(beside):
            text = beside.read_bytes()
        try:
            value = json.loads(text)
            manifest, kind = Manifest.from_json(value["files"]), str(value["kind"])
        except (ValueError, KeyError, TypeError):
            manifest, kind = Manifest(()), ""
        if manifest.digest != digest:
            raise IntegrityError(
                t("the list of the artifact's files was changed"),
                where=str(beside),
                expected=digest,
                remedy=contents.remake(),
            )
        return manifest, kind

    def _is_listed(self, digest: str) -> bool:
        """Whether a manifest that bears the digest is in place."""
        try:
            self._read_manifest(digest)
        except (IntegrityError, StoreError):
            return False
        return True

    def digests(self) -> list[str]:
        """Every artifact that is there, in order."""
        found = (self.root / "artifacts").glob("??/*.json")
        names = sorted(path.parent.name + path.stem for path in found)
        return [digest for name in names if layout.is_hex(name) and self.has(digest := PREFIX + name)]

    def verify(self, digest: str, deep: bool = False) -> None:
        """Check the bytes against the digest.

        Args:
            digest: of the artifact.
            deep: read every byte. Otherwise files that still have the size, times and inode under which they were
                found right are not read again.

        Raises:
            IntegrityError: one problem for each file that was changed, added or lost.
            StoreError: the artifact is not there.
        """
        manifest = self.manifest(digest)
        folder = self._paths(digest)[0]
        with as_store_errors(folder):
            trusted = {} if deep else memo.read(self._memo_path(digest))
            problems, right = contents.differences(folder, manifest, trusted)
            if not problems and right != trusted:
                memo.write(self._memo_path(digest), right)
        if problems:
            raise IntegrityError.of(problems)

    def view(self, digest: str, splits: Iterable[str], target: Path) -> Manifest:
        """Show the declared splits of an artifact, and what belongs to no split, as a folder.

        Args:
            digest: of the artifact.
            splits: those to show; files of other splits are not there.
            target: a folder to make; filled with links.

        Returns:
            The manifest of the view; its digest is what enters a run's key. `gc` leaves the artifact alone while this
            process lives.
        """
        with as_store_errors(self.root), self.placing():
            self._session.pin(layout.hex_of(digest))
        manifest = self.manifest(digest).view(splits)
        source = self._paths(digest)[0]
        with as_store_errors(target):
            target.mkdir(parents=True, exist_ok=True)
            for entry in manifest.files:
                shown = target / entry.path
                shown.parent.mkdir(parents=True, exist_ok=True)
                _link(source / entry.path, shown)
        return manifest

    def use(self, digest: str) -> Path:
        """The artifact's folder, checked (not deep) and kept from `gc` while this process lives."""
        with as_store_errors(self.root), self.placing():
            self._session.pin(layout.hex_of(digest))
        self.verify(digest)
        return self.path(digest)

    # Scratch and locks -----------------------------------------------------------------------------------------

    def scratch(self, key: str) -> Path:
        """The folder of a run key where checkpoints live. It survives a kill."""
        folder = layout.fanned(self.root / "scratch", layout.hex_of_key(key))
        with as_store_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def has_scratch(self, key: str) -> bool:
        """Whether a killed run of this key left work to go on with."""
        return (layout.fanned(self.root / "scratch", layout.hex_of_key(key)) / "work").is_dir()

    def drop_scratch(self, key: str) -> None:
        """Remove a run key's scratch folder; missing is fine."""
        folder = layout.fanned(self.root / "scratch", layout.hex_of_key(key))
        with as_store_errors(folder):
            files.remove_tree(folder)

    def lock(self, key: str, waiting: Callable[[str], None] | None = None) -> AbstractContextManager[None]:
        """Be the only process that makes this run key; wait if another does.

        Args:
            key: the run's key. `start_run` belongs inside: a run that is `running` while nobody holds its lock is dead.
            waiting: called once with the holder's process id if another process is making this.
        """
        return locks.lock(self._lock_path(key), waiting)

    def held(self, key: str) -> bool:
        """Whether some process is making this run key now."""
        descriptor = locks.try_lock(self._lock_path(key))
        if descriptor is not None:
            locks.release(descriptor)
        return descriptor is None

    def placing(self) -> AbstractContextManager[None]:
        """The lock under which artifacts come and go; held for moments."""
        return locks.lock(self.root / "locks" / "commit.lock", poll_seconds=0.005)

    def _lock_path(self, key: str) -> Path:
        return self.root / "locks" / f"{layout.hex_of_key(key)}.lock"

    # Damage and removal ----------------------------------------------------------------------------------------

    def quarantine(self, digest: str, reason: str) -> Path:
        """Take an artifact out of use, keeping its bytes for people. Returns where it lies now."""
        with as_store_errors(self.root), self.placing():
            return self._quarantine(digest, reason)

    def _quarantine(self, digest: str, reason: str) -> Path:
        folder, beside = self._paths(digest)
        aside = self.root / "quarantine" / f"{short(digest)}-{uuid.uuid4().hex[:8]}"
        files.make_folder(aside)
        files.write_atomic(aside / "reason.txt", f"{digest}\n{reason}\n".encode("utf-8", "backslashreplace"))
        if folder.exists():
            files.rename_durably(folder, aside / "files")
        if beside.exists():
            files.rename_durably(beside, aside / "manifest.json")
        memo.forget(self._memo_path(digest))
        return aside

    def take_out(self, digest: str) -> Path:
        """Move an artifact out of the store; the caller holds `placing`, knows that nothing needs it, and removes the
        folder that is returned."""
        folder, beside = self._paths(digest)
        aside = self._session.fresh()
        files.remove_file(beside)
        files.fsync_folder(beside.parent)
        if folder.exists():
            files.rename_durably(folder, aside)
        memo.forget(self._memo_path(digest))
        return aside

    def close(self) -> None:
        """Drop this process's unfinished outputs."""
        self._session.close()

    # Places ----------------------------------------------------------------------------------------------------

    def _paths(self, digest: str) -> tuple[Path, Path]:
        """The artifact's folder and its manifest."""
        folder = layout.fanned(self.root / "artifacts", layout.hex_of(digest))
        return folder, folder.with_name(folder.name + ".json")

    def _memo_path(self, digest: str) -> Path:
        return self.root / "cache" / f"{layout.hex_of(digest)}.stamps.json"


def _link(source: Path, shown: Path) -> None:
    """A symbolic link, or a hard link where those need rights that users lack."""
    if os.name == "nt":
        os.link(source, shown)
    else:
        os.symlink(source, shown)
