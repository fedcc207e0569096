"""Attacks against closed forms on linear models; signs of masked gradients where gradients are masked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modelyard.methods.evaluation.robustness import flags
from modelyard.methods.evaluation.robustness.gradients import Ball, attack


class Linear:
    """Logits (w·x, 0): the worst point of a ball has a closed form."""

    def __init__(self, weight: torch.Tensor, gain: float = 1.0) -> None:
        self.weight, self.gain = weight, gain

    def encode(self, records):
        return {"pixel_values": np.stack(records).astype(np.float32)}

    def embed(self, arrays):
        return {"pixels": torch.from_numpy(arrays["pixel_values"]).requires_grad_(True)}

    def logits(self, arrays, leaves=None):
        x = (leaves or self.embed(arrays))["pixels"].flatten(1)
        score = self.gain * (x @ self.weight)
        return torch.stack([score, torch.zeros_like(score)], 1)


def rows(count: int = 40, size: int = 12) -> tuple[list[np.ndarray], np.ndarray, torch.Tensor]:
    draw = np.random.default_rng(0)
    weight = draw.normal(size=size).astype(np.float32)
    x = draw.normal(size=(count, 1, 3, 4)).astype(np.float32)
    labels = (x.reshape(count, -1) @ weight <= 0).astype(np.int64)
    return list(x), labels, torch.from_numpy(weight)


@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.1), ("linf", 0.3), ("l2", 0.3), ("l2", 1.0)])
@pytest.mark.parametrize("steps", [1, 40])
def test_the_accuracy_under_attack_is_that_of_the_margin_over_the_dual_norm(norm, radius: float, steps: int) -> None:
    x, labels, weight = rows()
    margins = np.abs(np.array([one.ravel() @ weight.numpy() for one in x]))
    dual = float(weight.abs().sum() if norm == "linf" else weight.norm())
    found = attack(Linear(weight), x, [str(n) for n in range(len(x))], labels, "pixels", Ball(radius, norm), steps)
    assert found.right[margins > radius * dual].all()
    # Many small steps on a sphere turn towards the worst point: what is left of the way is under 5 %.
    assert not found.right[margins < (1.0 if steps == 1 else 0.95) * radius * dual].any()
    assert 0 < found.right.sum() < len(x)
    # The logistic loss at the worst point, too.
    worst = np.log1p(np.exp(-(margins - radius * dual)))
    assert found.losses == pytest.approx(worst, rel=1e-1 if steps > 1 else 1e-4)


def test_an_attack_does_not_leave_the_range_of_pixels_and_is_the_same_in_any_batch() -> None:
    x, labels, weight = rows()
    x = [np.clip(one * 0.2 + 0.5, 0, 1).astype(np.float32) for one in x]
    names = [str(n) for n in range(len(x))]
    ball = Ball(0.2, "linf", 0.0, 1.0)
    whole = attack(Linear(weight), x, names, labels, "pixels", ball, 5)
    part = attack(Linear(weight), x[7:9], names[7:9], labels[7:9], "pixels", ball, 5)
    assert part.losses == pytest.approx(whole.losses[7:9], rel=1e-6)
    start = torch.from_numpy(np.stack(x))
    point = ball.project(start, start + torch.randn_like(start))
    assert float(point.min()) >= 0
    assert float(point.max()) <= 1
    assert float((point - start).abs().max()) <= 0.2 + 1e-6


def test_gradients_that_vanish_are_a_sign() -> None:
    x, labels, weight = rows()
    names = [str(n) for n in range(len(x))]
    found = attack(Linear(weight, 1e6), x, names, labels, "pixels", Ball(0.3), 1)
    honest = attack(Linear(weight), x, names, labels, "pixels", Ball(0.3), 1)
    masked = flags.flags(flags.Evidence(found.gradients, *shares(0.9, 0.9, 0.9, 0.0)))
    assert masked[flags.ZERO_GRADIENT]
    assert not flags.flags(flags.Evidence(honest.gradients, *shares(0.5, 0.4, 0.8, 0.0)))[flags.ZERO_GRADIENT]


def shares(*accuracies: float) -> list[np.ndarray]:
    """The first rows of a hundred are the right ones."""
    return [np.arange(100) < 100 * accuracy for accuracy in accuracies]


def test_each_sign_shows_where_it_should_and_only_there() -> None:
    gradients = np.ones(10)

    def signs(*accuracies: float) -> list[str]:
        return [name for name, shows in flags.flags(flags.Evidence(gradients, *shares(*accuracies))).items() if shows]

    assert signs(0.5, 0.4, 0.8, 0.0) == []
    assert signs(0.3, 0.4, 0.8, 0.0) == [flags.SINGLE_STEP]
    assert signs(0.5, 0.4, 0.2, 0.0) == [flags.BLACK_BOX]
    assert signs(0.5, 0.4, 0.8, 0.1) == [flags.UNBOUNDED]
    # Two rows of a hundred are chance; that another answer comes when asked again is none.
    assert signs(0.38, 0.4, 0.8, 0.0) == []
    assert flags.flags(flags.Evidence(gradients, *shares(0.5, 0.4, 0.8, 0.0), False))[flags.RANDOM]
