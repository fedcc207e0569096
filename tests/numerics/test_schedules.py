"""Learning-rate schedules against closed forms and torch's own."""

from __future__ import annotations

import math

import pytest
import torch

from modelyard.methods.training.schedules import cycle_ends, factor
from modelyard.methods.training.settings import Schedule


def curve(steps: int, **settings) -> list[float]:
    schedule = Schedule(**settings)
    return [factor(schedule, step, steps) for step in range(steps)]


def test_warmup_rises_linearly_to_one_and_never_starts_at_zero() -> None:
    assert curve(100, name="constant", warmup=0.1)[:11] == pytest.approx([0.1 * step for step in range(1, 11)] + [1.0])


def test_constant_without_warmup_is_one_everywhere() -> None:
    assert curve(7, name="constant", warmup=0) == [1.0] * 7


def test_linear_is_the_straight_line_to_the_floor() -> None:
    assert curve(10, name="linear", warmup=0, floor=0.2) == pytest.approx([1 - 0.08 * step for step in range(10)])


def test_cosine_is_torchs_cosine_annealing() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    peer = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.1)
    expected = []
    for _ in range(50):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        peer.step()
    assert curve(50, name="cosine", warmup=0, floor=0.1) == pytest.approx(expected, abs=1e-9)


def test_exponential_is_torchs_exponential_with_the_factor_at_the_end() -> None:
    found = curve(100, name="exponential", warmup=0, factor=0.01)
    assert found == pytest.approx([math.pow(0.01 ** (1 / 100), step) for step in range(100)])


def test_step_drops_evenly_and_as_often_as_asked() -> None:
    found = curve(100, name="step", warmup=0, drops=3, factor=0.1)
    assert found == pytest.approx([1.0] * 25 + [0.1] * 25 + [0.01] * 25 + [0.001] * 25)


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "step", "exponential"])
@pytest.mark.parametrize("steps", [1, 2, 3, 1000])
def test_every_factor_is_above_zero_and_at_most_one(name: str, steps: int) -> None:
    assert all(0 < value <= 1 for value in curve(steps, name=name))


@pytest.mark.parametrize(("cycles", "growth", "first"), [(4, 1, 25), (3, 2, 10)])
def test_cycles_are_torchs_warm_restarts(cycles: int, growth: int, first: int) -> None:
    steps = first * sum(growth**number for number in range(cycles))
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    peer = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=first, T_mult=growth, eta_min=0.05)
    expected = []
    for _ in range(steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        peer.step()
    found = curve(steps, name="cycles", warmup=0, floor=0.05, cycles=cycles, growth=growth)
    assert found == pytest.approx(expected, abs=1e-9)
    ends = cycle_ends(Schedule(name="cycles", warmup=0, cycles=cycles, growth=growth), steps)
    assert [step for step in range(1, steps) if found[step] > found[step - 1]] == list(ends[:-1])
    assert ends[-1] == steps


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 1000])
def test_the_last_cycle_ends_with_training_however_few_the_steps(steps: int) -> None:
    schedule = Schedule(name="cycles", warmup=0.1, cycles=5)
    assert cycle_ends(schedule, steps)[-1:] == (steps,)
    assert all(0 < value <= 1 for value in curve(steps, name="cycles", cycles=5))
