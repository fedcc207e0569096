"""Schedules, first weights, losses and penalties against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from modelyard.methods.training import initialization, objectives
from modelyard.methods.training.schedules import factor
from modelyard.methods.training.settings import Initialization, Schedule

STEPS = 200
WARM = 20


def curve(**settings) -> np.ndarray:
    schedule = Schedule(warmup=WARM / STEPS, **settings)
    return np.array([factor(schedule, step, STEPS) for step in range(STEPS)])


FORMULAS = {
    "constant": ({}, lambda step: 1.0),
    "linear": ({"floor": 0.1}, lambda step: 0.1 + 0.9 * (STEPS - step) / (STEPS - WARM)),
    "cosine": (
        {"floor": 0.1},
        lambda step: 0.1 + 0.45 * (1 + math.cos(math.pi * (step - WARM) / (STEPS - WARM))),
    ),
    "step": ({"drops": 2, "factor": 0.5}, lambda step: 0.5 ** ((step - WARM) // 60)),
    "exponential": ({"factor": 0.01}, lambda step: 0.01 ** ((step - WARM) / (STEPS - WARM))),
    "wsd": (
        {"decay": 0.25, "decay_shape": "sqrt", "floor": 0.1},
        lambda step: 1.0 if step < 150 else 0.1 + 0.9 * (1 - math.sqrt((step - 150) / 50)),
    ),
    "cycles": (
        {"cycles": 3, "floor": 0.1},
        lambda step: 0.1 + 0.45 * (1 + math.cos(math.pi * ((step - WARM) % 60) / 60)),
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_every_schedule_is_its_formula_at_every_step(name: str) -> None:
    settings, formula = FORMULAS[name]
    found = curve(name=name, **settings)
    assert found[:WARM] == pytest.approx([(step + 1) / WARM for step in range(WARM)])
    assert found[WARM:] == pytest.approx([formula(step) for step in range(WARM, STEPS)])


def test_every_rule_of_the_settings_has_a_formula_here() -> None:
    assert set(Schedule.model_fields["name"].annotation.__args__) == set(FORMULAS)


def test_wsd_may_decay_in_a_line() -> None:
    found = curve(name="wsd", decay=0.25, decay_shape="linear")
    assert found[150:] == pytest.approx([(200 - step) / 50 for step in range(150, 200)])
    assert set(found[WARM:150]) == {1.0}


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_schedules_hold_for_the_shortest_runs(steps: int) -> None:
    for name, (settings, _) in FORMULAS.items():
        values = [factor(Schedule(name=name, **settings), step, steps) for step in range(steps)]
        assert all(0 < value <= 1 for value in values), name


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Embedding(300, 64, padding_idx=0), nn.Linear(64, 128), nn.LayerNorm(128), nn.Conv1d(128, 32, 3)
    )


@pytest.mark.parametrize("name", ["normal", "xavier", "kaiming", "orthogonal"])
def test_first_weights_follow_their_rule(name: str) -> None:
    module = network()
    initialization.apply(module, Initialization(name=name, std=0.05), seed=3)
    matrix, filters = module[1].weight.detach(), module[3].weight.detach()
    assert module[0].weight[1:].std().item() == pytest.approx(0.05, rel=0.03)
    assert not module[0].weight[0].any()
    assert not module[1].bias.any()
    assert not module[3].bias.any()
    assert bool((module[2].weight == 1).all())
    if name == "normal":
        assert matrix.std().item() == pytest.approx(0.05, rel=0.03)
    if name == "xavier":
        assert matrix.std().item() == pytest.approx(math.sqrt(2 / (64 + 128)), rel=0.03)
        assert matrix.abs().max().item() <= math.sqrt(6 / (64 + 128))
    if name == "kaiming":
        assert matrix.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.03)
        assert filters.std().item() == pytest.approx(math.sqrt(2 / (128 * 3)), rel=0.03)
    if name == "orthogonal":
        assert (matrix.T @ matrix).numpy() == pytest.approx(np.eye(64), abs=1e-5)


def test_first_weights_depend_on_the_seed_and_the_name_alone() -> None:
    first, second, other = network(), nn.Sequential(*network(), nn.Linear(4, 4)), network()
    for module, seed in ((first, 3), (second, 3), (other, 4)):
        torch.rand(seed)
        initialization.apply(module, Initialization(name="xavier"), seed)
    assert torch.equal(first[1].weight, second[1].weight)
    assert not torch.equal(first[1].weight, other[1].weight)


def test_default_weights_are_the_networks_own() -> None:
    module, same = network(), network()
    initialization.apply(module, Initialization(), 3)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), same.parameters(), strict=True))


LOGITS = torch.randn(20, 4, generator=torch.Generator().manual_seed(1)) * 3
LABELS = torch.arange(20) % 4
WEIGHTS = torch.linspace(0.5, 2, 20)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_focal_loss_is_its_formula_row_by_row(gamma: float) -> None:
    shares = nn.functional.one_hot(LABELS, 4)
    expected = 0.0
    for row, label, weight in zip(LOGITS.double().numpy(), LABELS.tolist(), WEIGHTS.tolist(), strict=True):
        p = math.exp(row[label]) / sum(map(math.exp, row))
        expected -= weight * (1 - p) ** gamma * math.log(p)
    assert objectives.focal(LOGITS, shares, WEIGHTS, 0.0, gamma).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_focal_loss_of_power_zero_is_cross_entropy(smoothing: float) -> None:
    shares = nn.functional.one_hot(LABELS, 4)
    found = objectives.focal(LOGITS, shares, WEIGHTS, smoothing, 0.0)
    assert found.item() == pytest.approx(objectives.cross_entropy(LOGITS, LABELS, WEIGHTS, smoothing).item(), rel=1e-6)


def test_focal_gradients_agree_with_differences() -> None:
    logits = LOGITS[:3, :3].double().requires_grad_()
    shares = nn.functional.one_hot(LABELS[:3] % 3, 3).double()

    def slow(x: torch.Tensor) -> torch.Tensor:
        p = torch.softmax(x, 1)
        return -(shares * (1 - p) ** 2 * p.log()).sum()

    (expected,) = torch.autograd.grad(slow(logits), logits)
    single = logits.detach().float().requires_grad_()
    objectives.focal(single, shares.float(), torch.ones(3), 0.0, 2.0).backward()
    assert single.grad.numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    sure = torch.tensor([[200.0, 0.0]], requires_grad=True)
    objectives.focal(sure, torch.tensor([[1.0, 0.0]]), torch.ones(1), 0.0, 0.5).backward()
    assert torch.isfinite(sure.grad).all()


def test_penalties_are_the_sums_they_say() -> None:
    module = nn.Linear(2, 2)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, -2.0], [3.0, -4.0]]))
    assert objectives.penalty(module, 0.0, 0.0) == 0.0
    assert objectives.penalty(module, 0.1, 0.0).item() == pytest.approx(1.0)
    total = objectives.penalty(module, 0.0, 0.2)
    assert total.item() == pytest.approx(0.1 * 30)
    total.backward()
    assert module.weight.grad.numpy() == pytest.approx(0.2 * module.weight.detach().numpy())
    assert module.bias.grad is None
