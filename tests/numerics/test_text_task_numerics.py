"""Objectives and decoding of text tasks against slow references: sums over all paths, scikit-learn, autograd alone."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from modelyard.methods.data.marked_spans import Span
from modelyard.methods.tasks import chains, tags
from modelyard.methods.tasks.text_multi_label import sigmoid
from modelyard.methods.training.text_tasks import labels, numbers, span_losses, span_rows
from modelyard.methods.training.text_tasks.settings import NumberLoss

NAMES = tags.tag_names(["a", "b"])
DRAW = np.random.default_rng(7)


def is_valid(path: tuple[int, ...], first_free: bool = False) -> bool:
    """Slowly: I-x stands behind B-x or I-x."""
    for place, tag in enumerate(path):
        name = NAMES[tag]
        if name.startswith("I-"):
            before = NAMES[path[place - 1]] if place else ("O" if not first_free else name)
            if before[2:] != name[2:] or before == "O":
                return False
    return True


def weight(path: tuple[int, ...], scores: np.ndarray, moves: np.ndarray) -> float:
    total = sum(scores[place, tag] for place, tag in enumerate(path))
    return math.exp(total + sum(moves[one, two] for one, two in itertools.pairwise(path)))


def all_paths(length: int, first_free: bool = False) -> list[tuple[int, ...]]:
    paths = itertools.product(range(len(NAMES)), repeat=length)
    return [path for path in paths if is_valid(path, first_free)]


@pytest.mark.parametrize("length", [1, 2, 4])
def test_sums_best_path_and_span_probabilities_are_those_of_all_paths(length: int) -> None:
    scores, moves = DRAW.normal(size=(length, 5)), DRAW.normal(size=(5, 5))
    chain = chains.Chain.of(NAMES, moves)
    weights = {path: weight(path, scores, moves) for path in all_paths(length)}
    total = sum(weights.values())
    found = chains.sums(chain, scores)
    assert found.total == pytest.approx(math.log(total))
    assert chains.total(chain, scores) == pytest.approx(math.log(total))
    best = max(weights, key=lambda path: weights[path])
    assert chains.best_path(chain, scores) == list(best)
    assert chains.path_score(chain, scores, best) == pytest.approx(math.log(weights[best]))
    for start, stop in itertools.combinations(range(length + 1), 2):
        for label in ("a", "b"):
            slow = sum(one for path, one in weights.items() if (start, stop, label) in set(tags.runs(path, NAMES)))
            fast = chains.span_probability(chain, scores, found, start, stop, label)
            assert fast == pytest.approx(slow / total, abs=1e-12)


def test_the_chain_loss_is_minus_the_logarithm_of_the_paths_share_and_ignores_padding() -> None:
    lengths, prefix = [3, 1, 2], 1
    network = torch.nn.Identity()
    module = span_losses.Chained(network, NAMES)
    with torch.no_grad():
        module.transitions.copy_(torch.from_numpy(DRAW.normal(size=(5, 5))))
    scores = torch.from_numpy(DRAW.normal(size=(3, 6, 5))).float()
    goals = [(0, 1, 2), (3,), (2, 2)]
    tagged = torch.full((3, 6), span_rows.IGNORED)
    for row, path in enumerate(goals):
        tagged[row, prefix : prefix + len(path)] = torch.tensor(path)
    found = span_losses.ChainLoss(prefix).of(scores, tagged, module.moves()).detach()
    moves = module.transitions.detach().numpy()
    for row, (path, length) in enumerate(zip(goals, lengths, strict=True)):
        some = scores[row, prefix : prefix + length].double().numpy()
        weights = {one: weight(one, some, moves) for one in all_paths(length, first_free=True)}
        assert float(found[row]) == pytest.approx(math.log(sum(weights.values()) / weights[path]), rel=1e-5)
    changed = scores.clone()
    changed[1, prefix + 1 :] = 1e3
    assert torch.equal(found[1], span_losses.ChainLoss(prefix).of(changed, tagged, module.moves())[1].detach())


def test_the_gradient_of_the_chain_loss_is_expected_minus_seen() -> None:
    """The gradient by the scores is the probability of each tag minus what was seen (Lafferty et al. 2001)."""
    module = span_losses.Chained(torch.nn.Identity(), NAMES)
    scores = torch.from_numpy(DRAW.normal(size=(1, 3, 5))).requires_grad_()
    span_losses.ChainLoss(0).of(scores, torch.tensor([[1, 2, 0]]), module.moves()).sum().backward()
    some = scores.detach().numpy()[0]
    weights = {path: weight(path, some, np.zeros((5, 5))) for path in all_paths(3, first_free=True)}
    expected = np.zeros((3, 5))
    for path, one in weights.items():
        expected[np.arange(3), list(path)] += one / sum(weights.values())
    expected[np.arange(3), [1, 2, 0]] -= 1
    assert scores.grad.numpy()[0] == pytest.approx(expected, abs=1e-6)


def test_token_cross_entropy_is_the_mean_of_what_is_no_padding() -> None:
    scores = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(1))
    goal = torch.tensor([[-100, 1, 2, -100], [-100, 0, -100, -100]])
    found = span_losses.TokenCrossEntropy(0.1).of(scores, goal)
    for row in range(2):
        slow = 0.0
        for place in range(4):
            if goal[row, place] >= 0:
                log = scores[row, place].double().log_softmax(0)
                slow -= float(0.9 * log[goal[row, place]] + 0.1 * log.mean())
        assert float(found[row]) == pytest.approx(slow, rel=1e-5)


@pytest.mark.parametrize(("smoothing", "gamma"), [(0.0, None), (0.2, None), (0.0, 2.0), (0.1, 0.0)])
def test_the_loss_of_labels_and_its_gradient(smoothing: float, gamma: float | None) -> None:
    logits = torch.from_numpy(DRAW.normal(scale=3, size=(4, 3))).requires_grad_()
    truth = torch.from_numpy(DRAW.integers(2, size=(4, 3)).astype(np.float64))
    weights, rows = torch.tensor([1.0, 5.0, 0.5]), torch.tensor([1.0, 2.0, 0.0, 3.0])
    objective = labels.BinaryCrossEntropy(weights, smoothing, gamma)
    loss = objective.of(logits.float(), truth, rows)
    loss.backward()

    def slow(x: np.ndarray) -> float:
        total = 0.0
        for row in range(4):
            for label in range(3):
                p = 1 / (1 + math.exp(-x[row, label]))
                goal = float(truth[row, label]) * (1 - smoothing) + smoothing / 2
                power = gamma or 0.0
                yes, no = (1 - p) ** power * math.log(p), p**power * math.log(1 - p)
                total -= float(rows[row]) * (float(weights[label]) * goal * yes + (1 - goal) * no) / 3
        return total

    start = logits.detach().numpy()
    assert float(loss) == pytest.approx(slow(start), rel=1e-5)
    for row, label in itertools.product(range(4), range(3)):
        step = np.zeros((4, 3))
        step[row, label] = 1e-5
        numeric = (slow(start + step) - slow(start - step)) / 2e-5
        assert float(logits.grad[row, label]) == pytest.approx(numeric, abs=1e-4)


def test_extreme_scores_of_labels_stay_finite() -> None:
    logits = torch.tensor([[80.0, -80.0]], requires_grad=True)
    for gamma in (None, 2.0):
        loss = labels.BinaryCrossEntropy(torch.ones(2), gamma=gamma).of(
            logits, torch.tensor([[0.0, 1.0]]), torch.ones(1)
        )
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(logits.grad).all()
    assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]


def test_f1_is_scikit_learns() -> None:
    answers, truth = DRAW.random((60, 4)) > 0.6, DRAW.random((60, 4)) > 0.5
    found = labels.f1(answers, truth)
    assert found["f1_micro"] == pytest.approx(f1_score(truth, answers, average="micro"))
    assert found["f1_macro"] == pytest.approx(f1_score(truth, answers, average="macro"))


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_is_the_best_of_all(seed: int) -> None:
    draw = np.random.default_rng(seed)
    scores, truth = np.round(draw.random(40), 1), draw.random(40) > 0.6
    chosen = labels.best_threshold(scores, truth)
    every = [f1_score(truth, scores >= cut, zero_division=0) for cut in np.linspace(0, 1, 401)]
    assert f1_score(truth, scores >= chosen) == pytest.approx(max(every))


@pytest.mark.parametrize("name", ["squared", "absolute", "huber"])
def test_losses_of_numbers_are_those_of_torch(name: str) -> None:
    objective = numbers.ErrorLoss(NumberLoss(name=name, delta=0.7))
    answers = torch.linspace(-3, 3, 21).reshape(-1, 1).requires_grad_()
    values, rows = torch.zeros(21), torch.linspace(0, 2, 21)
    loss = objective.of(answers, values, rows)
    theirs = {
        "squared": torch.nn.functional.mse_loss,
        "absolute": torch.nn.functional.l1_loss,
        "huber": lambda x, y, reduction: torch.nn.functional.huber_loss(x, y, reduction=reduction, delta=0.7),
    }[name]
    wanted = (rows * theirs(answers[:, 0], values, reduction="none")).sum()
    assert float(loss) == pytest.approx(float(wanted), rel=1e-6)
    assert torch.allclose(*(torch.autograd.grad(one, answers, retain_graph=True)[0] for one in (loss, wanted)))


def test_a_last_layer_put_back_answers_in_the_unit() -> None:
    head = torch.nn.Linear(4, 1)
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    before = head(x).detach()
    numbers.put_back(head, numbers.Unit(50.0, 8.0))
    assert torch.allclose(head(x), before * 8 + 50, atol=1e-4)


def test_tags_of_spans_and_back() -> None:
    offsets = [(0, 2), (3, 5), (5, 6), (7, 9)]
    found = tags.tag([Span(0, 2, "a"), Span(3, 6, "b"), Span(8, 9, "a")], offsets, NAMES)
    assert [NAMES[tag] for tag in found.tags] == ["B-a", "B-b", "I-b", "B-a"]
    assert (found.blurred, found.lost) == (1, 0)
    assert list(tags.runs(found.tags, NAMES)) == [(0, 1, "a"), (1, 3, "b"), (3, 4, "a")]
    assert tags.tag([Span(6, 7, "a")], offsets, NAMES).lost == 1
    assert list(tags.runs([0, 1, 1, 0], NAMES)) == [(1, 2, "a"), (2, 3, "a")]
