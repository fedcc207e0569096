"""Rows of one SELECT, streamed: read-only, ordered, with a limit on time, and from a key onwards if there is one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelyard.base.lookup import require
from modelyard.base.messages import t
from modelyard.errors import DependencyError, InputError
from modelyard.methods.data.sql_text import is_ordered, query_problem

FETCH_ROWS = 1_000
CONNECT_S = 15
SQLITE_STEPS = 100_000
DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
EXTRAS = {"psycopg": "postgres"}

Row = tuple[Mapping[str, Any], Any]
"""A row by column name, and the value of its key (None without a key)."""


@dataclass(frozen=True)
class Query:
    """What is asked.

    Attributes:
        text: one SELECT, with `:name` where a parameter goes.
        parameters: bound by the driver, never pasted into the text.
        key: a column of the result, unique and never null, whole numbers or text; rows come in its order.
        order_by: columns that give the order, if there is no key and the text gives none.
    """

    text: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    order_by: tuple[str, ...] = ()

    @property
    def is_ordered(self) -> bool:
        return bool(self.key or self.order_by) or is_ordered(self.text)


class Database:
    """A database named by a URL. Nothing in its errors or its `name` shows a password.

    Args:
        url: as SQLAlchemy writes it; `postgresql://` means psycopg, a relative SQLite file starts at `base`.
        say: told what the database cannot do.

    Raises:
        InputError: no such kind of URL, or no such file.
        DependencyError: the driver is not installed.
    """

    def __init__(self, url: str, base: Path, timeout_s: int, say: Callable[[str], None]) -> None:
        self._sa = require("sqlalchemy", "sql")
        self._timeout_s = timeout_s
        self._say = say
        try:
            parsed = self._sa.make_url(url)
        except (self._sa.exc.ArgumentError, ValueError):
            raise InputError(t("no database URL"), expected="postgresql://user@host:port/database") from None
        parsed = parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername))
        self.kind = parsed.get_backend_name()
        self.name = parsed.set(query={}).render_as_string(hide_password=True)
        self._password = str(parsed.password or "")
        if self.kind == "sqlite":
            parsed = _sqlite_file(parsed, base, self.name)
        self._engine = self._open(parsed)

    def close(self) -> None:
        self._engine.dispose()

    def rows(self, query: Query, after: Any = None) -> Iterator[Row]:
        """Rows of a query, in constant memory.

        Args:
            after: only rows whose key is greater.

        Raises:
            InputError: the database refuses, or the key is null, repeated, or no whole number or text.
        """
        problem = query_problem(query.text)
        if problem:
            raise InputError(t("the query may not be sent"), where="query", expected=problem)
        with self._errors(), self._connected() as connection:
            streaming = {"stream_results": True, "yield_per": FETCH_ROWS}
            statement, bound = self._statement(query, after), self._bound(query, after)
            result = connection.execute(statement, bound, execution_options=streaming)
            names = list(result.keys())
            self._check_names(names, query)
            place = names.index(query.key) if query.key else None
            last = after
            for row in result:
                value = None if place is None else row[place]
                if place is not None:
                    self._check_key(query.key, value, last)
                    last = value
                yield dict(zip(names, row, strict=True)), value

    def _open(self, url: Any) -> Any:
        options: dict[str, Any] = {"poolclass": self._sa.pool.NullPool}
        if self.kind == "postgresql":
            options["connect_args"] = {"connect_timeout": CONNECT_S}
        try:
            return self._sa.create_engine(url, **options)
        except (ImportError, self._sa.exc.NoSuchModuleError) as error:
            missing = getattr(error, "name", None) or url.drivername
            extra = EXTRAS.get(missing)
            raise DependencyError(
                t("the driver `{name}` of this database is not installed", name=missing),
                where=self.name,
                remedy=f'pip install "modelyard[{extra}]"' if extra else f"pip install {missing}",
            ) from None
        except (self._sa.exc.ArgumentError, TypeError, ValueError) as error:
            raise InputError(self._masked(str(error)), where=self.name) from None

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """A connection that reads only, for one transaction that is rolled back."""
        options: dict[str, Any] = {}
        if self.kind == "postgresql":
            options = {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
        with self._engine.connect().execution_options(**options) as connection:
            for statement in self._protections(connection):
                connection.exec_driver_sql(statement)
            try:
                yield connection
            finally:
                connection.rollback()

    def _protections(self, connection: Any) -> list[str]:
        milliseconds = self._timeout_s * 1_000
        if self.kind == "sqlite":
            _limit_sqlite(connection.connection.driver_connection, self._timeout_s)
            return ["PRAGMA query_only = ON"]
        if self.kind == "postgresql":
            return [f"SET LOCAL statement_timeout = {milliseconds}"]
        if self.kind == "mariadb" or (self.kind == "mysql" and connection.dialect.is_mariadb):
            limit = f"SET SESSION max_statement_time = {self._timeout_s}"
            return [limit, "START TRANSACTION READ ONLY"]
        if self.kind == "mysql":
            return [f"SET SESSION max_execution_time = {milliseconds}", "START TRANSACTION READ ONLY"]
        self._say(
            t(
                "{kind}: no read-only transaction and no `timeout_s` is set here; let the user of the URL only read",
                kind=self.kind,
            )
        )
        return []

    def _statement(self, query: Query, after: Any) -> Any:
        """The query itself, or a query around it that orders its rows and begins after a key."""
        sa = self._sa
        inner = sa.text(query.text.strip().rstrip(";"))
        if not query.key and not query.order_by:
            return inner
        names = [query.key] if query.key else list(query.order_by)
        around = inner.columns(*(sa.column(name) for name in names)).subquery("rows_of_query")
        outer = sa.select(sa.text("*")).select_from(around).order_by(*(around.c[name] for name in names))
        return outer.where(around.c[query.key] > sa.bindparam(AFTER, after)) if after is not None else outer

    def _bound(self, query: Query, after: Any) -> dict[str, Any]:
        return {**query.parameters, **({AFTER: after} if after is not None and query.key else {})}

    def _check_names(self, names: list[str], query: Query) -> None:
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            remedy = t("give one another name: `SELECT a.id, b.id AS other_id`")
            raise InputError(t("two columns are called `{name}`", name=twice), where=self.name, remedy=remedy)
        if query.key and query.key not in names:
            raise InputError(
                t("no column `{name}` (setting `{setting}`)", name=query.key, setting="key"),
                where=self.name,
                expected=t("one of: {names}", names=", ".join(names)),
            )

    def _check_key(self, key: str | None, value: Any, last: Any) -> None:
        if isinstance(value, int | str) and not isinstance(value, bool) and value != last:
            return
        found = (
            t("the key `{name}` is {value} in two rows", name=key, value=value)
            if value is not None and value == last
            else t("the key `{name}` has the value {value} ({kind})", name=key, value=value, kind=type(value).__name__)
        )
        raise InputError(
            found,
            where=self.name,
            expected=t("whole numbers or text, each once, never null"),
            remedy=t("name a primary key, or leave `key` out and name `order_by`"),
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._sa.exc.StatementError as error:
            said = str(error.orig if error.orig is not None else error).strip()
            found = self._masked(" ".join(said.split())[:500])
            remedy = t("check the query; a `:` that begins no parameter is written `\\:`") if ":" in said else ""
            raise InputError(
                t("the database refuses: {reason}", reason=found), where=self.name, remedy=remedy
            ) from None
        except self._sa.exc.SQLAlchemyError as error:
            raise InputError(self._masked(str(error)[:500]), where=self.name) from None

    def _masked(self, text: str) -> str:
        return text.replace(self._password, "***") if len(self._password) > 3 else text


AFTER = "modelyard_after"


def _sqlite_file(url: Any, base: Path, name: str) -> Any:
    """The URL with its file from `base`; it must be there, since SQLite would make an empty one."""
    database = url.database or ""
    if database in ("", ":memory:") or database.startswith("file:"):
        raise InputError(t("no SQLite file is named"), where=name, expected="sqlite:///path/to/file.db")
    path = base / database
    if not path.is_file():
        raise InputError(t("no such file"), where=str(path))
    return url.set(database=str(path))


def _limit_sqlite(connection: Any, timeout_s: int) -> None:
    """SQLite has no limit on time of its own: it asks every so many steps whether to go on."""
    end = time.monotonic() + timeout_s
    connection.set_progress_handler(lambda: int(time.monotonic() > end), SQLITE_STEPS)
