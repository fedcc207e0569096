"""The chosen threshold stays below its target no oftener than promised, whatever the true precision looks like."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binom

from modelyard.methods.evaluation.label_quality import thresholds

TARGET, LEVEL, TRIALS = 0.9, 0.1, 800
MOST = int(binom.ppf(0.999, TRIALS, LEVEL))  # more misses than this have a chance of 0.001 if the promise holds


def draw(generator, n, right_at):
    confidence = generator.beta(5, 1, n)
    return confidence, generator.random(n) < right_at(confidence)


def true_precision(threshold, right_at):
    """Precision of Beta(5, 1) confidences above a threshold, by integration."""
    grid = np.linspace(threshold, 1, 2001)[:-1]
    weight = beta.pdf(grid, 5, 1)
    return float((right_at(grid) * weight).sum() / weight.sum())


CURVES = {
    "calibrated": lambda c: c,
    "over-confident": lambda c: 0.55 + 0.4 * c,
    "just below the target": lambda c: np.full_like(c, TARGET - 1e-4),
    "a dip among the surest": lambda c: np.where(c > 0.97, 0.85, 0.97),
}


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("n", [150, 600])
def test_the_precision_of_the_chosen_threshold_is_below_the_target_no_oftener_than_promised(name, n):
    generator = np.random.default_rng(1)
    misses = 0
    for _ in range(TRIALS):
        found = thresholds.choose(*draw(generator, n, CURVES[name]), TARGET, LEVEL)
        misses += found is not None and true_precision(found, CURVES[name]) < TARGET
    assert misses <= MOST


def test_taking_the_best_looking_threshold_instead_breaks_the_promise():
    """What the tests in order are for: the mildest threshold whose observed precision is the target misses often."""
    generator = np.random.default_rng(1)
    curve, misses = CURVES["just below the target"], 0
    for _ in range(TRIALS):
        confidence, right = draw(generator, 150, curve)
        fits = [c for c in thresholds.GRID if (confidence >= c).any() and right[confidence >= c].mean() >= TARGET]
        misses += bool(fits)
    assert misses > 3 * MOST


def test_a_good_model_gets_a_threshold_and_it_lets_most_rows_through():
    generator = np.random.default_rng(0)
    confidence, right = draw(generator, 2000, lambda c: 1 - 0.3 * (1 - c))
    found = thresholds.choose(confidence, right, TARGET, 0.05)
    assert found is not None
    assert (confidence >= found).mean() > 0.9


def test_no_threshold_is_chosen_where_none_is_good_enough_or_rows_are_too_few():
    generator = np.random.default_rng(0)
    assert thresholds.choose(*draw(generator, 2000, lambda c: np.full_like(c, 0.7)), TARGET, 0.05) is None
    assert thresholds.choose(np.full(20, 0.99), np.ones(20, bool), TARGET, 0.05) is None  # 29 are needed: 0.9^29 < 0.05


def test_the_level_is_shared_out_among_classes():
    """With 29 right of 29, one class passes at 0.05; of ten classes each must pass at 0.005, which takes 51."""
    confidence, right, predicted = np.full(29, 0.99), np.ones(29, bool), np.zeros(29, np.int64)
    assert thresholds.choose(confidence, right, TARGET, 0.05) is not None
    assert thresholds.choose_by_class(predicted, confidence, right, 10, TARGET, 0.05) == [None] * 10


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (3, 17), (95, 100)])
def test_clopper_pearson_inverts_the_binomial_tests(hits, n):
    low, high = thresholds.clopper_pearson(hits, n, 0.05)
    if hits:
        assert binom.sf(hits - 1, n, low) == pytest.approx(0.025, abs=1e-9)
    if hits < n:
        assert binom.cdf(hits, n, high) == pytest.approx(0.025, abs=1e-9)


def test_an_answer_without_a_threshold_is_let_through_nowhere():
    found = thresholds.measure(np.array([0.9, 0.99]), np.array([True, True]), np.array([np.nan, 0.5]))
    assert (found.right, found.n) == (1, 1)
