"""The only code that writes durable state: artifacts, ledger, keys.

    store = modelyard.store.open(Path(".modelyard"))
    store.artifacts.commit(folder, "model")
    store.ledger.completed(key)

Importing this room is cheap: no numpy, no SQLAlchemy (it is imported when a ledger URL asks for it).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelyard.store.artifacts import ArtifactStore
from modelyard.store.ledger import Ledger, connect

__all__ = ["ArtifactStore", "Ledger", "Store", "open"]


@dataclass(frozen=True)
class Store:
    """Artifacts and the ledger that speaks about them.

    Attributes:
        root: the store's folder.
        artifacts: content-addressed folders, scratch folders, run-key locks.
        ledger: runs, evidence, releases, aliases, audit.
    """

    root: Path
    artifacts: ArtifactStore
    ledger: Ledger

    def close(self) -> None:
        """Close the ledger and drop the folders that only this process used."""
        self.ledger.close()
        self.artifacts.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open(root: Path, ledger_url: str | None = None) -> Store:
    """Open the store at `root`; make it if it is not there, migrate its ledger if it is older.

    Args:
        root: the store's folder.
        ledger_url: None for SQLite inside the folder, `sqlite:///PATH`, or any SQLAlchemy URL (`postgresql://…`).

    Raises:
        VersionError: another version wrote it.
        StoreError: it cannot be read or written.
    """
    artifacts = ArtifactStore(root)
    return Store(root=artifacts.root, artifacts=artifacts, ledger=connect(artifacts.root / "ledger.db", ledger_url))
