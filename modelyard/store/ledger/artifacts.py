"""What the ledger knows of artifacts: which runs made them, and which were removed since."""

from __future__ import annotations

from collections.abc import Iterable

from modelyard.core.artifact import Artifact
from modelyard.store.ledger.changes import Writer, changing
from modelyard.store.ledger.database import Database, Row

_COLUMNS = "digest, kind, size, num_files"


class Artifacts:
    """Reading artifacts, and forgetting those that are removed."""

    _database: Database

    def artifact(self, digest: str) -> Artifact | None:
        """What the ledger knows of an artifact; None if no run made it or it was removed."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM artifacts WHERE digest = :digest AND removed IS NULL", {"digest": digest}
        )
        return _to_artifact(rows[0]) if rows else None

    def artifacts(self) -> tuple[Artifact, ...]:
        """Every artifact that runs made and nobody removed."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM artifacts WHERE removed IS NULL ORDER BY digest", {})
        return tuple(map(_to_artifact, rows))

    def needed(self, keep_recent_runs: int) -> frozenset[str]:
        """Digests that must stay: what releases keep, what running runs read, and what the last done runs of each step
        of each project read and made.

        Args:
            keep_recent_runs: how many done runs of a step count as recent.
        """
        rows = self._database.read(
            "SELECT digest FROM release_keeps UNION SELECT b.digest FROM bindings b JOIN (SELECT id, status,"
            " ROW_NUMBER() OVER (PARTITION BY project, step, status ORDER BY id DESC) AS place FROM runs) r"
            " ON r.id = b.run WHERE r.status = 'running' OR (r.status = 'done' AND r.place <= :keep)",
            {"keep": keep_recent_runs},
        )
        return frozenset(str(row[0]) for row in rows)

    def forget_artifacts(self, digests: Iterable[str]) -> None:
        """Record that artifacts are about to be removed: no run counts as completed by them any more."""
        with changing(self._database) as writer:
            gone = sorted(set(digests))
            writer.execute_many(
                "UPDATE artifacts SET removed = :change WHERE digest = :digest",
                [{"digest": digest, "change": writer.change} for digest in gone],
            )
            writer.record("artifacts.removed", str(len(gone)), {"digests": gone})


def _to_artifact(row: Row) -> Artifact:
    digest, kind, size, num_files = row
    return Artifact(digest, kind, size, num_files)


def insert_artifact(writer: Writer, artifact: Artifact) -> None:
    """Record an artifact; one that was removed is there again."""
    writer.execute(
        "INSERT INTO artifacts (digest, kind, size, num_files, removed)"
        " VALUES (:digest, :kind, :size, :num_files, NULL) ON CONFLICT (digest) DO UPDATE SET removed = NULL",
        {"digest": artifact.digest, "kind": artifact.kind, "size": artifact.size, "num_files": artifact.num_files},
    )
