"""Merged weights against slow references, one number at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from modelyard.methods.training.combining import merging

SHAPES = {"head.weight": (3, 4), "head.bias": (3,), "body": (2, 3, 2)}


def model(seed: int, spread: float = 1.0) -> dict[str, torch.Tensor]:
    draw = np.random.default_rng(seed)
    found = {name: torch.tensor(draw.normal(size=shape) * spread).float() for name, shape in SHAPES.items()}
    return {**found, "positions": torch.arange(5)}


def flat(tensors) -> list[float]:
    """Every weight as a Python number, in the order of names."""
    return [value for name in sorted(SHAPES) for value in tensors[name].flatten().tolist()]


def near(base, seed: int):
    return {name: value + model(seed, 0.1)[name] if name in SHAPES else value for name, value in base.items()}


def test_a_soup_is_the_mean_of_every_weight():
    models = [model(seed) for seed in range(3)]
    wanted = [sum(values) / 3 for values in zip(*map(flat, models), strict=True)]
    np.testing.assert_allclose(flat(merging.mean(models)), wanted, atol=1e-7)
    weighted = [0.2 * a + 0.5 * b + 0.3 * c for a, b, c in zip(*map(flat, models), strict=True)]
    np.testing.assert_allclose(flat(merging.mean(models, [0.2, 0.5, 0.3])), weighted, atol=1e-7)


def test_task_arithmetic_adds_scaled_differences():
    base = model(0)
    models = [near(base, seed) for seed in (1, 2)]
    wanted = [b + 0.7 * ((x - b) + (y - b)) for b, x, y in zip(flat(base), *map(flat, models), strict=True)]
    np.testing.assert_allclose(flat(merging.task_arithmetic(base, models, 0.7)), wanted, atol=1e-6)


@pytest.mark.parametrize("density", [0.1, 0.4, 1.0])
@pytest.mark.parametrize("scale", [1.0, 0.6])
def test_ties_is_trim_elect_and_disjoint_mean(density: float, scale: float):
    base = model(0)
    models = [near(base, seed) for seed in (1, 2, 3)]
    start, columns = flat(base), []
    for one in models:
        differences = [value - b for value, b in zip(flat(one), start, strict=True)]
        kept = max(1, round(density * len(differences)))
        largest = sorted(range(len(differences)), key=lambda place: -abs(differences[place]))[:kept]
        columns.append([value if place in largest else 0.0 for place, value in enumerate(differences)])
    wanted = []
    for place, b in enumerate(start):
        values = [column[place] for column in columns]
        sign = math.copysign(1, sum(values)) if sum(values) else 0
        agreeing = [value for value in values if value * sign > 0]
        wanted.append(b + scale * (sum(agreeing) / len(agreeing) if agreeing else 0.0))
    np.testing.assert_allclose(flat(merging.ties(base, models, density, scale)), wanted, atol=1e-6)


def test_ties_of_one_model_with_everything_kept_is_that_model():
    base = model(0)
    one = near(base, 1)
    np.testing.assert_allclose(flat(merging.ties(base, [one], 1.0, 1.0)), flat(one), atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_slerp_keeps_the_angle_in_proportion(share: float):
    first, second = model(0), model(1)
    found = merging.slerp(first, second, share)
    for name in SHAPES:
        a, b = (np.array(one[name].flatten().tolist()) for one in (first, second))
        angle = math.acos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        wanted = (math.sin((1 - share) * angle) * a + math.sin(share * angle) * b) / math.sin(angle)
        np.testing.assert_allclose(found[name].flatten().tolist(), wanted, atol=1e-6)


def test_slerp_of_equal_length_stays_on_the_sphere_and_of_equals_stays_put():
    first, second = model(0), model(1)
    unit = [{name: one[name] / one[name].norm() for name in SHAPES} for one in (first, second)]
    for value in merging.slerp(unit[0], unit[1], 0.3).values():
        assert float(value.norm()) == pytest.approx(1, abs=1e-6)
    same = merging.slerp(first, first, 0.5)
    assert all(torch.allclose(same[name], first[name]) for name in SHAPES)
    opposite = merging.slerp(first, {name: -value for name, value in first.items()}, 0.5)
    assert all(torch.isfinite(opposite[name]).all() for name in SHAPES)


def test_whole_numbers_and_number_formats_stay():
    models = [{name: value.bfloat16() if name in SHAPES else value for name, value in model(s).items()} for s in (0, 1)]
    for found in (merging.mean(models), merging.slerp(*models, 0.5), merging.ties(models[0], models[1:], 0.5, 1.0)):
        assert torch.equal(found["positions"], torch.arange(5))
        assert all(found[name].dtype == torch.bfloat16 for name in SHAPES)
