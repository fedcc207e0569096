"""Runs: what was started, with what, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modelyard.base import clock
from modelyard.base.messages import t
from modelyard.core.artifact import Artifact
from modelyard.core.evidence import Evidence
from modelyard.core.run import Binding, Run, Status
from modelyard.errors import ConflictError, StoreError
from modelyard.store.ledger.artifacts import insert_artifact
from modelyard.store.ledger.changes import Writer, changing
from modelyard.store.ledger.database import Database, Row, among, plain, to_json
from modelyard.store.ledger.evidence import insert_evidence, number, stored

Curves = Mapping[str, Sequence[tuple[int, float]]]
"""Name of a curve to its points: (step, value), in the order they were logged."""

Opening = tuple[str, str]
"""Digest of a data set and the split of it that was opened."""

_IDENTITY = "id, key, project, step, uses, status, seed, settings, identity, environment"
_COLUMNS = f"{_IDENTITY}, started, finished, seconds, error, notes"


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
        uses: str | None = None,
        status: Status | None = None,
        invocation: int | None = None,
        limit: int = 100,
    ) -> tuple[Run, ...]:
        """Runs that fit, newest first."""
        wanted = {"project": project, "step": step, "uses": uses, "status": status, "invocation": invocation}
        chosen = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = :{name}" for name in chosen) or "1 = 1"
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM runs WHERE {where} ORDER BY id DESC LIMIT :limit", {**chosen, "limit": limit}
        )
        return self._with_bindings(rows)

    def unfinished(self, keep_recent_runs: int) -> frozenset[str]:
        """Keys that may be resumed: of runs among the last of their step that are not done, under no done run."""
        rows = self._database.read(
            "SELECT r.key FROM (SELECT key, status, ROW_NUMBER() OVER (PARTITION BY project, step ORDER BY id DESC)"
            " AS place FROM runs) r WHERE r.status <> 'done' AND (r.place <= :keep OR r.status = 'running')"
            " AND NOT EXISTS (SELECT 1 FROM runs d WHERE d.key = r.key AND d.status = 'done')",
            {"keep": keep_recent_runs},
        )
        return frozenset(str(row[0]) for row in rows)

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
    run, key, project, step, uses, status, seed, settings, identity, environment, *rest = row
    started, finished, seconds, error, notes = rest
    return Run(
        id=run, key=key, project=project, step=step, uses=uses, status=status, seed=seed,
        settings=json.loads(settings), identity=json.loads(identity), environment=json.loads(environment),
        started=started, finished=finished, seconds=seconds, error=error,
        inputs=tuple(inputs), outputs=tuple(outputs), notes=tuple(json.loads(notes)),
    )  # fmt: skip


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
