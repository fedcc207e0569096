"""Fits of ensembles against slow or independent references."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from modelyard.methods.runtimes.combination import Combination
from modelyard.methods.training.combining import ensembles, fitting, scoring
from modelyard.methods.training.combining.ensembles import Recipe
from modelyard.methods.training.combining.outputs import Outputs


def classes(rows: int = 400, seed: int = 0, sharpness=(2.0, 1.0, 0.3), num_classes: int = 3):
    """Probabilities [members, rows, classes] of members that know more or less, and the targets."""
    draw = np.random.default_rng(seed)
    targets = draw.integers(num_classes, size=rows)
    found = []
    for sharp in sharpness:
        logits = draw.normal(size=(rows, num_classes))
        logits[np.arange(rows), targets] += sharp
        found.append(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    return np.stack(found), targets


def values(rows: int = 300, seed: int = 0):
    draw = np.random.default_rng(seed)
    targets = 40 + 10 * draw.normal(size=rows)
    return np.stack(
        [targets + draw.normal(size=rows) * noise + shift for noise, shift in ((3, 0), (5, 1), (9, -2))]
    ), targets


def outputs(members, targets, units=None) -> Outputs:
    names = tuple(f"row-{place}" for place in range(len(targets)))
    return Outputs(members, targets, names, units or names, (), ())


def simplex(step: float = 0.02):
    grid = np.arange(0, 1 + 1e-9, step)
    return [(a, b, 1 - a - b) for a, b in itertools.product(grid, grid) if a + b <= 1 + 1e-9]


def test_fitted_weights_of_probabilities_are_the_best_on_a_grid():
    members, targets = classes()
    weights = fitting.pool_weights(members, targets)
    rows = np.arange(len(targets))

    def loss(w):
        return -np.log(np.tensordot(np.array(w), members, 1)[rows, targets]).mean()

    best = min(simplex(), key=loss)
    assert loss(weights) <= loss(best) + 1e-9
    np.testing.assert_allclose(weights, best, atol=0.02)
    assert weights.sum() == pytest.approx(1)


def test_fitted_weights_of_logarithms_make_the_gradient_vanish():
    members, targets = classes()
    weights = fitting.log_pool_weights(members, targets)

    def loss(w):
        return scoring.row_losses(np.tensordot(w, np.log(members), 1), targets).mean()

    for place in range(3):
        moved = weights.copy()
        moved[place] += 1e-4
        slope = (loss(moved) - loss(weights)) / 1e-4
        assert abs(slope) < 1e-3 if weights[place] > 1e-6 else slope > -1e-3


def test_fitted_weights_of_numbers_are_the_best_on_a_grid():
    members, targets = values()
    weights = fitting.mean_weights(members, targets)

    def loss(w):
        return ((np.array(w) @ members - targets) ** 2).mean()

    best = min(simplex(0.01), key=loss)
    assert loss(weights) <= loss(best) + 1e-9
    np.testing.assert_allclose(weights, best, atol=0.01)


def test_a_stack_of_classes_is_ridge_logistic_regression():
    """The same objective, minimised by torch from its own gradients."""
    import torch

    members, targets = classes(120)
    strength = 0.05
    stack = fitting.stack_of_classes(members, targets, strength)
    x = torch.tensor(np.log(members).transpose(1, 0, 2).reshape(120, 9))
    prior = torch.tensor(np.tile(np.eye(3), 3) / 3)
    weight = prior.clone().requires_grad_()
    bias = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=2000, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(x @ weight.T + bias, torch.tensor(targets))
        loss = loss + strength / 2 * (((weight - prior) ** 2).sum() + (bias**2).sum())
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(stack.weight, weight.detach().numpy(), atol=1e-4)
    np.testing.assert_allclose(stack.bias, bias.detach().numpy(), atol=1e-4)


def test_a_stack_of_numbers_solves_the_ridge_equations():
    from sklearn.linear_model import Ridge

    members, targets = values()
    strength = 0.2
    stack = fitting.stack_of_numbers(members, targets, strength)
    ridge = Ridge(alpha=strength * len(targets) * targets.var())
    ridge.fit(members.T, targets - members.mean(0))
    np.testing.assert_allclose(stack.weight[0], ridge.coef_ + 1 / 3, rtol=1e-8)
    np.testing.assert_allclose(stack.bias[0], ridge.intercept_, rtol=1e-8)


def test_greedy_selection_is_the_slow_one():
    members, targets = classes(80, sharpness=(1.2, 1.0, 0.8, 0.1))

    def loss(picked):
        mean = members[list(picked)].mean(0)
        return -np.log(mean[np.arange(80), targets]).mean()

    picked, path = [], []
    for _ in range(12):
        picked = min(([*picked, place] for place in range(4)), key=loss)
        path.append(list(picked))
    best = min(path, key=loss)
    wanted = np.bincount(best, minlength=4) / len(best)
    np.testing.assert_allclose(fitting.greedy_weights(members, targets, 12, "loss"), wanted)


def test_greedy_selection_by_accuracy_settles_equals_by_loss():
    members, targets = classes(60)
    weights = fitting.greedy_weights(members, targets, 20, "accuracy")
    right = (np.tensordot(weights, members, 1).argmax(1) == targets).mean()
    assert right >= max((one.argmax(1) == targets).mean() for one in members)


@pytest.mark.parametrize("recipe", [Recipe("stack"), Recipe(weights="fitted"), Recipe(select="greedy")])
def test_the_score_of_what_was_fitted_is_of_rows_left_out(recipe):
    """Members that know nothing: what is fitted must not look better than chance on its own rows."""
    members, targets = classes(60, 1, (0.0,) * 6, 2)
    found = ensembles.combine(recipe, outputs(members, targets), 0)
    folds = outputs(members, targets).folds(recipe.folds, 0)
    for fold in range(recipe.folds):
        held = folds == fold
        one = ensembles.fit(recipe, members[:, ~held], targets[~held], folds[~held])
        np.testing.assert_allclose(found.scores[held], fitting.combined(one, members[:, held]))
    refit = ensembles.fit(recipe, members, targets, folds)
    own = scoring.row_losses(fitting.combined(refit, members), targets).mean()
    assert own < scoring.row_losses(found.scores, targets).mean()


def test_folds_depend_on_names_alone_and_keep_groups_whole():
    members, targets = classes(50)
    units = tuple(f"group-{place % 12}" for place in range(50))
    one = outputs(members, targets, units).folds(4, 7)
    for unit in set(units):
        assert len({fold for fold, own in zip(one, units, strict=True) if own == unit}) == 1
    order = np.random.default_rng(0).permutation(50)
    moved = outputs(members[:, order], targets[order], tuple(units[place] for place in order)).folds(4, 7)
    np.testing.assert_array_equal(moved, one[order])


def test_a_useless_member_gets_no_weight_and_is_left_out():
    members, targets = classes(2000, 3, (3.0, -2.0))
    found = ensembles.combine(Recipe(weights="fitted"), outputs(members, targets), 0)
    assert found.kept == (0,)
    assert found.best == 0


def test_equal_weights_are_the_plain_mean_and_nothing_is_fitted():
    members, targets = values()
    found = ensembles.combine(Recipe(), outputs(members, targets), 0)
    np.testing.assert_allclose(found.scores, members.mean(0))
    assert found.combination.weights is None
    np.testing.assert_allclose(Combination("average").values(members), members.mean(0))
