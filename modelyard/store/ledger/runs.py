"""Runs and invocations: what was started, with what, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.base import clock
from modelyard.base.messages import t
from modelyard.core.artifact import Artifact
from modelyard.core.evidence import Evidence
from modelyard.core.run import Binding, Run, Status
from modelyard.errors import ConflictError, StoreError
from modelyard.store.ledger.changes import Writer, changing
from modelyard.store.ledger.database import Database, Row, among, plain, to_json
from modelyard.store.ledger.evidence import insert_evidence, number, stored

Curves = Mapping[str, Sequence[tuple[int, float]]]
"""Name of a curve to its points: (step, value), in the order they were logged."""

Opening = tuple[str, str]
"""Digest of a data set and the split of it that was opened."""

_COLUMNS = "id, key, project, step, uses, status, seed, settings, identity, environment, started, finished, seconds, error, notes"


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


class Runs:
    """Starting, ending and finding runs. One transaction each."""

    _database: Database

    def start_run(
        self,
        *,
        key: str,
        project: str,
        step: str,
        uses: str,
        seed: int,
        settings: Mapping[str, Any],
        identity: Mapping[str, Any],
        environment: Mapping[str, Any],
        inputs: Sequence[Binding] = (),
        openings: Iterable[Opening] = (),
        invocation: int | None = None,
    ) -> int:
        """Record that a run begins; call it while holding the key's lock. Returns the run's id.

        Args:
            openings: splits that the run will see and that are counted (test): they count even if the run fails.
        """
        with changing(self._database) as writer:
            run = writer.next("run")
            writer.execute(
                "INSERT INTO runs (id, key, project, step, uses, status, seed, settings, identity, environment,"
                " started, notes, invocation) VALUES (:id, :key, :project, :step, :uses, 'running', :seed, :settings,"
                " :identity, :environment, :started, '[]', :invocation)",
                {
                    "id": run, "key": key, "project": project, "step": step, "uses": uses, "seed": seed,
                    "settings": to_json(settings), "identity": to_json(identity), "environment": to_json(environment),
                    "started": clock.now_utc(), "invocation": invocation,
                },
            )  # fmt: skip
            _insert_bindings(writer, run, "in", inputs)
            _insert_openings(writer, run, openings)
            writer.record("run.started", str(run), {"project": project, "step": step, "uses": uses, "key": key})
        return run

    def finish_run(
        self,
        run: int,
        *,
        outputs: Sequence[Binding] = (),
        artifacts: Sequence[Artifact] = (),
        evidence: Sequence[Evidence] = (),
        curves: Curves | None = None,
        openings: Iterable[Opening] = (),
        notes: Sequence[str] = (),
        seconds: float = 0.0,
    ) -> None:
        """Record that a run is done, with all it made, in one transaction.

        Args:
            run: its id.
            artifacts: the artifacts behind `outputs`, already committed.
            evidence: `run` and `sequence` are given by the ledger; what they hold is ignored.
            seconds: monotonic duration.

        Raises:
            ConflictError: the run is not running (somebody declared it dead, or it is done).
        """
        with changing(self._database) as writer:
            _end(writer, run, "done", seconds=seconds, notes=notes)
            for artifact in artifacts:
                insert_artifact(writer, artifact)
            _insert_bindings(writer, run, "out", outputs)
            insert_evidence(writer, run, evidence)
            _insert_curves(writer, run, curves or {})
            _insert_openings(writer, run, openings)
            writer.record("run.finished", str(run), {"outputs": [binding.digest for binding in outputs]})

    def fail_run(
        self,
        run: int,
        error: str,
        status: Status = "failed",
        *,
        notes: Sequence[str] = (),
        seconds: float | None = None,
    ) -> None:
        """Record that a run failed, or was killed. Raises ConflictError if it is not running."""
        with changing(self._database) as writer:
            _end(writer, run, status, seconds=seconds, notes=notes, error=error)
            writer.record(f"run.{status}", str(run), {"error": plain(error)})

    def kill_runs(self, runs: Iterable[int], error: str) -> None:
        """Declare runs dead whose process is gone. Those that ended meanwhile are left alone."""
        for run in runs:
            try:
                self.fail_run(run, error, "killed")
            except ConflictError:
                continue

    def completed(self, key: str) -> Run | None:
        """The latest run of this key that is done and whose outputs nobody removed."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM runs WHERE key = :key AND status = 'done' AND NOT EXISTS"
            " (SELECT 1 FROM bindings b JOIN artifacts a ON a.digest = b.digest WHERE b.run = runs.id"
            " AND b.direction = 'out' AND a.removed IS NOT NULL) ORDER BY id DESC LIMIT 1",
            {"key": key},
        )
        return self._with_bindings(rows)[0] if rows else None

    def run(self, run: int) -> Run:
        """A run by id. Raises StoreError if there is none."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM runs WHERE id = :id", {"id": run})
        if not rows:
            raise StoreError(t("there is no run {run}", run=run), where=self._database.place)
        return self._with_bindings(rows)[0]

    def runs(
        self,
        *,
        project: str | None = None,
        step: str | None = None,
        status: Status | None = None,
        invocation: int | None = None,
        limit: int = 100,
    ) -> tuple[Run, ...]:
        """Runs that fit, newest first."""
        wanted = {"project": project, "step": step, "status": status, "invocation": invocation}
        chosen = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = :{name}" for name in chosen) or "1 = 1"
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM runs WHERE {where} ORDER BY id DESC LIMIT :limit", {**chosen, "limit": limit}
        )
        return self._with_bindings(rows)

    def curves(self, run: int) -> dict[str, tuple[tuple[int, float], ...]]:
        """The curves of a run: name to (step, value), in the order they were logged."""
        found: dict[str, list[tuple[int, float]]] = {}
        rows = self._database.read(
            "SELECT name, step, value FROM curves WHERE run = :run ORDER BY name, position", {"run": run}
        )
        for name, step, value in rows:
            found.setdefault(str(name), []).append((int(step), number(value)))
        return {name: tuple(points) for name, points in found.items()}

    def openings(self, dataset: str, split: str = "test") -> tuple[int, ...]:
        """Ids of the runs that opened a split of a data set, oldest first."""
        rows = self._database.read(
            "SELECT run FROM openings WHERE dataset = :dataset AND split = :split ORDER BY run",
            {"dataset": dataset, "split": split},
        )
        return tuple(int(row[0]) for row in rows)

    def artifact(self, digest: str) -> Artifact | None:
        """What the ledger knows of an artifact; None if no run made it or it was removed."""
        rows = self._database.read(
            "SELECT digest, kind, size, num_files FROM artifacts WHERE digest = :digest AND removed IS NULL",
            {"digest": digest},
        )
        return Artifact(str(rows[0][0]), str(rows[0][1]), int(rows[0][2]), int(rows[0][3])) if rows else None

    def artifacts(self) -> tuple[Artifact, ...]:
        """Every artifact that runs made and nobody removed."""
        rows = self._database.read(
            "SELECT digest, kind, size, num_files FROM artifacts WHERE removed IS NULL ORDER BY digest", {}
        )
        return tuple(Artifact(str(digest), str(kind), int(size), int(count)) for digest, kind, size, count in rows)

    def forget_artifact(self, digest: str) -> None:
        """Record that an artifact is going to be removed: from now on no run counts as completed by it."""
        with changing(self._database) as writer:
            writer.execute(
                "UPDATE artifacts SET removed = (SELECT value FROM counters WHERE name = 'change')"
                " WHERE digest = :digest",
                {"digest": digest},
            )
            writer.record("artifact.removed", digest, {})

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
        return tuple(Invocation(*row[:5], outcome=json.loads(row[5])) for row in rows)

    def _with_bindings(self, rows: list[Row]) -> tuple[Run, ...]:
        """Runs from their rows, each with its inputs and outputs."""
        found: dict[tuple[int, str], list[Binding]] = {}
        for start in range(0, len(rows), 500):
            names, parameters = among([row[0] for row in rows[start : start + 500]])
            for run, direction, port, digest, viewed, splits in self._database.read(
                "SELECT run, direction, port, digest, viewed, splits FROM bindings"
                f" WHERE run IN ({names}) ORDER BY run, direction, position",
                parameters,
            ):
                binding = Binding(port, digest, viewed, tuple(json.loads(splits)))
                found.setdefault((run, direction), []).append(binding)
        return tuple(_to_run(row, found.get((row[0], "in"), []), found.get((row[0], "out"), [])) for row in rows)


def _to_run(row: Row, inputs: list[Binding], outputs: list[Binding]) -> Run:
    identity = [json.loads(text) for text in row[7:10]]
    return Run(*row[:7], *identity, *row[10:14], tuple(inputs), tuple(outputs), tuple(json.loads(row[14])))


def insert_artifact(writer: Writer, artifact: Artifact) -> None:
    """Record an artifact; one that was removed is there again."""
    writer.execute(
        "INSERT INTO artifacts (digest, kind, size, num_files, removed)"
        " VALUES (:digest, :kind, :size, :num_files, NULL) ON CONFLICT (digest) DO UPDATE SET removed = NULL",
        {"digest": artifact.digest, "kind": artifact.kind, "size": artifact.size, "num_files": artifact.num_files},
    )


def _end(
    writer: Writer, run: int, status: Status, *, seconds: float | None, notes: Sequence[str], error: str | None = None
) -> None:
    changed = writer.execute(
        "UPDATE runs SET status = :status, finished = :finished, seconds = :seconds, error = :error, notes = :notes"
        " WHERE id = :id AND status = 'running'",
        {
            "id": run, "status": status, "finished": clock.now_utc(), "seconds": seconds,
            "error": None if error is None else plain(error), "notes": to_json(list(notes)),
        },
    )  # fmt: skip
    if not changed:
        raise ConflictError(
            t("run {run} is not running any more", run=run),
            remedy=t("another process declared it ended: run the project again"),
        )


def _insert_bindings(writer: Writer, run: int, direction: str, bindings: Sequence[Binding]) -> None:
    writer.execute_many(
        "INSERT INTO bindings (run, direction, position, port, digest, viewed, splits)"
        " VALUES (:run, :direction, :position, :port, :digest, :viewed, :splits)",
        [
            {
                "run": run, "direction": direction, "position": position, "port": binding.port,
                "digest": binding.digest, "viewed": binding.view, "splits": to_json(list(binding.splits)),
            }
            for position, binding in enumerate(bindings)
        ],
    )  # fmt: skip


def _insert_curves(writer: Writer, run: int, curves: Curves) -> None:
    writer.execute_many(
        "INSERT INTO curves (run, name, position, step, value) VALUES (:run, :name, :position, :step, :value)",
        [
            {"run": run, "name": name, "position": position, "step": step, "value": stored(value)}
            for name, points in curves.items()
            for position, (step, value) in enumerate(points)
        ],
    )


def _insert_openings(writer: Writer, run: int, openings: Iterable[Opening]) -> None:
    writer.execute_many(
        "INSERT INTO openings (run, dataset, split) VALUES (:run, :dataset, :split) ON CONFLICT DO NOTHING",
        [{"run": run, "dataset": dataset, "split": split} for dataset, split in sorted(set(openings))],
    )
