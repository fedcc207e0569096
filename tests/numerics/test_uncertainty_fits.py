"""Calibration, conformal thresholds and abstention: against scipy, scikit-learn and mapie, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import beta, betabinom, binom
from sklearn.calibration import _sigmoid_calibration
from sklearn.isotonic import IsotonicRegression

from modelyard.methods.postprocessing import bounding, conformal, enclosing, fitting, intervals
from modelyard.methods.postprocessing.step import log_softmax
from modelyard.methods.statistics import clopper_pearson
from modelyard.methods.tasks.tabular_regression import Quantity

N = 600


def world(n=N, classes=4, sharpness=2.5, seed=0):
    """Logits that are too sure by `sharpness`, and labels drawn from the honest ones."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(n, classes)) * 1.5
    drawn = (np.exp(log_softmax(honest)).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return log_softmax(honest * sharpness), drawn


def test_temperature_is_the_optimum_of_scipy_and_near_the_truth():
    logs, actual = world(5000)
    found = fitting.temperature(logs, actual)["temperature"]
    rows = np.arange(len(actual))

    def loss(inverse):
        return -log_softmax(logs * inverse[0])[rows, actual].mean()

    best = minimize(loss, [1.0], method="Nelder-Mead", options={"xatol": 1e-12, "fatol": 1e-15}).x[0]
    assert found == pytest.approx(1 / best, rel=1e-6)
    assert found == pytest.approx(2.5, rel=0.05)


def test_a_temperature_has_limits():
    logs = log_softmax(np.array([[5.0, 0.0]] * 20))
    assert np.exp(-4) <= fitting.temperature(logs, np.zeros(20, int))["temperature"] < 1
    assert fitting.temperature(logs, np.arange(20) % 2)["temperature"] == pytest.approx(np.exp(4), rel=1e-3)


def test_platt_is_scikit_learn_s():
    logs, actual = world(classes=2)
    scores = logs[:, 1] - logs[:, 0]
    slope, shift = fitting.sigmoid(scores, actual == 1)
    a, b = _sigmoid_calibration(scores, (actual == 1).astype(float))
    assert (-a, -b) == pytest.approx((slope, shift), rel=1e-4)


def test_isotonic_is_scikit_learn_s_with_ties():
    rng = np.random.default_rng(1)
    for digits in (8, 1):
        p = rng.random(300).round(digits)
        right = rng.random(300) < p**2
        x, y = fitting.rising(p, right)
        peer = IsotonicRegression(out_of_bounds="clip").fit(p, right)
        grid = np.linspace(-0.1, 1.1, 500)
        np.testing.assert_allclose(np.interp(grid, x, y), peer.predict(grid), atol=1e-12)


def test_vector_scaling_has_no_slope_left_and_finds_what_was_done():
    logs, actual = world(20_000, classes=3)
    wrong = log_softmax(logs * np.array([1.0, 0.5, 2.0]) + np.array([0.0, 1.0, -1.0]))
    found = fitting.fit("vector", wrong, actual)
    after = fitting.applied(found, wrong)
    honest = log_softmax(logs / 2.5)
    assert fitting.losses(after, actual).mean() == pytest.approx(fitting.losses(honest, actual).mean(), abs=0.01)
    assert fitting.losses(after, actual).mean() < fitting.losses(wrong, actual).mean() - 0.1


@pytest.mark.parametrize("method", list(fitting.FITS))
def test_every_method_helps_a_model_that_is_too_sure_on_new_rows(method):
    logs, actual = world(2000)
    fresh, truth = world(2000, seed=1)
    before = fitting.losses(fresh, truth).mean()
    assert fitting.losses(fitting.applied(fitting.fit(method, logs, actual), fresh), truth).mean() < before - 0.1


@pytest.mark.parametrize("method", list(fitting.FITS))
def test_a_class_without_rows_and_a_single_class_do_no_harm(method):
    logs, _ = world(60)
    for actual in (np.zeros(60, int), np.arange(60) % 3):
        found = fitting.applied(fitting.fit(method, logs, actual), logs)
        assert np.isfinite(found).all()
        assert np.exp(found).sum(axis=1) == pytest.approx(np.ones(60))


def test_cross_fitting_never_shows_a_row_to_its_own_fit():
    logs, actual = world(100)
    folds = np.arange(100) % 5
    found = fitting.cross_fitted("isotonic", logs, actual, folds)
    one = fitting.applied(fitting.fit("isotonic", logs[folds != 3], actual[folds != 3]), logs[folds == 3])
    np.testing.assert_array_equal(found[folds == 3], one)


def test_clopper_pearson_is_the_exact_bound():
    assert clopper_pearson.upper(3, 50, 0.95) == pytest.approx(beta.ppf(0.95, 4, 47), rel=1e-12)
    bound = clopper_pearson.upper(3, 50, 0.95)
    assert binom.cdf(3, 50, bound) == pytest.approx(0.05, rel=1e-9)
    assert clopper_pearson.upper(5, 5, 0.9) == clopper_pearson.upper(0, 0, 0.9) == 1.0


def in_band(misses, trials, rate):
    low, high = binom.ppf([0.0005, 0.9995], trials, rate)
    return low <= misses <= high


def in_band_of_one_draw(misses, trials, n, alpha):
    """Of one threshold from n rows the miss rate is Beta distributed (Vovk 2012), so misses are beta-binomial."""
    rank = math.ceil((n + 1) * (1 - alpha))
    low, high = betabinom.ppf([0.0005, 0.9995], trials, n + 1 - rank, rank)
    return low <= misses <= high


@pytest.mark.parametrize("kind", conformal.SCORES)
def test_sets_cover_exactly_what_theory_says(kind):
    """Over calibration and one new row, coverage is ⌈(n + 1)(1 - α)⌉ / (n + 1) where scores have no ties."""
    trials, n, alpha = 3000, 49, 0.1
    logs, actual = world(trials * (n + 1), sharpness=3.0, seed=2)
    scores = enclosing.own_scores(np.exp(logs), actual, kind, 0.01, 2).reshape(trials, n + 1)
    rng = np.random.default_rng(3)
    scores = scores + rng.random(scores.shape) * 1e-12
    covered = sum(row[-1] <= conformal.threshold(row[:-1], alpha) for row in scores)
    assert in_band(trials - covered, trials, 1 - 45 / 50)


def test_every_class_is_covered_where_the_pooled_threshold_fails_one():
    rng = np.random.default_rng(4)
    n = 8000
    actual = rng.integers(0, 2, n)
    p = np.where(actual == 0, rng.beta(9, 1, n), rng.beta(2, 2, n))
    probabilities = np.where((actual == 0)[:, None], np.stack([p, 1 - p], 1), np.stack([1 - p, p], 1))
    scores = enclosing.own_scores(probabilities, actual, "lac", 0, 0)
    half = np.arange(n) < n // 2
    own = np.array(enclosing.by_class(scores[half], actual[half], 2, 0.1).classes)
    pooled = conformal.threshold(scores[half], 0.1)
    test, truth = scores[~half], actual[~half]
    for place in range(2):
        mine = test[truth == place]
        n = int((actual[half] == place).sum())
        assert in_band_of_one_draw(int((mine > own[place]).sum()), mine.size, n, 0.1)
    assert (test[truth == 1] > pooled).mean() > 0.15


def test_sets_are_those_of_mapie():
    from mapie.classification import SplitConformalClassifier

    logs, actual = world(800)
    probabilities = np.exp(logs)

    class Given:
        """A fitted scikit-learn classifier whose probabilities are its input."""

        classes_ = np.arange(4)
        n_features_in_ = 4

        def fit(self, x, y):
            return self

        def predict_proba(self, x):
            return np.asarray(x)

        def predict(self, x):
            return np.asarray(x).argmax(axis=1)

        def __sklearn_is_fitted__(self):
            return True

        def get_params(self, deep=True):
            return {}

    half = 400
    peer = SplitConformalClassifier(Given(), confidence_level=0.9, conformity_score="lac", prefit=True)
    peer.conformalize(probabilities[:half], actual[:half])
    found = peer.predict_set(probabilities[half:])[1][:, :, 0]
    own = enclosing.own_scores(probabilities[:half], actual[:half], "lac", 0, 0)
    ours = conformal.label_scores(probabilities[half:], "lac") <= conformal.threshold(own, 0.1) + 1e-12
    np.testing.assert_array_equal(ours, found)


def test_adaptive_scores_are_their_formula():
    """mapie's own are random in the last label; so each sum is written out here."""
    probabilities = np.exp(world(50)[0])
    aps, raps = (conformal.label_scores(probabilities, kind, 0.3, 2) for kind in ("aps", "raps"))
    for row, p in enumerate(probabilities):
        for label in range(4):
            rank = 1 + int((p > p[label]).sum())
            assert aps[row, label] == pytest.approx(p[p >= p[label]].sum(), abs=1e-12)
            assert raps[row, label] == pytest.approx(aps[row, label] + 0.3 * max(0, rank - 2), abs=1e-12)


def test_intervals_of_numbers_cover_in_every_bin_of_the_answer():
    rng = np.random.default_rng(5)
    values = rng.random(20_000) * 10
    errors = np.abs(rng.normal(size=values.size)) * (0.2 + values)  # the larger the number, the larger the error
    half = values.size // 2
    found = enclosing.by_bin(errors[:half], values[:half], 5, 0.1)
    step = intervals.open_intervals(found, ())
    reach = step.reach([Quantity(value) for value in values[half:].tolist()], [{}] * half)
    place = np.searchsorted(found["edges"], values[half:], side="right")
    for one in range(5):
        mine = place == one
        assert in_band_of_one_draw(int((errors[half:] > reach)[mine].sum()), int(mine.sum()), half // 5, 0.1)
    assert found["bins"][4] > 3 * found["bins"][0]


def test_the_error_of_given_answers_keeps_the_bound_as_often_as_promised():
    """Risk of the shipped threshold, exact by construction, above the bound in at most 10 % of the draws."""
    trials, n, bound = 300, 1500, 0.1
    broken = proven = 0
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        sure = rng.random(n)
        wrong = rng.random(n) < 0.4 * (1 - sure)  # error above t: 0.2 (1 - t)
        found = bounding.lowest(sure, wrong, rng.random(n) < bounding.ORDERING, bound, 0.9)
        if found is not None:
            proven += 1
            broken += 0.2 * (1 - found.threshold) > bound
    assert proven > 0.9 * trials
    assert broken <= binom.ppf(0.999, trials, 0.1)


def test_no_threshold_is_proven_for_a_model_that_guesses():
    rng = np.random.default_rng(0)
    sure, wrong = rng.random(500), rng.random(500) < 0.5
    assert bounding.lowest(sure, wrong, rng.random(500) < 1 / 3, 0.05, 0.95) is None
    assert bounding.lowest(sure, np.zeros(500, bool), rng.random(500) < 1 / 3, 0.05, 0.95).threshold == 0.0
