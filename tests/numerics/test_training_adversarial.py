"""Adversarial training: movements in closed form, gradients checked by differences, the same bits after a stop."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from support.tiny_training import CPU, plan, read, weights_of
from torch import nn

from modelyard.errors import InputError
from modelyard.methods import networks
from modelyard.methods.training import classification
from modelyard.methods.training.adversarial import steps
from modelyard.methods.training.adversarial.objective import AdversarialObjective, tokens_of
from modelyard.methods.training.adversarial.settings import Adversarial
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.classification import CrossEntropy
from modelyard.methods.training.hooks import Hooks


class Mean(nn.Module):
    """A linear model of the sum of token vectors: its worst movement has a closed form."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 3)
        self.classifier = nn.Linear(3, 2, bias=False)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.embedding(input_ids).sum(1))


class Pixels(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(4, 2, bias=False)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.classifier(pixel_values.flatten(1))


def batch_of(inputs: dict[str, torch.Tensor], labels: list[int]) -> Batch:
    targets = {"labels": torch.tensor(labels), "weights": torch.ones(len(labels))}
    return Batch(inputs, targets, weight=float(len(labels)))


def margin_loss(margin: torch.Tensor) -> float:
    return float(torch.log1p(torch.exp(-margin)).sum())


def test_fgm_moves_embeddings_as_the_closed_form_of_a_linear_model_says() -> None:
    torch.manual_seed(0)
    module, epsilon, tokens = Mean().train(), 0.7, 4
    ids, labels = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]]), [0, 1]
    own = module.classifier.weight
    direction = own[0] - own[1]
    sign = torch.tensor([1.0, -1.0])
    margin = sign * (module.embedding(ids).sum(1) @ direction)
    # Each token moves by -ε d / (|d| √L): together the margin falls by ε √L |d|.
    expected = 0.5 * margin_loss(margin) + 0.5 * margin_loss(margin - epsilon * math.sqrt(tokens) * direction.norm())
    objective = AdversarialObjective(CrossEntropy(), Adversarial(kind="fgm", epsilon=epsilon))
    assert float(objective(module, batch_of({"input_ids": ids}, labels))) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["fgm", "pgd"])
def test_linf_on_pixels_reaches_the_corner_of_the_box(kind: str) -> None:
    torch.manual_seed(1)
    module, epsilon = Pixels().train(), 0.1
    pixels, sign = torch.rand(3, 1, 2, 2), torch.tensor([1.0, -1.0, 1.0])
    own = module.classifier.weight
    direction = own[0] - own[1]
    margin = sign * (pixels.flatten(1) @ direction)
    expected = 0.5 * margin_loss(margin) + 0.5 * margin_loss(margin - epsilon * direction.abs().sum())
    settings = Adversarial(kind=kind, epsilon=epsilon, norm="linf", steps=6, step_size=0.1)
    found = AdversarialObjective(CrossEntropy(), settings)(module, batch_of({"pixel_values": pixels}, [0, 1, 0]))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_gradient_of_fgm_is_that_of_both_losses_with_the_movement_held_still() -> None:
    torch.manual_seed(2)
    module = Mean().double().train()
    batch = batch_of({"input_ids": torch.tensor([[1, 2, 2]])}, [1])
    objective = AdversarialObjective(CrossEntropy(), Adversarial(kind="fgm", epsilon=0.5))
    objective(module, batch).backward()
    with torch.no_grad():
        own = module.classifier.weight
        direction = own[0] - own[1]
        move = 0.5 * direction / (direction.norm() * math.sqrt(3))

        def value() -> float:
            vectors = module.embedding(batch.inputs["input_ids"])
            logits = [module.classifier((vectors + by).sum(1)) for by in (0.0, move)]
            return sum(0.5 * float(nn.functional.cross_entropy(one, torch.tensor([1]))) for one in logits)

        for parameter in (module.embedding.weight, module.classifier.weight):
            place, step = (1, 0), 1e-4
            parameter[place] += step
            above = value()
            parameter[place] -= 2 * step
            below = value()
            parameter[place] += step
            # The loss computes in fp32.
            assert float(parameter.grad[place]) == pytest.approx((above - below) / (2 * step), abs=2e-3)


def test_freelb_and_vat_cost_more_than_the_rows_alone_and_leave_no_hook_behind() -> None:
    torch.manual_seed(3)
    module = Mean().train()
    batch = batch_of({"input_ids": torch.tensor([[1, 2, 3], [4, 5, 6]])}, [0, 1])
    clean = float(CrossEntropy()(module, batch))
    for kind in ("freelb", "vat"):
        settings = Adversarial(kind=kind, epsilon=1.0, steps=2)
        assert float(AdversarialObjective(CrossEntropy(), settings)(module, batch)) > clean + 1e-3
    assert not module.embedding._forward_hooks
    assert float(CrossEntropy()(module, batch)) == clean


def test_movements_stay_inside_their_ball_and_a_zero_gradient_moves_nothing() -> None:
    torch.manual_seed(4)
    move = steps.start(torch.zeros(200, 3, 4), 0.3, "l2")
    assert float(steps.lengths(move).max()) <= 0.3 + 1e-6
    far = steps.inside(torch.randn(5, 3, 4) * 9, 0.3, "l2")
    assert torch.allclose(steps.lengths(far), torch.tensor(0.3))
    tiny = steps.uphill(torch.full((1, 4), 1e-30), 2.0, "l2")
    assert float(steps.lengths(tiny)) == pytest.approx(2.0, rel=1e-5)
    assert not steps.uphill(torch.zeros(1, 4), 2.0, "l2").any()


def test_a_network_without_tokens_is_refused() -> None:
    with pytest.raises(InputError, match="no token embeddings"):
        tokens_of(nn.Linear(2, 2))


class Stopped(Exception):
    """Stands for a kill between two steps."""


def train(rows, scratch: Path, settings: Adversarial | None, stop_at: int | None = None):
    def progress(done: int, total: int, what: str) -> None:
        if done == stop_at:
            raise Stopped

    vocabulary, training, validation = rows
    torch.manual_seed(5)
    spec = {"kind": "cnn", "vocabulary_size": vocabulary, "num_labels": 2, "embedding": 8, "filters": 4}
    module = networks.build({**spec, "widths": [2, 3], "dropout": 0.3})
    how = plan(epochs=2, accumulation=2, checkpoint_seconds=0, adversarial=settings)
    classification.train(module, training, validation, how, CPU, scratch, Hooks(progress=progress))
    return weights_of(module)


@pytest.mark.parametrize("kind", ["fgm", "pgd", "freelb", "vat"])
def test_training_that_was_stopped_ends_with_the_same_bits(tmp_path: Path, kind: str) -> None:
    rows, settings = read(), Adversarial(kind=kind, epsilon=0.5, steps=2)
    expected = train(rows, tmp_path / "straight", settings)
    with pytest.raises(Stopped):
        train(rows, tmp_path / "again", settings, stop_at=3)
    again = train(rows, tmp_path / "again", settings)
    assert all(torch.equal(again[name], expected[name]) for name in expected)
    plain = train(rows, tmp_path / "plain", None)
    assert not all(torch.equal(plain[name], expected[name]) for name in expected)
