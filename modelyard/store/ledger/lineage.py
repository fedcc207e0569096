"""Lineage, both ways: which data is in this model; which models hold this data set."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.store.ledger.database import Database

_EDGES = (
    "SELECT i.digest, o.digest, r.id, r.step, r.uses, i.port, o.port FROM bindings o"
    " JOIN runs r ON r.id = o.run JOIN bindings i ON i.run = o.run AND i.direction = 'in'"
    " WHERE o.direction = 'out' AND i.digest <> o.digest"
)


@dataclass(frozen=True)
class Link:
    """One step of descent: `child` was made from `parent` by a run.

    Attributes:
        parent, child: digests.
        run: id of the run.
        step, uses: its step and its stage.
        parent_port, child_port: the ports they were bound to.
    """

    parent: str
    child: str
    run: int
    step: str
    uses: str
    parent_port: str
    child_port: str


class Lineage:
    """Descent over the inputs and outputs of done runs, to any depth. A run that changed nothing is no link."""

    _database: Database

    def lineage_up(self, digest: str) -> tuple[Link, ...]:
        """Everything that `digest` was made from."""
        return self._links(
            "WITH RECURSIVE up (digest) AS (SELECT CAST(:digest AS TEXT) UNION SELECT i.digest FROM up"
            " JOIN bindings o ON o.digest = up.digest AND o.direction = 'out'"
            f" JOIN bindings i ON i.run = o.run AND i.direction = 'in') {_EDGES}"
            " AND o.digest IN (SELECT digest FROM up) ORDER BY r.id, i.position",
            digest,
        )

    def lineage_down(self, digest: str) -> tuple[Link, ...]:
        """Everything that was made from `digest`."""
        return self._links(
            "WITH RECURSIVE down (digest) AS (SELECT CAST(:digest AS TEXT) UNION SELECT o.digest FROM down"
            " JOIN bindings i ON i.digest = down.digest AND i.direction = 'in'"
            f" JOIN bindings o ON o.run = i.run AND o.direction = 'out') {_EDGES}"
            " AND i.digest IN (SELECT digest FROM down) ORDER BY r.id, i.position",
            digest,
        )

    def _links(self, sql: str, digest: str) -> tuple[Link, ...]:
        rows = self._database.read(sql, {"digest": digest})
        return tuple(Link(*row) for row in rows)
