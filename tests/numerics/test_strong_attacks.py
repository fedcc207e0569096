"""APGD and Square against closed forms; each sign of masked gradients on a model made to mask them, none on plain."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import nn

from modelyard.methods.evaluation.robustness import attacking, flags, strong
from modelyard.methods.evaluation.robustness.gradients import Ball

NAMES = [str(n) for n in range(60)]


class Pixels:
    """A network of pixels from 0 to 1, with what masks its gradient in front or behind."""

    def __init__(self, network, before=lambda x: x, after=lambda z: z) -> None:
        self.network, self.before, self.after = network, before, after
        self.preprocessor = SimpleNamespace(mean=[0.0], std=[1.0])

    def encode(self, records):
        return {"pixel_values": np.stack([record["image"] for record in records])}

    def embed(self, arrays):
        return {"pixels": torch.from_numpy(arrays["pixel_values"]).requires_grad_(True)}

    def logits(self, arrays, leaves=None):
        leaves = leaves or self.embed(arrays)
        return self.after(self.network(self.before(leaves["pixels"]).flatten(1)))


def rows(count: int, seed: int, classes: int = 3):
    """Pictures of 8 x 8 whose class is a bright third, with noise."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(classes, size=count)
    pixels = 0.5 + 0.15 * draw.normal(size=(count, 1, 8, 8))
    for place, label in enumerate(labels):
        pixels[place, :, :, 2 * label : 2 * label + 2] += 0.15
    return [{"image": one.astype(np.float32).clip(0, 1)} for one in pixels], labels.astype(np.int64)


@pytest.fixture(scope="module", params=["linear", "deep"])
def network(request):
    torch.manual_seed(0)
    size = [nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 3)] if request.param == "deep" else [nn.Linear(64, 3)]
    module = nn.Sequential(*size)
    records, labels = rows(600, 1)
    x, y = torch.from_numpy(np.stack([r["image"] for r in records])).flatten(1), torch.from_numpy(labels)
    optimiser = torch.optim.Adam(module.parameters(), 0.01)
    for _ in range(150):
        optimiser.zero_grad()
        nn.functional.cross_entropy(module(x), y).backward()
        optimiser.step()
    return module.eval()


def signs_of(model, count: int = 60, seed: int = 2) -> attacking.Found:
    records, labels = rows(count, seed)
    settings = attacking.Settings(steps=20, queries=60)
    return attacking.run(model, records, NAMES[:count], labels, settings)


def accuracy(found: attacking.Found, **part: str) -> float:
    return next(one.value for one in found.estimates if one.name == "accuracy" and dict(one.slice) == part)


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_a_plain_network_shows_no_sign(network, seed: int) -> None:
    found = signs_of(Pixels(network), seed=seed)
    assert found.flags == ()
    assert accuracy(found, attack="none") > 0.8
    assert accuracy(found, attack="all", norm="linf", radius="0.03137") < accuracy(found, attack="none")
    # All attacks of a ball together are at least as strong as each.
    for one in found.estimates:
        if one.name == "accuracy" and one.slice["attack"] not in ("none", "all"):
            every = accuracy(found, attack="all", norm=one.slice["norm"], radius=one.slice["radius"])
            assert every <= one.value
    # A success is a row that was right: share of those.
    right = accuracy(found, attack="none")
    under = accuracy(found, attack="fgsm", norm="linf", radius="0.03137")
    (success,) = [
        one for one in found.estimates
        if one.name == "success_rate" and dict(one.slice) == {"attack": "fgsm", "norm": "linf", "radius": "0.03137"}
    ]  # fmt: skip
    assert success.n == round(60 * right)
    assert success.value >= (right - under) / right - 1e-9


def test_a_quantised_input_shows_that_its_gradient_is_gone(network) -> None:
    found = signs_of(Pixels(network, before=lambda x: torch.round(x * 15) / 15 + 0 * x))
    assert flags.ZERO_GRADIENT in found.flags
    assert flags.UNBOUNDED in found.flags
    ends = {"norm": "linf", "radius": "0.03137"}
    # The gradient says nothing is wrong; Square, which needs none, finds that it is.
    assert accuracy(found, attack="pgd", **ends) > accuracy(found, attack="square", **ends)
    assert flags.BLACK_BOX in found.flags


def test_saturated_logits_show_it_and_the_ratio_of_logits_sees_through_them(network) -> None:
    plain, found = signs_of(Pixels(network)), signs_of(Pixels(network, after=lambda z: 1e6 * z))
    assert flags.ZERO_GRADIENT in found.flags
    ends = {"norm": "linf", "radius": "0.03137"}
    assert accuracy(found, attack="apgd_dlr", **ends) == pytest.approx(
        accuracy(plain, attack="apgd_dlr", **ends), abs=0.02
    )
    assert accuracy(found, attack="fgsm", **ends) > accuracy(plain, attack="fgsm", **ends) + 0.1


def test_a_gradient_that_points_the_wrong_way_is_weaker_than_none(network) -> None:
    class Turned(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return -gradient

    found = signs_of(Pixels(network, before=Turned.apply))
    assert flags.BLACK_BOX in found.flags
    assert flags.UNBOUNDED in found.flags
    assert flags.ZERO_GRADIENT not in found.flags


def test_noise_in_the_answers_shows(network) -> None:
    generator = torch.Generator().manual_seed(0)

    def noisy(x):
        return x + 0.05 * torch.randn(x.shape, generator=generator)

    assert flags.RANDOM in signs_of(Pixels(network, before=noisy)).flags


# -- closed forms ------------------------------------------------------------------------------------------------------


class Linear(Pixels):
    """Logits (w·x, 0): the worst point of a ball has a closed form."""

    def __init__(self, weight: torch.Tensor, gain: float = 1.0) -> None:
        super().__init__(lambda x: gain * torch.stack([x @ weight, torch.zeros(len(x))], 1))


def line(count: int = 60):
    draw = np.random.default_rng(0)
    weight = draw.normal(size=12).astype(np.float32)
    x = draw.normal(size=(count, 1, 3, 4)).astype(np.float32)
    labels = (x.reshape(count, -1) @ weight <= 0).astype(np.int64)
    return [{"image": one} for one in x], labels, torch.from_numpy(weight), np.abs(x.reshape(count, -1) @ weight)


@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.1), ("linf", 0.3), ("l2", 0.3), ("l2", 1.0)])
@pytest.mark.parametrize(("loss", "gain"), [("ce", 1.0), ("dlr", 1.0), ("dlr", 1e6)])
def test_apgd_reaches_the_margin_over_the_dual_norm(norm, radius: float, loss, gain: float) -> None:
    records, labels, weight, margins = line()
    dual = float(weight.abs().sum() if norm == "linf" else weight.norm())
    right = strong.apgd(Linear(weight, gain), records, NAMES, labels, "pixels", Ball(radius, norm), 50, loss)
    assert right[margins > 1.0001 * radius * dual].all()
    assert not right[margins < 0.98 * radius * dual].any()
    assert 0 < right.sum() < len(right)


def test_square_stays_in_its_ball_and_comes_near_its_worst_point() -> None:
    records, labels, weight, margins = line()
    ball, dual = Ball(0.2), float(weight.abs().sum())
    right = strong.square(Linear(weight), records, NAMES, labels, "pixels", ball, 300)
    assert right[margins > 1.0001 * 0.2 * dual].all()
    assert not right[margins < 0.9 * 0.2 * dual].any()
    part = strong.square(Linear(weight), records[7:9], NAMES[7:9], labels[7:9], "pixels", ball, 300)
    assert np.array_equal(part, right[7:9])


def test_losses_are_their_formulas() -> None:
    logits = np.random.default_rng(0).normal(size=(20, 5))
    labels = np.arange(20) % 5
    given = torch.from_numpy(logits), torch.from_numpy(labels)
    own = logits[np.arange(20), labels]
    others = np.where(np.eye(5, dtype=bool)[labels], -np.inf, logits).max(1)
    ordered = np.sort(logits, axis=1)[:, ::-1]
    assert strong.margin(*given).numpy() == pytest.approx(own - others, abs=1e-12)
    ratio = -(own - others) / (ordered[:, 0] - ordered[:, 2])
    assert strong.logit_ratio(*given).numpy() == pytest.approx(ratio, abs=1e-12)
    assert strong.logit_ratio(given[0] * 1e5, given[1]).numpy() == pytest.approx(ratio, abs=1e-12)
    entropy = -log_softmax(logits, axis=1)[np.arange(20), labels]
    assert strong.cross_entropy(*given).numpy() == pytest.approx(entropy, abs=1e-12)


def test_the_step_is_looked_at_where_the_paper_says() -> None:
    # p: 0, 0.22, 0.41, 0.57, 0.70, 0.80, 0.87, 0.93, 0.99 (Croce and Hein 2020, section 4.1).
    assert sorted(strong.checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert strong.side_at(0, 100, 28, 28) == round((0.8 * 784) ** 0.5)
    assert strong.side_at(99, 100, 28, 28) == 1


def test_apgd_halves_its_step_until_it_is_inside_a_small_spot() -> None:
    """Only within 0.15 of a centre, half a radius away, is the answer wrong: a step of the whole ball jumps over it."""
    centre = torch.zeros(12)
    centre[0] = 0.5
    spot = Pixels(lambda x: torch.stack([((x - centre) ** 2).sum(1) - 0.15**2, torch.zeros(len(x))], 1))
    records = [{"image": np.zeros((1, 3, 4), np.float32)} for _ in range(8)]
    labels = np.zeros(8, np.int64)
    assert not strong.apgd(spot, records, NAMES[:8], labels, "pixels", Ball(1.0, "l2"), 60, "ce").any()


@pytest.mark.parametrize("how", ["square", "apgd"])
def test_no_attack_leaves_the_range_of_pixels(how: str) -> None:
    """Wrong only where a pixel is brighter than white, which no picture can be."""
    beyond = Pixels(lambda x: torch.stack([1 - 100 * torch.relu(x - 1.0001).sum(1), torch.zeros(len(x))], 1))
    records = [{"image": np.full((1, 4, 4), 0.9, np.float32)} for _ in range(5)]
    labels, ball = np.zeros(5, np.int64), Ball(0.2, "linf", 0.0, 1.0)
    given = beyond, records, NAMES[:5], labels, "pixels"
    right = strong.square(*given, ball, 30) if how == "square" else strong.apgd(*given, ball, 10, "ce")
    assert right.all()
    assert not strong.square(*given, Ball(0.2), 30).any()
