"""Fairness while a model learns, against slow references and explicit formulas."""

from __future__ import annotations

import math

import fairlearn.metrics as fair_metrics
import numpy as np
import pytest
import torch
from fairlearn.reductions import DemographicParity, EqualizedOdds, ExponentiatedGradient
from sklearn.linear_model import LogisticRegression
from torch import nn

from modelyard.methods.preprocessing.table import Table
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.classification import CrossEntropy
from modelyard.methods.training.fair import dro, judging, reversal
from modelyard.methods.training.fair.arranging import Fair
from modelyard.methods.training.fair.groups import Groups
from modelyard.methods.training.fair.settings import Fairness
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.tables import reductions
from modelyard.methods.training.tables.learned import Learned


class Plain(nn.Module):
    """Logits of one layer."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def drawn(rows=24, width=3, classes=2, groups=3, seed=0) -> Batch:
    torch.manual_seed(seed)
    targets = {
        "labels": torch.randint(classes, (rows,)),
        "weights": torch.rand(rows) + 0.5,
        dro.GROUPS: torch.randint(-1, groups, (rows,)),
    }
    return Batch({"x": torch.randn(rows, width)}, targets, float(targets["weights"].double().sum()))


class Given:
    """A feed of given batches."""

    epoch_steps = 1

    def __init__(self, *batches: Batch) -> None:
        self.batches = batches

    def step(self, epoch: int, position: int) -> tuple[Batch, ...]:
        return self.batches


def test_group_dro_is_the_slow_reference_over_many_steps():
    torch.manual_seed(1)
    module = Plain(3, 2).train()
    objective = dro.GroupDro(CrossEntropy(), [40, 10, 25], step_size=0.5, adjustment=2.0)
    q = [1 / 3] * 3
    for step in range(20):
        batch = drawn(seed=step)
        (batch,) = dro.GroupedFeed(Given(batch), 3).step(0, 0)
        objective.begin(step, 20)
        loss = objective(module, batch).detach() / batch.weight
        logits, weights = module(**batch.inputs), batch.targets["weights"].double()
        groups = batch.targets[dro.GROUPS].tolist()
        losses = nn.functional.cross_entropy(logits.detach().double(), batch.targets["labels"], reduction="none")
        member = [[row for row, group in enumerate(groups) if group == which] for which in range(3)]
        mean = [float((weights[rows] * losses[rows]).sum() / weights[rows].sum()) if rows else 0.0 for rows in member]
        inside = sum(float(weights[rows].sum()) for rows in member)
        outside = sum(float(weights[row] * losses[row]) for row, group in enumerate(groups) if group < 0)
        expected = (inside * sum(a * b for a, b in zip(q, mean, strict=True)) + outside) / float(weights.sum())
        assert float(loss) == pytest.approx(expected, rel=1e-5)
        objective.end()
        raised = [
            value * math.exp(0.5 * (one + 2 / math.sqrt(size))) if rows else value
            for value, one, size, rows in zip(q, mean, [40, 10, 25], member, strict=True)
        ]
        q = [value / sum(raised) for value in raised]
        assert objective.state()["q"].tolist() == pytest.approx(q, rel=1e-5)
    assert max(q) > 0.5


def test_a_step_cut_into_parts_has_the_same_gradient_and_weights():
    whole, parts = (dro.GroupDro(CrossEntropy(), [8, 8, 8], 0.3) for _ in range(2))
    batches = [drawn(seed=1), drawn(rows=7, seed=2)]
    batches = list(dro.GroupedFeed(Given(*batches), 3).step(0, 0))
    gradients = []
    for objective, size in ((whole, 100), (parts, 5)):
        torch.manual_seed(3)
        module = Plain(3, 2).train()
        for batch in batches:
            for piece in objective.split(batch, size):
                objective(module, piece).backward()
        objective.end()
        gradients.append(module.layer.weight.grad)
    assert torch.allclose(*gradients, rtol=1e-5)
    assert whole.state()["q"].tolist() == pytest.approx(parts.state()["q"].tolist(), rel=1e-9)


@pytest.mark.parametrize("constraint", ["demographic_parity", "equal_opportunity", "equalized_odds"])
@pytest.mark.parametrize("reads", ["answer", "representation"])
def test_the_reversed_gradient_is_the_formula(constraint, reads):
    """∂/∂network: of the task, less λ times that of the adversary; ∂/∂adversary: of the adversary."""
    settings = Fairness(kind="gradient_reversal", constraint=constraint, reads=reads, strength=2.5, schedule="constant")
    torch.manual_seed(0)
    together = reversal.beside(Plain(3, 2), settings, 2, 3).train()
    objective = reversal.GradientReversal(CrossEntropy(), settings, 2, 1)
    objective.begin(0, 10)
    batch = drawn()
    objective(together, batch).backward()
    network, adversary = together.module, together.adversary
    found = [one.grad.clone() for one in network.parameters()]
    found_adversary = [one.grad.clone() for one in adversary.parameters()]

    x, labels, groups = batch.inputs["x"], batch.targets["labels"], batch.targets[dro.GROUPS]
    weights = batch.targets["weights"]
    logits = network(x)
    seen = x if reads == "representation" else logits - logits.mean(1, keepdim=True)
    if constraint == "equalized_odds":
        seen = torch.cat([seen, nn.functional.one_hot(labels, 2).float()], 1)
    kept = groups >= 0
    if constraint == "equal_opportunity":
        kept = kept & (labels == 1)
    of_adversary = (weights[kept] * nn.functional.cross_entropy(adversary(seen[kept]), groups[kept],
                                                                reduction="none")).sum()  # fmt: skip
    of_task = (weights * nn.functional.cross_entropy(logits, labels, reduction="none")).sum()
    task = torch.autograd.grad(of_task, list(network.parameters()), retain_graph=True)
    against = torch.autograd.grad(of_adversary, list(network.parameters()), retain_graph=True, allow_unused=True)
    own = torch.autograd.grad(of_adversary, list(adversary.parameters()))
    for one, first, second in zip(found, task, against, strict=True):
        expected = first if second is None else first - 2.5 * second
        assert torch.allclose(one, expected, rtol=1e-4, atol=1e-6)
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(found_adversary, own, strict=True))


def test_the_ramp_is_ganin_s():
    settings = Fairness(kind="gradient_reversal", strength=3.0)
    for step in (0, 1, 50, 99):
        share = step / 100
        expected = 3.0 * (2 / (1 + math.exp(-10 * share)) - 1)
        assert reversal.strength_at(settings, step, 100) == pytest.approx(expected, rel=1e-12)
    assert reversal.strength_at(settings, 0, 100) == 0


def test_gaps_while_learning_are_fairlearn_s():
    draw = np.random.default_rng(0)
    answers, labels, groups = (draw.integers(high, size=900) for high in (2, 2, 4))
    wanted = {
        "demographic_parity": fair_metrics.demographic_parity_difference,
        "equal_opportunity": fair_metrics.equal_opportunity_difference,
        "equalized_odds": fair_metrics.equalized_odds_difference,
    }
    for name, expected in wanted.items():
        found = judging.gap(answers, labels, groups, [1], name)
        assert found == pytest.approx(expected(labels, answers, sensitive_features=groups), abs=1e-12)
    worst = min((answers == labels)[groups == group].mean() for group in range(4))
    assert judging.worst_accuracy(answers, labels, groups) == pytest.approx(worst, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "constraint"), [("demographic_parity", DemographicParity), ("equalized_odds", EqualizedOdds)]
)
def test_exponentiated_gradient_over_our_models_is_fairlearn_s_own(name, constraint):
    draw = np.random.default_rng(4)
    x = draw.normal(size=(400, 3))
    groups = (x[:, 0] + draw.normal(size=400) > 0).astype(np.int64)
    labels = (x[:, 0] + x[:, 1] + 0.5 * draw.normal(size=400) > 0.2).astype(np.int64)
    reference = ExponentiatedGradient(LogisticRegression(), constraint(difference_bound=0.025), max_iter=8)
    reference.fit(x, labels, sensitive_features=groups)
    weights = reference.weights_[reference.weights_ > 1e-6]
    expected = sum(weight * reference.predictors_[place].predict(x) for place, weight in weights.items())

    def make(targets, sample_weights):
        model = LogisticRegression().fit(x, targets, sample_weight=sample_weights)
        return Learned("linear", Table(()), np.log(model.predict_proba(x)).astype(np.float32), 4)

    maker = reductions.Maker(make, lambda one: one.outputs, np.arange(400))
    fair = Fair(Fairness(kind="exponentiated_gradient", constraint=name, gap=0.05, rounds=8),
                Groups(("a", "b"), groups, groups), ("no", "yes"))  # fmt: skip
    found = reductions.mixture(maker, labels, fair, 1, Hooks())
    drawn_answers = sum(share * one.outputs.argmax(1) for one, share in zip(found.members, found.weights, strict=True))
    assert found.error == pytest.approx(np.abs(labels - expected).mean(), abs=0.005)
    assert np.abs(drawn_answers - expected).mean() < 0.01
    gap = (
        np.ptp([drawn_answers[groups == group].mean() for group in (0, 1)])
        if name == "demographic_parity"
        else max(np.ptp([drawn_answers[(groups == group) & (labels == label)].mean() for group in (0, 1)])
                 for label in (0, 1))
    )  # fmt: skip
    plain = np.ptp([make(labels, np.ones(400)).outputs.argmax(1)[groups == group].mean() for group in (0, 1)])
    assert plain > 0.3
    assert gap <= 0.05 + 0.02


def test_the_one_model_kept_is_the_most_accurate_within_the_gap():
    assert reductions.chosen([(0.9, 0.2), (0.8, 0.04), (0.85, 0.05)], 0.05) == 2
    assert reductions.chosen([(0.9, 0.2), (0.8, 0.14)], 0.05) == 1
