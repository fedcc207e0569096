"""Elastic weights, distillation, replay and head growth against closed forms and slow references."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.tiny_training import CPU, network, plan, read
from torch import nn

from modelyard.methods import networks
from modelyard.methods.training import batching, classification
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.continual.distillation import Distilled, divergence
from modelyard.methods.training.continual.elastic import ElasticWeights, Springs, fisher_diagonal
from modelyard.methods.training.continual.heads import grown
from modelyard.methods.training.continual.replay import choose, share_out


class Plain(nn.Module):
    """Logits of one linear layer without bias."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return input_ids.float() @ self.weight


def rows_of(values: list[list[int]]) -> batching.Rows:
    names = [f"row-{place}" for place in range(len(values))]
    return batching.token_rows(values, 0, np.zeros(len(values), np.int64), names)


def quiet(done: int, total: int, what: str) -> None:
    """Nobody listens."""


def test_the_fisher_diagonal_of_logistic_regression_is_that_of_the_formula() -> None:
    torch.manual_seed(0)
    # Many copies of two rows: the mean over drawn labels comes near the expectation over them.
    values = [[1, 2], [3, 1]] * 1500
    module = Plain(torch.randn(2, 3) * 0.3)
    found = fisher_diagonal(module, rows_of(values), 3, 3000, 4, CPU, quiet)["weight"]
    expected = torch.zeros(2, 3)
    for row in ([1.0, 2.0], [3.0, 1.0]):
        x = torch.tensor(row)
        p = (x @ module.weight.detach()).softmax(0)
        # E over y of (x_i (1[y = c] - p_c))² = x_i² p_c (1 - p_c)
        expected += torch.outer(x**2, p * (1 - p)) / 2
    assert torch.allclose(found, expected, rtol=0.15)


def test_the_fisher_diagonal_is_the_mean_of_squared_gradients_of_single_rows() -> None:
    vocabulary, training, _ = read()
    module = network("cnn", vocabulary)
    found = fisher_diagonal(module, training, 2, 10**6, 1, CPU, quiet)
    # The labels that were drawn are not known outside, but with two classes both squared gradients can be had.
    low = {name: torch.zeros_like(p) for name, p in module.named_parameters()}
    high = {name: torch.zeros_like(p) for name, p in module.named_parameters()}
    module.eval()
    for row in range(len(training)):
        squares = []
        for label in (0, 1):
            module.zero_grad()
            logits = module(**training.batch(np.array([row]), CPU))
            torch.log_softmax(logits, 1)[0, label].backward()
            squares.append({name: p.grad**2 / len(training) for name, p in module.named_parameters()})
        for name in low:
            low[name] += torch.minimum(squares[0][name], squares[1][name])
            high[name] += torch.maximum(squares[0][name], squares[1][name])
    for name, value in found.items():
        assert (value >= low[name] * (1 - 1e-4) - 1e-12).all(), name
        assert (value <= high[name] * (1 + 1e-4) + 1e-12).all(), name


def test_a_row_draws_the_same_whatever_rows_are_beside_it() -> None:
    vocabulary, training, _ = read()
    module = network("cnn", vocabulary)
    some = fisher_diagonal(module, training, 2, 7, 1, CPU, quiet)
    again = fisher_diagonal(module, training, 2, 7, 1, CPU, quiet)
    other = fisher_diagonal(module, training, 2, 7, 2, CPU, quiet)
    assert all(torch.equal(some[name], again[name]) for name in some)
    assert any(not torch.equal(some[name], other[name]) for name in some)


def gradient(objective: Any, module: nn.Module, batches: list[Batch]) -> tuple[float, list[Any]]:
    """Loss and gradients of one step as the loop adds them up: sums over batches, divided by all weight."""
    module.zero_grad()
    total = sum(batch.weight for batch in batches)
    loss = sum(objective(module, batch) for batch in batches) / total
    loss.backward()
    return float(loss.detach()), [parameter.grad.clone() for parameter in module.parameters()]


def test_springs_pull_by_stiffness_times_distance_once_a_step() -> None:
    vocabulary, training, _ = read()
    module = network("cnn", vocabulary, dropout=0.0)
    rest = {name: p.detach() + 0.1 for name, p in module.named_parameters()}
    stiff = {name: torch.rand_like(p) for name, p in module.named_parameters()}
    feed = classification.RowFeed(training, training.weights, plan(), CPU)
    inner = classification.CrossEntropy()
    objective = ElasticWeights(inner, Springs(rest, stiff), 3.0)
    batches = [feed.batch(np.arange(0, 16)), feed.batch(np.arange(16, 24))]
    plain_loss, plain = gradient(inner, module, batches)
    loss, pulled = gradient(objective, module, batches)
    energy = sum(float((stiff[n] * (p - rest[n]) ** 2).sum()) / 2 for n, p in module.named_parameters())
    assert loss == pytest.approx(plain_loss + 3.0 * energy, rel=1e-4)
    for (name, parameter), before, after in zip(module.named_parameters(), plain, pulled, strict=True):
        expected = before + 3.0 * stiff[name] * (parameter.detach() - rest[name])
        assert torch.allclose(after, expected, atol=1e-5), name


@pytest.mark.parametrize("rows", [1, 5])
def test_cutting_a_batch_changes_neither_springs_nor_lessons(rows: int) -> None:
    vocabulary, training, _ = read()
    module, teacher = network("cnn", vocabulary, dropout=0.0), network("cnn", vocabulary, dropout=0.0)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.mul_(1.5)
    rest = {name: p.detach() + 0.1 for name, p in module.named_parameters()}
    stiff = {name: torch.ones_like(p) for name, p in module.named_parameters()}
    inner = Distilled(classification.CrossEntropy(), teacher, 0.7, 2.0)
    objective = ElasticWeights(inner, Springs(rest, stiff), 0.5)
    feed = classification.RowFeed(training, training.weights, plan(), CPU)
    whole = [feed.batch(np.arange(16))]
    parts = list(objective.split(whole[0], rows))
    assert len(parts) == -(-16 // rows)
    one, many = gradient(objective, module, whole), gradient(objective, module, parts)
    assert one[0] == pytest.approx(many[0], rel=1e-5)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(one[1], many[1], strict=True))


def test_the_divergence_is_the_formula_and_zero_with_its_own_answers() -> None:
    torch.manual_seed(1)
    new, old, weights = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64), torch.rand(5)
    expected = 0.0
    for row in range(5):
        p = np.exp(old[row].numpy() / 2.5)
        p /= p.sum()
        q = np.exp(new[row, :3].numpy() / 2.5)
        q /= q.sum()
        expected += 2.5**2 * float(weights[row]) * float((p * np.log(p / q)).sum())
    assert float(divergence(new, old, 2.5, weights)) == pytest.approx(expected, rel=1e-5)
    assert float(divergence(old, old, 2.5, weights)) == pytest.approx(0, abs=1e-6)


def test_at_temperature_one_the_gradient_is_the_difference_of_probabilities() -> None:
    torch.manual_seed(2)
    logits, taught = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4)
    divergence(logits, taught, 1.0, torch.ones(3)).backward()
    assert torch.allclose(logits.grad, logits.detach().softmax(1) - taught.softmax(1), atol=1e-6)


def test_the_teacher_learns_nothing() -> None:
    vocabulary, training, _ = read()
    module, teacher = network("cnn", vocabulary), network("cnn", vocabulary)
    objective = Distilled(classification.CrossEntropy(), teacher, 1.0, 2.0)
    feed = classification.RowFeed(training, training.weights, plan(), CPU)
    gradient(objective, module, [feed.batch(np.arange(8))])
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert not teacher.training


def test_replay_takes_equal_numbers_of_each_class_as_far_as_there_are() -> None:
    assert share_out(np.array([100, 5, 30]), 60).tolist() == [28, 5, 27]
    assert share_out(np.array([4, 4]), 100).tolist() == [4, 4]
    assert share_out(np.array([3, 0, 3]), 1).sum() == 1
    assert share_out(np.array([10, 10]), 0).tolist() == [0, 0]


def test_replay_is_decided_by_row_ids_not_by_their_order() -> None:
    labels = np.array([0, 1] * 50)
    names = [f"row-{place}" for place in range(100)]
    chosen = {names[place] for place in choose(labels, names, 20, 3).tolist()}
    back = np.arange(99, -1, -1)
    turned = {names[back[place]] for place in choose(labels[back], [names[p] for p in back], 20, 3).tolist()}
    assert chosen == turned
    assert len(chosen) == 20
    assert chosen != {names[place] for place in choose(labels, names, 20, 4).tolist()}


SPECS: dict[str, dict[str, Any]] = {
    "linear": {"kind": "linear", "num_features": 12, "num_labels": 2},
    "cnn": {
        "kind": "cnn",
        "vocabulary_size": 12,
        "num_labels": 2,
        "embedding": 8,
        "filters": 4,
        "widths": [2],
        "dropout": 0.0,
    },
}


@pytest.mark.parametrize("kind", ["linear", "cnn", "blend"])
def test_a_grown_head_answers_old_labels_as_before(kind: str) -> None:
    torch.manual_seed(3)
    spec = SPECS.get(kind) or {"kind": "blend", "children": [SPECS["linear"], SPECS["cnn"]], "weights": [0.4, 0.6]}
    module = networks.build(spec).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    made, wider = grown(module, spec, 2, 5)
    ids = torch.randint(1, 12, (3, 6))
    every = {
        "ngram_ids": ids, "ngram_weights": torch.rand(3, 6), "input_ids": ids, "attention_mask": torch.ones_like(ids)
    }  # fmt: skip
    inputs = {name: every[name] for name in module.input_names}
    before, after = module(**inputs), made(**inputs)
    assert after.shape == (3, 5)
    assert torch.allclose(after[:, :2], before)
    rebuilt = networks.build(wider)
    rebuilt.load_state_dict(made.state_dict())


def test_a_head_that_does_not_grow_is_an_exact_copy() -> None:
    vocabulary, _, _ = read()
    module = network("encoder", vocabulary)
    made, _ = grown(module, {"kind": "encoder"}, 2, 2)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), made.parameters(), strict=True))
    assert all(a is not b for a, b in zip(module.parameters(), made.parameters(), strict=True))
