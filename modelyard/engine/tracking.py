"""Curves mirrored to another tool while a step runs: TensorBoard or MLflow, by a profile's `tracking`.

A mirror is a convenience: the curves in the ledger are the record. Whatever goes wrong in it is said once, and the run
goes on without it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from modelyard.base.lookup import require
from modelyard.base.messages import t

KINDS = ("none", "tensorboard", "mlflow")
FOLDER = "tracking"
MLFLOW_URI = "MLFLOW_TRACKING_URI"


class Mirror(Protocol):
    """Takes points of curves."""

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class Nothing:
    """No mirror."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Nobody listens."""

    def close(self) -> None:
        """Nothing to end."""


class Guarded:
    """A mirror that cannot harm the run: its first failure is said, and ends it."""

    def __init__(self, make: Callable[[], Mirror], say: Callable[[str], None]) -> None:
        self._say = say
        self._mirror: Mirror = Nothing()
        self._try(lambda: setattr(self, "_mirror", make()))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._try(lambda: self._mirror.log(step, values))

    def close(self) -> None:
        self._try(lambda: self._mirror.close())

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:  # another tool's trouble is not the run's
            self._mirror = Nothing()
            lines = str(error).strip().splitlines()
            problem = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
            self._say(t("curves are no longer mirrored: {problem}", problem=problem))


def open_mirror(kind: str, store: Path, project: str, step: str, key: str, say: Callable[[str], None]) -> Mirror:
    """The mirror of one step's run; a run that goes on after a kill goes on in the same place."""
    folder = store / FOLDER / kind
    name = f"{step}-{key.rpartition(':')[2][:8]}"
    if kind == "tensorboard":
        from modelyard.engine.tensorboard import EventFile

        return Guarded(lambda: EventFile(folder / project / name), say)
    if kind == "mlflow":
        return Guarded(lambda: MlflowRun(folder, project, name), say)
    return Nothing()


class MlflowRun:
    """A run in MLflow: at MLFLOW_TRACKING_URI, else in a database beside the artifacts."""

    def __init__(self, folder: Path, project: str, name: str) -> None:
        client: Any = require("mlflow.tracking", "mlflow")
        uri = os.environ.get(MLFLOW_URI)
        if not uri:
            folder.mkdir(parents=True, exist_ok=True)
            uri = f"sqlite:///{folder / 'mlflow.db'}"
        self._client = client.MlflowClient(tracking_uri=uri)
        known = self._client.get_experiment_by_name(project)
        experiment = known.experiment_id if known else self._client.create_experiment(project)
        self._run = self._client.create_run(experiment, run_name=name).info.run_id

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """One point of each curve."""
        for name, value in values.items():
            self._client.log_metric(self._run, name, float(value), step=step)

    def close(self) -> None:
        """Mark it as ended."""
        self._client.set_terminated(self._run)
