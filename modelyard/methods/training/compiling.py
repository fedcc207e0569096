"""Compiled graphs where they pay: measured at the start of a run, chosen once, followed by every later start.

Shapes are symbolic from the first batch on. With torch's default, the first shape a process sees gets code of its own,
so a run that goes on after a kill would compute other bits than one that was never killed.

On a busy machine the clock on the wall counts what others compute. A pass on the CPU is therefore timed by whichever is
less, the wall or the processor time of this process; compiling, which has helper processes, by the wall alone. Both
errors are on the side of not compiling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from modelyard.base.clock import monotonic, processor_seconds
from modelyard.base.messages import t
from modelyard.methods.training import devices
from modelyard.methods.training.hooks import Say
from modelyard.methods.training.settings import CompileName

PASSES = 3
"""Timed passes of each kind, after one that warms up."""
WORTH_SECONDS = 600.0
"""A run that is shorter than this without compiling is not measured: compiling an encoder takes a minute of a CPU."""
TIMES_REPAID = 2.0
"""What is saved must be so many times what compiling took: few passes are timed, and a later start compiles anew."""


@contextmanager
def compiled(module: nn.Module, on: bool) -> Iterator[None]:
    """Inside, calling the module runs compiled code if `on`."""
    if not on:
        yield
        return
    module.compile(dynamic=True)
    try:
        yield
    finally:
        module._compiled_call_impl = None


@contextmanager
def eager(module: nn.Module) -> Iterator[None]:
    """Inside, calling the module runs its own code: evaluation measures what the predictor will compute."""
    held = module._compiled_call_impl
    module._compiled_call_impl = None
    try:
        yield
    finally:
        module._compiled_call_impl = held


def choose(
    mode: CompileName,
    module: nn.Module,
    work: Callable[[], Any],
    num_steps: int,
    device: torch.device,
    say: Say,
    clock: Callable[[], float] = monotonic,
    busy: Callable[[], float] = processor_seconds,
) -> bool:
    """Whether to compile. `auto` times a few passes of either kind and counts what compiling itself took.

    Args:
        work: one pass forward and back that changes nothing that lasts.
        num_steps: that are still to be done.
        clock, busy: seconds of the wall, and those this process has computed.
    """
    if mode == "off":
        return False
    plain = 0.0
    if mode == "auto":
        plain = _seconds(work, device, clock, busy)
        if plain * num_steps < WORTH_SECONDS:
            return False
    began = clock()
    try:
        with compiled(module, True):
            work()
            spent = clock() - began
            fast = _seconds(work, device, clock, busy) if mode == "auto" else 0.0
    except Exception as error:  # whatever a compiler meets, training goes on without it
        lines = str(error).strip().splitlines()
        problem = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
        say(t("compiling failed, going on without: {problem}", problem=problem))
        return False
    if mode == "on":
        return True
    pays = (plain - fast) * num_steps > TIMES_REPAID * spent
    slow_ms, fast_ms = plain * 1000, fast * 1000
    if pays:
        say(
            t(
                "compiled: {fast:.0f} ms a step, not {slow:.0f}; compiling took {spent:.0f} s",
                fast=fast_ms,
                slow=slow_ms,
                spent=spent,
            )
        )
    else:
        say(
            t(
                "not compiled: {fast:.0f} ms a step, not {slow:.0f}, would not repay {spent:.0f} s",
                fast=fast_ms,
                slow=slow_ms,
                spent=spent,
            )
        )
    return pays


def _seconds(
    work: Callable[[], Any], device: torch.device, clock: Callable[[], float], busy: Callable[[], float]
) -> float:
    """Seconds of one pass: the least of a few."""
    work()
    taken = []
    for _ in range(PASSES):
        devices.synchronize(device)
        began, computed = clock(), busy()
        work()
        devices.synchronize(device)
        wall, own = clock() - began, busy() - computed
        taken.append(min(wall, own) if device.type == "cpu" else wall)
    return min(taken)
