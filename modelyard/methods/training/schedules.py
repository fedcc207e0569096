"""Learning-rate schedules: a factor of the base rate as a pure function of the step, so that nothing is to be saved."""

from __future__ import annotations

import math

from modelyard.methods.training.settings import Schedule


def factor(schedule: Schedule, step: int, num_steps: int) -> float:
    """What to multiply the base learning rate by at `step` (0-based) of `num_steps`.

    Warmup reaches 1 at its last step; `linear` and `cosine` (Loshchilov & Hutter 2017, without restarts) would reach
    `floor` at step `num_steps`. `wsd` (Hu et al. 2024, MiniCPM) stays at 1 until its decay begins, then falls as 1 - x
    or 1 - √x (Hägele et al. 2024) towards `floor`. `cycles` is `cosine` with restarts (SGDR).
    """
    warmup = round(schedule.warmup * num_steps)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(num_steps - warmup, 1)
    if schedule.name == "linear":
        return schedule.floor + (1 - schedule.floor) * (1 - done)
    if schedule.name == "cosine":
        return schedule.floor + (1 - schedule.floor) * 0.5 * (1 + math.cos(math.pi * done))
    if schedule.name == "cycles":
        return schedule.floor + (1 - schedule.floor) * 0.5 * (
            1 + math.cos(math.pi * _in_cycle(schedule, step, num_steps))
        )
    if schedule.name == "wsd":
        return schedule.floor + (1 - schedule.floor) * _late(schedule, step, num_steps)
    if schedule.name == "step":
        return float(schedule.factor ** min(int(done * (schedule.drops + 1)), schedule.drops))
    if schedule.name == "exponential":
        return float(schedule.factor**done)
    return 1.0


def _late(schedule: Schedule, step: int, num_steps: int) -> float:
    """1 until the decay at the end, then down to 0 at step `num_steps`."""
    steps = max(round(schedule.decay * num_steps), 1)
    done = max(step - (num_steps - steps), 0) / steps
    return 1 - (math.sqrt(done) if schedule.decay_shape == "sqrt" else done)


def cycle_ends(schedule: Schedule, num_steps: int) -> tuple[int, ...]:
    """Optimizer steps done at the end of each cycle; the last is all of them. Empty for schedules without cycles."""
    if schedule.name != "cycles":
        return ()
    warmup = round(schedule.warmup * num_steps)
    lengths = [schedule.growth**number for number in range(schedule.cycles)]
    ends = [warmup + round((num_steps - warmup) * sum(lengths[: n + 1]) / sum(lengths)) for n in range(len(lengths))]
    return tuple(sorted({end for end in ends if end > warmup}))


def _in_cycle(schedule: Schedule, step: int, num_steps: int) -> float:
    """Share of its cycle that is done at a step after warmup."""
    begin = round(schedule.warmup * num_steps)
    for end in cycle_ends(schedule, num_steps):
        if step < end:
            return (step - begin) / (end - begin)
        begin = end
    return 1.0
