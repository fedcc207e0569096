"""Choices that depend on the machine are made once, written down, and followed when a killed run goes on: threads,
precision and device decide the last bits of a result.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from modelyard.base.messages import t
from modelyard.methods.training import devices, precision, remembering
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.settings import Compute


@dataclass(frozen=True)
class Choices:
    """What was settled: type of device, number format, threads."""

    device: str
    precision: str
    threads: int


def settle(compute: Compute, scratch: Path, hooks: Hooks, in_format: bool = True) -> Choices:
    """The recorded choices of this run, made now if it is new.

    Args:
        in_format: whether anything is computed in the number format; trees and linear models have their own.
    """
    known = remembering.recall(scratch)
    names = [one.name for one in fields(Choices)]
    if all(name in known for name in names):
        return Choices(**{name: known[name] for name in names})
    device = devices.pick(compute.device)
    made = Choices(device.type, precision.resolve(compute.precision, device), compute.threads or devices.usable_cores())
    remembering.remember(scratch, **asdict(made))
    template = "computing on {device} in {precision} with {threads} threads"
    if not in_format:
        template = "computing on {device} with {threads} threads"
    hooks.say(t(template, device=devices.describe(device), precision=made.precision, threads=made.threads))
    return made
