"""Runs: one execution of a step, with everything needed to repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["running", "done", "failed", "killed"]


@dataclass(frozen=True)
class Binding:
    """An artifact on a port.

    Attributes:
        port: the port's name.
        digest: of the whole artifact.
        view: digest of exactly the part the port may see (equal to `digest` when it sees all).
        splits: which splits it sees.
    """

    port: str
    digest: str
    view: str
    splits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """What the ledger keeps of a run.

    Attributes:
        id: the ledger's counter.
        key: digest of code, settings, seed, inputs, library versions, external fingerprints.
        project, step, uses: where it came from.
        settings: as validated, defaults included, secrets by name only.
        identity: the parts the key was made of (code digest, library versions, fingerprints, machine).
        environment: Python, platform, processor, threads: shown, not part of the key.
        inputs, outputs: port bindings.
        notes: the lines the stage said.
    """

    id: int
    key: str
    project: str
    step: str
    uses: str
    status: Status
    seed: int
    settings: Mapping[str, Any]
    identity: Mapping[str, Any]
    environment: Mapping[str, Any]
    started: str
    finished: str | None = None
    seconds: float | None = None
    error: str | None = None
    inputs: tuple[Binding, ...] = ()
    outputs: tuple[Binding, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)
