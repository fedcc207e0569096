"""Intervals that adapt, against mapie and by simulation; quantiles in order; the pinball loss against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import betabinom, norm
from sklearn.metrics import mean_pinball_loss

from modelyard.methods import postprocessing
from modelyard.methods.evaluation.uncertainty import estimating
from modelyard.methods.postprocessing import conformal, enclosing, interval_fitting, intervals
from modelyard.methods.postprocessing.intervals import Difficulty, Shape
from modelyard.methods.tasks.tabular_regression import TASK, Quantity
from modelyard.methods.training.quantiles import pinball

LEVELS = (0.05, 0.5, 0.95)


def world(n, seed=0):
    """Rows whose noise grows with x; crude quantiles, too narrow by a third, and a value that is a little off."""
    rng = np.random.default_rng(seed)
    x = rng.random(n) * 4
    deviation = 0.2 + x
    y = 3 * x + rng.normal(size=n) * deviation
    quantiles = np.stack([3 * x + norm.ppf(level) * deviation * 2 / 3 for level in LEVELS])
    return x, y, 3 * x + 0.1, quantiles


def answered(values, quantiles):
    names = ("0.05", "0.5", "0.95")
    rows = zip(values.tolist(), quantiles.T.tolist(), strict=True)
    return [Quantity(value, None, dict(zip(names, row, strict=True))) for value, row in rows]


class Given:
    """A fitted scikit-learn regressor whose answer is a column of its input."""

    n_features_in_ = 5

    def __init__(self, column=0):
        self.column = column

    def fit(self, x, y):
        return self

    def predict(self, x):
        return np.asarray(x)[:, self.column]

    def __sklearn_is_fitted__(self):
        return True

    def get_params(self, deep=True):
        return {"column": self.column}

    def set_params(self, **_):
        return self


def peers(x, y, values, quantiles, hardness):
    """mapie's ends by method, fitted on the first half, of the second."""
    from mapie.conformity_scores import ResidualNormalisedScore
    from mapie.regression import ConformalizedQuantileRegressor, SplitConformalRegressor

    table, half = np.stack([values, quantiles[0], quantiles[1], quantiles[2], hardness], axis=1), len(x) // 2
    made = {
        "split": SplitConformalRegressor(Given(0), 0.9, conformity_score="absolute", prefit=True),
        "normalized": SplitConformalRegressor(
            Given(0), 0.9, conformity_score=ResidualNormalisedScore(Given(4), prefit=True), prefit=True
        ),
        "cqr": ConformalizedQuantileRegressor([Given(1), Given(3), Given(2)], 0.9, prefit=True),
    }
    found = {}
    for name, peer in made.items():
        peer.conformalize(table[:half], y[:half])
        more = {"symmetric_correction": True} if name == "cqr" else {}
        found[name] = peer.predict_interval(table[half:], **more)[1][:, :, 0].T
    return found


def test_intervals_are_those_of_mapie():
    x, y, values, quantiles = world(800)
    half, answers = 400, answered(values, quantiles)
    hardness = quantiles[2] - quantiles[0]
    wanted = peers(x, y, values, quantiles, hardness)
    shapes = {
        "split": Shape(),
        "normalized": Shape("normalized", Difficulty(1e-12, "0.05", "0.95")),
        "cqr": Shape("cqr", None, "0.05", "0.95"),
    }
    for name, shape in shapes.items():
        found = conformal.threshold(shape.scores(answers[:half], y[:half]), 0.1)
        ours = shape.ends(answers[half:], np.full(400, found))
        np.testing.assert_allclose(np.stack(ours), wanted[name], rtol=0, atol=1e-12, err_msg=name)
        step = intervals.open_intervals({**shape.to_json(), "threshold": found}, ())
        shipped = [one.interval for one in step.answers(answers[half:], np.empty((400, 4)), [{}] * 400)]
        np.testing.assert_allclose(np.array(shipped).T, wanted[name], rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("method", intervals.METHODS)
@pytest.mark.parametrize("learned", [LEVELS, ()])
def test_every_method_covers_as_often_as_it_promises(method, learned):
    if method == "cqr" and not learned:
        with pytest.raises(ValueError, match="no quantile"):
            interval_fitting.shape(method, [], np.empty(0), (), 0.1, np.empty(0, bool))
        return
    n, alpha = 2000, 0.1
    _, y, values, quantiles = world(2 * n, seed=3)
    answers = answered(values, quantiles)
    ordering = np.arange(n) % 3 == 0
    shape, left = interval_fitting.shape(method, answers[:n], y[:n], learned, alpha, ordering)
    assert left.sum() == (n if learned or method == "split" else n - ordering.sum())
    found = conformal.threshold(shape.scores(answers[:n], y[:n])[left], alpha)
    low, high = shape.ends(answers[n:], np.full(n, found))
    misses, rows = int(((y[n:] < low) | (y[n:] > high)).sum()), int(left.sum())
    rank = math.ceil((rows + 1) * (1 - alpha))
    least, most = betabinom.ppf([0.0005, 0.9995], n, rows + 1 - rank, rank)
    assert least <= misses <= most


def test_adaptive_intervals_cover_the_hard_rows_that_one_width_misses():
    n = 6000
    x, y, values, quantiles = world(2 * n, seed=5)
    answers, hard = answered(values, quantiles), x[n:] > 3
    covered, width = {}, {}
    for name, method, learned in (
        ("split", "split", ()), ("curve", "normalized", ()), ("spread", "normalized", LEVELS), ("cqr", "cqr", LEVELS)
    ):  # fmt: skip
        shape, left = interval_fitting.shape(method, answers[:n], y[:n], learned, 0.1, np.arange(n) % 3 == 0)
        found = conformal.threshold(shape.scores(answers[:n], y[:n])[left], 0.1)
        low, high = shape.ends(answers[n:], np.full(n, found))
        covered[name] = ((low <= y[n:]) & (y[n:] <= high))[hard].mean()
        width[name] = (high - low).mean()
    assert covered["split"] < 0.8
    assert min(covered[name] for name in ("curve", "spread")) > 0.87
    assert covered["cqr"] > covered["split"] + 0.05  # one shift of quantiles that are all too narrow by a third
    assert max(width[name] for name in ("curve", "spread", "cqr")) < width["split"]


def test_quantiles_are_put_in_order_and_read_behind_the_value():
    chain = postprocessing.load([{"kind": "quantiles", "levels": [0.1, 0.5, 0.9]}], "tabular-regression", ())
    outputs = np.array([[1.0, 3.0, 2.0, 2.5], [5.0, 4.0, 5.0, 6.0]], np.float32)
    assert chain.extra == 3
    found = chain.answers(TASK.answers(outputs, ()), outputs, [{}, {}])
    assert [one.value for one in found] == [1.0, 5.0]
    assert found[0].quantiles == {"0.1": 2.0, "0.5": 2.5, "0.9": 3.0}
    assert found[1].to_json() == {"value": 5.0, "quantiles": {"0.1": 4.0, "0.5": 5.0, "0.9": 6.0}}
    stored = TASK.stored(found[1])
    assert TASK.distance(found[1], stored) == 0
    assert TASK.distance(found[0], stored) > 0
    assert TASK.distance(Quantity(5.0), stored) == math.inf


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"kind": "quantiles", "levels": [0.9, 0.1]}, "do not rise"),
        ({"kind": "quantiles", "levels": [0.0, 0.5]}, "do not rise"),
        ({"kind": "quantiles", "levels": "all"}, "no list"),
        ({"kind": "conformal_interval", "threshold": 1.0, "method": "magic"}, "`method` is none of"),
        ({"kind": "conformal_interval", "threshold": 1.0, "method": "cqr"}, "no two levels"),
        ({"kind": "conformal_interval", "threshold": 1.0, "method": "normalized"}, "is missing"),
        (
            {"kind": "conformal_interval", "threshold": 1.0, "method": "normalized",
             "difficulty": {"floor": 0, "x": [1], "y": [1]}},
            "`floor` is 0",
        ),
        (
            {"kind": "conformal_interval", "threshold": 1.0, "method": "normalized",
             "difficulty": {"floor": 1, "x": [2, 1], "y": [1, 1]}},
            "do not rise",
        ),
    ],
)  # fmt: skip
def test_broken_numbers_are_refused(settings, problem):
    from modelyard.errors import InputError

    with pytest.raises(InputError, match=problem):
        postprocessing.load([settings], "tabular-regression", ())


def test_an_interval_moved_in_past_itself_is_its_middle():
    shape = Shape("cqr", None, "0.05", "0.95")
    low, high = shape.ends(answered(np.array([1.0]), np.array([[1.0], [1.0], [2.0]])), np.array([-3.0]))
    assert low == high == pytest.approx([1.5])


def test_the_levels_nearest_to_the_error_are_taken():
    assert interval_fitting.outer([0.01, 0.05, 0.5, 0.9, 0.99], 0.1) == ("0.05", "0.99")
    assert interval_fitting.outer([0.5, 0.9], 0.1) is None


def test_pinball_is_scikit_learn_s():
    rng = np.random.default_rng(0)
    y, q = rng.normal(size=50), rng.normal(size=(50, 2))
    found = pinball(torch.from_numpy(q), torch.from_numpy(y), (0.1, 0.8)).numpy()
    wanted = mean_pinball_loss(y, q[:, 0], alpha=0.1) + mean_pinball_loss(y, q[:, 1], alpha=0.8)
    assert found.mean() == pytest.approx(wanted, rel=1e-6)


def test_the_interval_score_is_least_for_the_true_quantiles():
    rng = np.random.default_rng(1)
    y = rng.normal(size=20_000)
    ends = norm.ppf(0.95)
    score = {k: estimating.interval_scores(-k * ends * np.ones(y.size), k * ends * np.ones(y.size), y, 0.1).mean()
             for k in (0.8, 1.0, 1.2)}  # fmt: skip
    assert score[1.0] < min(score[0.8], score[1.2])
    one = estimating.interval_scores(np.array([0.0]), np.array([1.0]), np.array([1.5]), 0.1)
    assert one == pytest.approx([1 + 20 * 0.5])


def test_rows_fall_into_parts_by_what_their_answer_encloses():
    parts = estimating.by_size(np.array([1.0, 2, 9, 6, 1]), "labels")
    assert {name["labels"]: rows.tolist() for name, rows in parts} == {
        "1": [True, False, False, False, True],
        "2": [False, True, False, False, False],
        "6 or more": [False, False, True, True, False],
    }
    widths = estimating.by_size(np.arange(100.0), "width")
    assert [int(rows.sum()) for _, rows in widths] == [20] * 5
    assert estimating.by_size(np.full(9, 2.0), "width") == []


@pytest.mark.parametrize(("method", "learned"), [("cqr", LEVELS), ("normalized", LEVELS), ("normalized", ())])
def test_every_bin_of_the_expected_width_covers_as_often_as_it_promises(method, learned):
    n, alpha, bins = 6000, 0.1, 5
    _, y, values, quantiles = world(2 * n, seed=7)
    answers = answered(values, quantiles)
    ordering = np.arange(n) % 3 == 0
    shape, left = interval_fitting.shape(method, answers[:n], y[:n], learned, alpha, ordering)
    scores, expected = shape.scores(answers[:n], y[:n])[left], intervals.placing("width", shape, answers[:n])[left]
    found = enclosing.by_bin(scores, expected, bins, alpha)
    step = intervals.open_intervals({**shape.to_json(), **found, "binned": "width"}, ())
    ends = np.array([one.interval for one in step.answers(answers[n:], np.empty((n, 4)), [{}] * n)])
    missed = (y[n:] < ends[:, 0]) | (y[n:] > ends[:, 1])
    fitted = np.searchsorted(found["edges"], expected, side="right")
    asked = np.searchsorted(found["edges"], intervals.placing("width", shape, answers[n:]), side="right")
    for place in range(bins):
        rows, new = int((fitted == place).sum()), int((asked == place).sum())
        rank = math.ceil((rows + 1) * (1 - alpha))
        least, most = betabinom.ppf([0.0001, 0.9999], new, rows + 1 - rank, rank)
        assert least <= missed[asked == place].sum() <= most
    if method == "cqr":  # one shift for all covers the widest rows too seldom
        low, high = shape.ends(answers[n:], np.full(n, conformal.threshold(scores, alpha)))
        widest = asked == bins - 1
        assert ((low <= y[n:]) & (y[n:] <= high))[widest].mean() < 0.87
        assert 1 - missed[widest].mean() > 0.87


def test_bins_of_the_width_need_a_method_with_several_widths():
    with pytest.raises(ValueError, match="several"):
        intervals.open_intervals({"method": "split", "threshold": 1.0, "edges": [0.0], "bins": [1.0, 2.0],
                                  "binned": "width"}, ())  # fmt: skip
    with pytest.raises(ValueError, match="one width"):
        intervals.placing("width", Shape(), answered(np.zeros(1), np.zeros((3, 1))))
    old = intervals.open_intervals({"threshold": 1.0, "edges": [0.0], "bins": [1.0, 2.0]}, ())
    assert [one.interval for one in old.answers(answered(np.array([-1.0, 1.0]), np.zeros((3, 2))), np.empty((2, 4)),
                                                [{}] * 2)] == [(-2.0, 0.0), (-1.0, 3.0)]  # fmt: skip
