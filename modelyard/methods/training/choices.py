"""Choices that depend on the machine are made once, written down, and followed when a killed run goes on: threads,
precision and device decide the last bits of a result.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from modelyard.base import files
from modelyard.base.canonical import canonical_json
from modelyard.base.messages import t
from modelyard.methods.training import devices, precision
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.settings import Compute

FILE = "choices.json"


@dataclass(frozen=True)
class Choices:
    """What was settled: type of device, number format, threads."""

    device: str
    precision: str
    threads: int


def settle(compute: Compute, scratch: Path, hooks: Hooks) -> Choices:
    """The recorded choices of this run, made now if it is new."""
    path = scratch / FILE
    if path.exists():
        return Choices(**json.loads(path.read_text(encoding="utf-8")))
    device = devices.pick(compute.device)
    made = Choices(device.type, precision.resolve(compute.precision, device), compute.threads or devices.usable_cores())
    files.write_atomic(path, canonical_json(asdict(made)))
    hooks.say(
        t(
            "computing on {device} in {precision} with {threads} threads",
            device=devices.describe(device),
            precision=made.precision,
            threads=made.threads,
        )
    )
    return made
