"""The ledger's tables, and the steps from each version to the next.

A step is one transaction: a kill in the middle leaves the version before it. SQL is the part that SQLite and
PostgreSQL share. NaN is stored as NULL (SQLite has no other way), so every number that may be NaN is nullable.
"""

from __future__ import annotations

from modelyard.base.messages import t
from modelyard.errors import VersionError
from modelyard.store.ledger.database import Database

VERSION_1 = (
    "CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL)",
    "INSERT INTO counters (name, value) VALUES ('change', 0), ('run', 0), ('evidence', 0), ('invocation', 0)",
    """CREATE TABLE artifacts (
        digest TEXT PRIMARY KEY, kind TEXT NOT NULL, size BIGINT NOT NULL, num_files BIGINT NOT NULL,
        removed BIGINT)""",
    """CREATE TABLE invocations (
        id BIGINT PRIMARY KEY, project TEXT NOT NULL, started TEXT NOT NULL, finished TEXT, status TEXT NOT NULL,
        outcome TEXT NOT NULL)""",
    """CREATE TABLE runs (
        id BIGINT PRIMARY KEY, key TEXT NOT NULL, project TEXT NOT NULL, step TEXT NOT NULL, uses TEXT NOT NULL,
        status TEXT NOT NULL, seed BIGINT NOT NULL, settings TEXT NOT NULL, identity TEXT NOT NULL,
        environment TEXT NOT NULL, started TEXT NOT NULL, finished TEXT, seconds DOUBLE PRECISION, error TEXT,
        notes TEXT NOT NULL, invocation BIGINT REFERENCES invocations (id))""",
    "CREATE INDEX runs_by_key ON runs (key, status, id)",
    "CREATE INDEX runs_by_step ON runs (project, step, id)",
    """CREATE TABLE bindings (
        run BIGINT NOT NULL REFERENCES runs (id), direction TEXT NOT NULL, position INTEGER NOT NULL,
        port TEXT NOT NULL, digest TEXT NOT NULL, viewed TEXT NOT NULL, splits TEXT NOT NULL,
        PRIMARY KEY (run, direction, position))""",
    "CREATE INDEX bindings_by_digest ON bindings (digest, direction)",
    """CREATE TABLE evidence (
        sequence BIGINT PRIMARY KEY, run BIGINT NOT NULL REFERENCES runs (id), claim TEXT NOT NULL,
        value DOUBLE PRECISION, interval_kind TEXT NOT NULL, low DOUBLE PRECISION, high DOUBLE PRECISION,
        n BIGINT NOT NULL, unit TEXT NOT NULL, subject TEXT NOT NULL, dataset TEXT NOT NULL, split TEXT NOT NULL,
        evaluator TEXT NOT NULL, slice TEXT NOT NULL, against TEXT, withdrawn TEXT)""",
    "CREATE INDEX evidence_by_subject ON evidence (subject, sequence)",
    "CREATE INDEX evidence_by_run ON evidence (run)",
    """CREATE TABLE curves (
        run BIGINT NOT NULL REFERENCES runs (id), name TEXT NOT NULL, position INTEGER NOT NULL, step BIGINT NOT NULL,
        value DOUBLE PRECISION, PRIMARY KEY (run, name, position))""",
    """CREATE TABLE openings (
        run BIGINT NOT NULL REFERENCES runs (id), dataset TEXT NOT NULL, split TEXT NOT NULL,
        PRIMARY KEY (run, dataset, split))""",
    "CREATE INDEX openings_by_dataset ON openings (dataset)",
    """CREATE TABLE releases (
        name TEXT NOT NULL, version BIGINT NOT NULL, state TEXT NOT NULL, model TEXT NOT NULL, bundle TEXT NOT NULL,
        decision TEXT NOT NULL, created TEXT NOT NULL, PRIMARY KEY (name, version))""",
    """CREATE TABLE release_keeps (
        name TEXT NOT NULL, version BIGINT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (name, version, digest),
        FOREIGN KEY (name, version) REFERENCES releases (name, version))""",
    """CREATE TABLE aliases (
        name TEXT NOT NULL, alias TEXT NOT NULL, version BIGINT NOT NULL, revision BIGINT NOT NULL, previous BIGINT,
        PRIMARY KEY (name, alias), FOREIGN KEY (name, version) REFERENCES releases (name, version))""",
    """CREATE TABLE audit (
        change BIGINT PRIMARY KEY, moment TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL,
        detail TEXT NOT NULL)""",
    """CREATE TABLE outbox (
        change BIGINT PRIMARY KEY, action TEXT NOT NULL, subject TEXT NOT NULL, payload TEXT NOT NULL)""",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (VERSION_1,)
"""Step k brings version k to version k + 1."""

VERSION = len(MIGRATIONS)


def migrate(database: Database, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> None:
    """Bring the ledger to this version. Raises VersionError if it is newer."""
    found = version_of(database)
    if found > len(migrations):
        raise VersionError(
            t("the ledger has version {found}", found=found),
            where=database.place,
            expected=t("version {version} or older", version=len(migrations)),
            remedy=t("use a modelyard as new as the one that wrote it"),
        )
    while found < len(migrations):
        _step(database, migrations)
        found = version_of(database)


def version_of(database: Database) -> int:
    """The ledger's version; 0 if it is empty."""
    if not database.has_table("ledger_version"):
        return 0
    return int(database.read("SELECT version FROM ledger_version", {})[0][0])


def _step(database: Database, migrations: tuple[tuple[str, ...], ...]) -> None:
    """One step, in one transaction; nothing if another process has made it meanwhile."""
    with database.migration() as transaction:
        transaction.execute("CREATE TABLE IF NOT EXISTS ledger_version (version INTEGER NOT NULL)", {})
        rows = transaction.read("SELECT version FROM ledger_version", {})
        current = int(rows[0][0]) if rows else 0
        if current >= len(migrations):
            return
        for statement in migrations[current]:
            transaction.execute(statement, {})
        if rows:
            transaction.execute("UPDATE ledger_version SET version = :version", {"version": current + 1})
        else:
            transaction.execute("INSERT INTO ledger_version (version) VALUES (:version)", {"version": current + 1})
