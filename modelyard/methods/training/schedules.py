"""Learning-rate schedules: a factor of the base rate as a pure function of the step, so that nothing is to be saved."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Schedule(BaseModel):
    """How the learning rate moves: up during warmup, then down by the named rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["constant", "linear", "cosine", "step", "exponential"] = Field(
        "linear", description="The rule after warmup"
    )
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of all steps over which the rate rises linearly from 0")
    floor: float = Field(0.0, ge=0, le=1, description="Lowest factor of linear and cosine")
    drops: int = Field(3, ge=1, le=100, description="`step`: how many times the rate is cut, evenly spaced")
    factor: float = Field(
        0.1, gt=0, lt=1, description="`step`: what each drop multiplies by; `exponential`: the factor at the end"
    )


def factor(schedule: Schedule, step: int, num_steps: int) -> float:
    """What to multiply the base learning rate by at `step` (0-based) of `num_steps`.

    Warmup reaches 1 at its last step; `linear` and `cosine` (Loshchilov & Hutter 2017, without restarts) would reach
    `floor` at step `num_steps`.
    """
    warmup = round(schedule.warmup * num_steps)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(num_steps - warmup, 1)
    if schedule.name == "linear":
        return schedule.floor + (1 - schedule.floor) * (1 - done)
    if schedule.name == "cosine":
        return schedule.floor + (1 - schedule.floor) * 0.5 * (1 + math.cos(math.pi * done))
    if schedule.name == "step":
        return float(schedule.factor ** min(int(done * (schedule.drops + 1)), schedule.drops))
    if schedule.name == "exponential":
        return float(schedule.factor**done)
    return 1.0
