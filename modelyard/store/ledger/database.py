"""The seam below the ledger: one set of SQL texts with `:named` parameters, on SQLite or on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]


class Transaction(Protocol):
    """Inside `Database.transaction()`: all of it happens, or none."""

    def execute(self, sql: str, parameters: Parameters) -> int:
        """Change something; returns the number of rows changed."""
        ...

    def execute_many(self, sql: str, rows: Sequence[Parameters]) -> None:
        """The same change for many rows."""
        ...

    def read(self, sql: str, parameters: Parameters) -> list[Row]:
        """Rows as this transaction sees them."""
        ...


class Database(Protocol):
    """A ledger's database. Errors come out as StoreError with a remedy."""

    place: str

    def read(self, sql: str, parameters: Parameters) -> list[Row]:
        """Rows as last committed."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin as a writer; commit when the block ends, roll back when it raises."""
        ...

    def migration(self) -> AbstractContextManager[Transaction]:
        """Like `transaction`, and no other process migrates at the same time."""
        ...

    def has_table(self, name: str) -> bool:
        """Whether a table is there."""
        ...

    def check(self) -> list[str]:
        """What the database finds wrong with its own files; empty if nothing, or if it cannot look."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...


def to_json(value: object) -> str:
    """A value as JSON text that every database takes: ASCII only, so no NUL and no lone surrogate."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def plain(text: str) -> str:
    """Text that every database takes: PostgreSQL refuses NUL, UTF-8 refuses lone surrogates."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def among(values: Sequence[str], prefix: str = "v") -> tuple[str, dict[str, str]]:
    """`:v0, :v1, …` and its parameters, for `IN (…)`."""
    names = {f"{prefix}{index}": value for index, value in enumerate(values)}
    return ", ".join(f":{name}" for name in names), names
