"""The ledger on a database server, through SQLAlchemy. Imported only when a URL asks for it (0.3 s)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from modelyard.base import lookup
from modelyard.base.messages import t
from modelyard.errors import StoreError
from modelyard.store.ledger.database import Parameters, Row

MIGRATION_LOCK = 7_305_010_151_003
"""Any fixed number: PostgreSQL's advisory lock under which one process migrates."""


@cache
def _text(sql: str) -> Any:
    return lookup.require("sqlalchemy", "postgres").text(sql)


class SqlAlchemyTransaction:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Parameters) -> int:
        return int(self._connection.execute(_text(sql), dict(parameters)).rowcount)

    def execute_many(self, sql: str, rows: Sequence[Parameters]) -> None:
        if rows:
            self._connection.execute(_text(sql), [dict(row) for row in rows])

    def read(self, sql: str, parameters: Parameters) -> list[Row]:
        return [tuple(row) for row in self._connection.execute(_text(sql), dict(parameters))]


class SqlAlchemyDatabase:
    """A pool of connections; isolation is the server's READ COMMITTED, and writers queue on one row."""

    def __init__(self, url: str) -> None:
        sqlalchemy = lookup.require("sqlalchemy", "postgres")
        lookup.require("psycopg", "postgres")
        self._failure = sqlalchemy.exc.SQLAlchemyError
        try:
            parsed = sqlalchemy.make_url(url)
            if parsed.drivername in ("postgres", "postgresql"):
                parsed = parsed.set(drivername="postgresql+psycopg")
            self._engine = sqlalchemy.create_engine(parsed, pool_pre_ping=True, pool_size=4, pool_recycle=1800)
        except (self._failure, ImportError) as error:
            raise StoreError(
                t("the ledger's URL cannot be used: no such form or no such driver"),
                expected="postgresql://user@host:port/database",
            ) from error
        self.place = parsed.render_as_string(hide_password=True)

    def read(self, sql: str, parameters: Parameters) -> list[Row]:
        with self._errors(), self._engine.connect() as connection:
            return SqlAlchemyTransaction(connection).read(sql, parameters)

    @contextmanager
    def transaction(self) -> Iterator[SqlAlchemyTransaction]:
        with self._errors(), self._engine.begin() as connection:
            yield SqlAlchemyTransaction(connection)

    @contextmanager
    def migration(self) -> Iterator[SqlAlchemyTransaction]:
        with self.transaction() as transaction:
            if self._engine.dialect.name == "postgresql":
                transaction.read("SELECT pg_advisory_xact_lock(:lock)", {"lock": MIGRATION_LOCK})
            yield transaction

    def has_table(self, name: str) -> bool:
        sqlalchemy = lookup.require("sqlalchemy", "postgres")
        with self._errors():
            return bool(sqlalchemy.inspect(self._engine).has_table(name))

    def check(self) -> list[str]:
        return []  # the server's own checksums do this

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._failure as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise StoreError(
                t("the ledger could not be used: {reason}", reason=reason),
                where=self.place,
                remedy=t("check that the database server runs and that this user may write to it, then run again"),
            ) from error
