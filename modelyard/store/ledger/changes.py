"""Every change of the ledger: counted, audited and queued for delivery in the transaction that makes it.

The first statement of a change adds one to the `change` counter. That row orders all writers on both databases, so
counters are dense, their order is the order of commits, and no writer meets another half-way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from modelyard.base import clock
from modelyard.store.ledger.database import Database, Transaction, plain, to_json


@dataclass(frozen=True)
class Change:
    """One line of the audit: what happened, in the order it happened.

    Attributes:
        change: the ledger's counter, dense; 1 is the first.
        moment: wall clock, ISO 8601 UTC, for people; never an order.
        action: `run.finished`, `alias.moved`, …
        subject: what it happened to.
        detail: JSON text.
    """

    change: int
    moment: str
    action: str
    subject: str
    detail: str


@contextmanager
def changing(database: Database) -> Iterator[Writer]:
    """A transaction whose changes are audited. Nothing is written if the block raises."""
    with database.transaction() as transaction:
        yield Writer(transaction)


class Writer:
    """A transaction that counts and audits."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self.execute = transaction.execute
        self.execute_many = transaction.execute_many
        self.read = transaction.read
        self.change = self.next("change")

    def next(self, counter: str, count: int = 1) -> int:
        """The last of `count` new values of a counter; made at 0 if there is none."""
        parameters = {"name": counter, "count": count}
        if not self.execute("UPDATE counters SET value = value + :count WHERE name = :name", parameters):
            self.execute("INSERT INTO counters (name, value) VALUES (:name, :count)", parameters)
        return int(self.read("SELECT value FROM counters WHERE name = :name", {"name": counter})[0][0])

    def record(self, action: str, subject: str, detail: Mapping[str, object]) -> None:
        """The one audit row and the one outbox row of this change."""
        row = {"change": self.change, "action": action, "subject": plain(subject), "detail": to_json(detail)}
        self.execute(
            "INSERT INTO audit (change, moment, action, subject, detail)"
            " VALUES (:change, :moment, :action, :subject, :detail)",
            {**row, "moment": clock.now_utc()},
        )
        self.execute(
            "INSERT INTO outbox (change, action, subject, payload) VALUES (:change, :action, :subject, :detail)", row
        )


class Journal:
    """Reading the audit, and delivering the outbox."""

    _database: Database

    def audit(self, limit: int = 100) -> tuple[Change, ...]:
        """The latest changes, newest first."""
        rows = self._database.read(
            "SELECT change, moment, action, subject, detail FROM audit ORDER BY change DESC LIMIT :limit",
            {"limit": limit},
        )
        return tuple(Change(int(row[0]), *map(str, row[1:])) for row in rows)

    def undelivered(self, limit: int = 100) -> tuple[Change, ...]:
        """What nobody was told yet, oldest first."""
        rows = self._database.read(
            "SELECT o.change, a.moment, o.action, o.subject, o.payload FROM outbox o"
            " JOIN audit a ON a.change = o.change ORDER BY o.change LIMIT :limit",
            {"limit": limit},
        )
        return tuple(Change(int(row[0]), *map(str, row[1:])) for row in rows)

    def delivered(self, up_to: int) -> None:
        """Take everything up to a change out of the outbox: its receiver has it."""
        with self._database.transaction() as transaction:
            transaction.execute("DELETE FROM outbox WHERE change <= :change", {"change": up_to})
