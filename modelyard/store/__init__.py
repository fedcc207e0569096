"""The only code that writes durable state: artifacts, ledger, keys.

    store = modelyard.store.open(Path(".modelyard"))
    store.artifacts.commit(folder, "model")
    store.ledger.completed(key)

Importing this room is cheap: no numpy, no SQLAlchemy (it is imported when a ledger URL asks for it).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelyard.base.messages import t
from modelyard.errors import StoreError
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
        StoreError: it cannot be read or written, or there are artifacts but the ledger is gone.
    """
    artifacts = ArtifactStore(root)
    if ledger_url is None:
        _refuse_lost_ledger(artifacts.root)
    return Store(root=artifacts.root, artifacts=artifacts, ledger=connect(artifacts.root / "ledger.db", ledger_url))


def _refuse_lost_ledger(root: Path) -> None:
    """An empty ledger beside artifacts would number releases from 1 again, and `gc` would find nothing needed."""
    ledger = root / "ledger.db"
    if ledger.is_file() and ledger.stat().st_size:
        return
    if next((root / "artifacts").glob("??/*.json"), None) is not None:
        found = t("the ledger is gone, while there are artifacts: whose releases and evidence they are is not known")
        remedy = t("restore it, or name the profile whose ledger it is; to start again, move {store} away", store=root)
        raise StoreError(found, where=str(ledger), remedy=remedy)
