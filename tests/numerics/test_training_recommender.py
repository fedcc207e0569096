"""Recommender networks, their penalty and the area under the curve against slow references."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from modelyard.methods import networks
from modelyard.methods.training import fixed
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.recommender import columns, work

SIZES = [4, 5, 3]
NUMBERS = torch.tensor([[0.5, -1.0], [2.0, 0.0], [0.1, 0.2]])
CATEGORIES = torch.tensor([[0, 1, 0], [3, 4, 2], [2, 0, 1]])


def network(kind: str, num_outputs: int) -> Any:
    torch.manual_seed(3)
    spec = {
        "kind": kind,
        "num_numbers": 2,
        "sizes": SIZES,
        "num_ids": 2,
        "num_outputs": num_outputs,
        "width": 3,
        "hidden": [6, 4],
        "crosses": 2,
        "rank": 2,
    }
    module = networks.build(spec).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    return module.requires_grad_(False)


def looked_up(table: torch.Tensor, row: int) -> list[torch.Tensor]:
    """Rows of a table of all codes; nothing (0) in the first two columns is somebody unknown (1)."""
    codes = CATEGORIES[row].tolist()
    codes[:2] = [max(1, code) for code in codes[:2]]
    return [table[sum(SIZES[:place]) + code] for place, code in enumerate(codes)]


def test_a_factorisation_machine_is_its_sum_over_pairs() -> None:
    module = network("factorization", 3)
    outputs = module(NUMBERS, CATEGORIES)
    for row in range(3):
        vectors = looked_up(module.codes.rows, row)
        vectors += [NUMBERS[row, place] * module.numbers[place] for place in range(2)]
        weights = looked_up(module.wide.codes.rows, row)
        linear = module.wide.bias + sum(weights) + NUMBERS[row] @ module.wide.numbers
        for output in range(3):
            here = [vector[3 * output : 3 * output + 3] for vector in vectors]
            pairs = sum(float(one @ other) for one, other in combinations(here, 2))
            assert float(outputs[row, output]) == pytest.approx(float(linear[output]) + pairs, rel=1e-4)
    wide = sum(float(part.square().sum()) for part in [*weights, *(NUMBERS[2, :, None] * module.wide.numbers)])
    own = sum(float(vector.square().sum()) for vector in vectors)
    assert float(module.squares(NUMBERS, CATEGORIES)[2]) == pytest.approx(wide + own, rel=1e-5)


def test_a_cross_network_is_its_formula() -> None:
    module = network("dcn", 3)
    row = 1
    first = torch.cat([*looked_up(module.codes.rows, row), NUMBERS[row]])
    x = first
    for cross in module.crosses:
        u, v, b = cross.leave.weight, cross.enter.weight, cross.leave.bias
        x = first * (u @ (v @ x) + b) + x
    deep = first
    for place in (0, 3):
        deep = torch.relu(module.hidden[place].weight @ deep + module.hidden[place].bias)
    wanted = module.head.weight @ torch.cat([x, deep]) + module.head.bias
    assert module(NUMBERS, CATEGORIES)[row].tolist() == pytest.approx(wanted.tolist(), rel=1e-4)


def test_wide_and_deep_is_the_sum_of_its_parts() -> None:
    module = network("wide_deep", 3)
    row = 2
    deep = torch.cat([*looked_up(module.codes.rows, row), NUMBERS[row]])
    for place in (0, 3):
        deep = torch.relu(module.hidden[place].weight @ deep + module.hidden[place].bias)
    wide = module.wide.bias + sum(looked_up(module.wide.codes.rows, row)) + NUMBERS[row] @ module.wide.numbers
    wanted = wide + module.head.weight @ deep + module.head.bias
    assert module(NUMBERS, CATEGORIES)[row].tolist() == pytest.approx(wanted.tolist(), rel=1e-4)


@pytest.mark.parametrize("kind", work.KINDS)
def test_two_classes_have_one_logit_and_a_quantity_its_unit_and_bounds(kind: str) -> None:
    two = network(kind, 2)(NUMBERS, CATEGORIES)
    assert two.shape == (3, 2)
    assert (two[:, 0] == 0).all()
    module = network(kind, 1)
    plain = module(NUMBERS, CATEGORIES)
    module.answer.measure(3.0, 2.0, 2.5, 3.5)
    assert torch.equal(module(NUMBERS, CATEGORIES), (2 * plain + 3).clamp(2.5, 3.5))
    module.train()
    assert torch.allclose(module(NUMBERS, CATEGORIES), 2 * plain + 3)


def test_the_loss_is_the_error_in_units_of_the_variance_and_the_penalty_by_weight() -> None:
    module = network("factorization", 1)
    weights, values = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([1.0, 2.0, 3.0])
    batch = Batch({"numbers": NUMBERS, "categories": CATEGORIES}, {"weights": weights, "values": values})
    loss = work.Penalised(fixed.SquaredError(), 0.3, 0.25)(module, batch)
    errors = (module(NUMBERS, CATEGORIES)[:, 0] - values).square()
    wanted = (weights * (0.25 * errors + 0.3 * module.squares(NUMBERS, CATEGORIES))).sum()
    assert float(loss) == pytest.approx(float(wanted), rel=1e-6)


def test_the_area_under_the_curve_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    draw = np.random.default_rng(5)
    positive = draw.random(500) < 0.3
    answers = np.round(draw.normal(size=500) + positive, 1)
    assert work.auc(answers, positive) == pytest.approx(roc_auc_score(positive, answers))
    low, high = work.auc_interval(answers, positive, 0)
    assert low < work.auc(answers, positive) < high
    assert work.auc(answers, np.ones(500, bool)) == 0.5


def test_columns_that_are_the_items_own_are_found() -> None:
    table = pa.table(
        {
            "item": ["a", "b", "a", "b", "a"],
            "genre": ["x", "y", "x", "y", "x"],
            "hour": [1, 2, 3, 2, 1],
            "partly": ["p", None, None, None, "p"],
            "nothing": [None, None, None, None, None],
        }
    )
    found = columns.constant_columns(table, "item", ["genre", "hour", "partly", "nothing"])
    assert found == ["genre", "nothing"]


def test_hidden_rows_are_a_function_of_seed_and_epoch_alone() -> None:
    arrays = {"numbers": np.zeros((1000, 0), np.float32), "categories": np.full((1000, 3), 2, np.int64)}
    rows = np.arange(1000)
    first = work._Hiding(arrays, 0.1, 7)
    epoch = [first(rows, one)["categories"].clone() for one in (0, 1, 0)]
    assert torch.equal(epoch[0], epoch[2])
    assert not torch.equal(epoch[0], epoch[1])
    some = work._Hiding(arrays, 0.1, 7)(rows[500:], 1)["categories"]
    assert torch.equal(some, epoch[1][500:])
    shares = (epoch[0] == 1).float().mean(0)
    assert shares[:2].tolist() == pytest.approx([0.1, 0.1], abs=0.04)
    assert shares[2] == 0
