"""The ledger: runs, evidence, releases and every change of them, in SQL.

Order comes from counters, never from the wall clock. Every change is one transaction that also holds its audit row and
its outbox row.
"""

from __future__ import annotations

from pathlib import Path

from modelyard.errors import Problem
from modelyard.store.ledger import schema
from modelyard.store.ledger.artifacts import Artifacts
from modelyard.store.ledger.changes import Change, Journal
from modelyard.store.ledger.database import Database
from modelyard.store.ledger.evidence import EvidenceTable
from modelyard.store.ledger.invocations import Invocation, Invocations
from modelyard.store.ledger.lineage import Lineage, Link
from modelyard.store.ledger.releases import Releases
from modelyard.store.ledger.runs import Curves, Opening, Runs
from modelyard.store.ledger.sqlite import SqliteDatabase

__all__ = ["Change", "Curves", "Invocation", "Ledger", "Link", "Opening", "connect"]

SQLITE = "sqlite:///"


class Ledger(Runs, Artifacts, EvidenceTable, Lineage, Releases, Invocations, Journal):
    """All tables of one database, migrated to this version."""

    def __init__(self, database: Database) -> None:
        """Take over a database. Raises VersionError if its tables are newer."""
        schema.migrate(database)
        self._database = database

    def check(self) -> list[Problem]:
        """What the database itself says about its health."""
        return [Problem(self._database.place, line) for line in self._database.check()]

    def close(self) -> None:
        self._database.close()


def connect(default: Path, url: str | None = None) -> Ledger:
    """The ledger at `url`, or the SQLite file `default`.

    Args:
        default: used if `url` is None.
        url: `sqlite:///PATH` or any SQLAlchemy URL, such as `postgresql://user@host/database`.
    """
    if url is None or url.startswith(SQLITE):
        return Ledger(SqliteDatabase(default if url is None else Path(url.removeprefix(SQLITE))))
    from modelyard.store.ledger.sqlalchemy import SqlAlchemyDatabase

    return Ledger(SqlAlchemyDatabase(url))
