"""The embedded ledger: SQLite through the standard library, so that a cached run imports nothing else.

SQLite before 3.51.3 can corrupt a write-ahead log that two processes reset at the same moment (the WAL-reset
defect), so the log is used only from that version on; before it, a rollback journal. TRUNCATE rather than DELETE: with
synchronous=FULL the truncated journal is synced, so a commit that was acknowledged survives a power cut; a deleted
journal's folder entry is not.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from modelyard.base import files
from modelyard.base.messages import t
from modelyard.errors import IntegrityError, StoreError
from modelyard.store.ledger.database import Parameters, Row

SAFE_WAL = (3, 51, 3)
BUSY_SECONDS = 30


def journal_mode(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str:
    """The journal this SQLite can be trusted with."""
    return "WAL" if version >= SAFE_WAL else "TRUNCATE"


class SqliteTransaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Parameters) -> int:
        return self._connection.execute(sql, parameters).rowcount

    def execute_many(self, sql: str, rows: Sequence[Parameters]) -> None:
        self._connection.executemany(sql, rows)

    def read(self, sql: str, parameters: Parameters) -> list[Row]:
        return self._connection.execute(sql, parameters).fetchall()


class SqliteDatabase:
    """One connection for each process, used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._path = path
        self._lock = threading.RLock()
        self._inherited: list[sqlite3.Connection] = []
        with self._errors():
            self._connection = self._connect()

    def _connect(self) -> sqlite3.Connection:
        self._process = os.getpid()
        connection = sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA journal_mode={journal_mode()}").fetchone()
        return connection

    @property
    def connection(self) -> sqlite3.Connection:
        """This process's connection: one carried over a fork would share file locks with its parent."""
        if self._process != os.getpid():
            self._inherited.append(self._connection)
            self._lock = threading.RLock()
            self._connection = self._connect()
        return self._connection

    def read(self, sql: str, parameters: Parameters) -> list[Row]:
        with self._errors(), self._lock:
            return self.connection.execute(sql, parameters).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[SqliteTransaction]:
        with self._errors(), self._lock:
            connection = self.connection
            files.hook("begin", self._path)
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield SqliteTransaction(connection)
                files.hook("commit", self._path)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            files.hook("committed", self._path)

    def migration(self) -> AbstractContextManager[SqliteTransaction]:
        return self.transaction()  # BEGIN IMMEDIATE already lets only one in

    def has_table(self, name: str) -> bool:
        return bool(self.read("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name", {"name": name}))

    def check(self) -> list[str]:
        found = [str(row[0]) for row in self.read("PRAGMA integrity_check", {})]
        return [line for line in found if line != "ok"]

    def close(self) -> None:
        if self._process == os.getpid():
            self._connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _store_error(error, self.place) from error


def _store_error(error: sqlite3.Error, place: str) -> StoreError:
    """What an SQLite error means for the user."""
    name = str(getattr(error, "sqlite_errorname", ""))
    found = t("the ledger could not be used: {reason}", reason=str(error))
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        remedy = t("restore the file from a backup; artifacts are not touched by this")
        return IntegrityError(found, where=place, remedy=remedy)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        remedy = t("another process holds the ledger: wait until it ends, then run again")
    elif name.startswith("SQLITE_FULL"):
        remedy = t("free some space (`modelyard gc` removes what nothing needs), then run again; what was done is kept")
    elif name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        remedy = t("make the store's folder writable for this user, or name another in a profile (`store:`)")
    elif name.startswith("SQLITE_IOERR"):
        remedy = t("the disk reported a fault: check it, then run `modelyard verify`")
    else:
        remedy = t("run `modelyard verify`; if it finds nothing, report this message")
    return StoreError(found, where=place, remedy=remedy)
