"""Invocations: one `modelyard run` each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.base import clock
from modelyard.core.run import Status
from modelyard.store.ledger.changes import changing
from modelyard.store.ledger.database import Database, to_json


@dataclass(frozen=True)
class Invocation:
    """One `modelyard run`.

    Attributes:
        id: the ledger's counter.
        status: `running`, `done`, `failed` or `killed`.
        outcome: what the command ended in, as JSON; empty while it runs.
    """

    id: int
    project: str
    started: str
    finished: str | None
    status: Status
    outcome: Mapping[str, Any]


class Invocations:
    """Beginning, ending and listing invocations."""

    _database: Database

    def begin_invocation(self, project: str) -> int:
        """Record that a `modelyard run` begins. Returns its id."""
        with changing(self._database) as writer:
            invocation = writer.next("invocation")
            writer.execute(
                "INSERT INTO invocations (id, project, started, status, outcome)"
                " VALUES (:id, :project, :started, 'running', '{}')",
                {"id": invocation, "project": project, "started": clock.now_utc()},
            )
            writer.record("invocation.started", str(invocation), {"project": project})
        return invocation

    def finish_invocation(self, invocation: int, status: Status, outcome: Mapping[str, Any]) -> None:
        """Record how a `modelyard run` ended."""
        with changing(self._database) as writer:
            writer.execute(
                "UPDATE invocations SET status = :status, outcome = :outcome, finished = :finished WHERE id = :id",
                {"id": invocation, "status": status, "outcome": to_json(outcome), "finished": clock.now_utc()},
            )
            writer.record(f"invocation.{status}", str(invocation), {})

    def invocations(self, *, project: str | None = None, limit: int = 20) -> tuple[Invocation, ...]:
        """The latest invocations, newest first."""
        where = "WHERE project = :project" if project is not None else ""
        rows = self._database.read(
            f"SELECT id, project, started, finished, status, outcome FROM invocations {where}"
            " ORDER BY id DESC LIMIT :limit",
            {"limit": limit} | ({"project": project} if project is not None else {}),
        )
        return tuple(
            Invocation(id, project, started, finished, status, json.loads(outcome))
            for id, project, started, finished, status, outcome in rows
        )
