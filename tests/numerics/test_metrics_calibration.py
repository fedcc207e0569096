"""Log-loss, Brier score, reliability bins and ECE with its null band."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from modelyard.methods.evaluation.calibration import brier_scores, ece_null_band, log_losses, reliability


@pytest.fixture
def answers():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), 300)
    actual = np.array([generator.choice(4, p=row) for row in probabilities])
    return actual, probabilities


def test_log_loss_equals_scikit_learn_s_also_at_probability_0_and_1(answers):
    actual, probabilities = answers
    probabilities = probabilities.copy()
    probabilities[0] = np.eye(4)[actual[0]]
    probabilities[1] = np.eye(4)[(actual[1] + 1) % 4]
    expected = metrics.log_loss(actual, probabilities, labels=range(4))
    assert log_losses(actual, probabilities).mean() == pytest.approx(expected, abs=1e-12)
    assert np.isfinite(log_losses(actual, probabilities)).all()


def test_brier_score_equals_scikit_learn_s(answers):
    actual, probabilities = answers
    expected = metrics.brier_score_loss(actual, probabilities, labels=range(4), scale_by_half=False)
    assert brier_scores(actual, probabilities).mean() == pytest.approx(expected, abs=1e-12)


def test_bins_have_equal_mass_and_ece_equals_the_slow_sum():
    generator = np.random.default_rng(1)
    confidence = generator.random(1000)
    right = generator.random(1000) < confidence
    bins = reliability(right, confidence, bins=10)
    assert bins.count.tolist() == [100] * 10
    ranked = np.argsort(confidence)
    parts = [ranked[start : start + 100] for start in range(0, 1000, 100)]
    expected = sum(0.1 * abs(right[part].mean() - confidence[part].mean()) for part in parts)
    assert bins.ece == pytest.approx(expected, abs=1e-12)


def test_equal_confidences_share_a_bin_so_that_row_order_does_not_matter():
    confidence = np.array([0.9] * 50 + [0.6] * 50 + [1.0] * 50)
    right = np.array(([True] * 45 + [False] * 5) * 3)
    order = np.random.default_rng(2).permutation(150)
    first, second = reliability(right, confidence), reliability(right[order], confidence[order])
    assert first.count.tolist() == [50, 50, 50]
    assert first.ece == pytest.approx(second.ece, abs=1e-12)
    assert first.ece == pytest.approx((0.0 + 0.3 + 0.1) / 3, abs=1e-12)


def test_no_rows_have_no_calibration_error():
    bins = reliability(np.empty(0, dtype=bool), np.empty(0))
    assert np.isnan(bins.ece)
    assert np.isnan(bins.interval()).all()
    assert np.isnan(ece_null_band(np.empty(0))).all()


def test_a_calibrated_model_lies_in_its_null_band_and_an_overconfident_one_above():
    generator = np.random.default_rng(3)
    inside = 0
    for seed in range(200):
        confidence = generator.uniform(0.5, 1, 400)
        calibrated = reliability(generator.random(400) < confidence, confidence).ece
        inside += calibrated <= ece_null_band(confidence, draws=200, seed=seed)[1]
    assert 0.88 <= inside / 200 <= 0.99  # 99.9 % band of 0.95, and of the band's own 200 draws
    over = reliability(generator.random(400) < confidence - 0.2, confidence).ece
    assert over > ece_null_band(confidence)[1]


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.2])
def test_the_interval_of_ece_covers_the_binned_error(shift):
    """Truth: the error of the same bins on very many rows."""
    generator = np.random.default_rng(4)
    many = generator.uniform(0.5, 1, 400_000)
    truth = reliability(generator.random(many.size) < many - shift, many).ece
    covered = 0
    for _ in range(400):
        confidence = generator.uniform(0.5, 1, 500)
        low, high = reliability(generator.random(500) < confidence - shift, confidence).interval()
        covered += low <= truth <= high
    assert covered / 400 >= 0.92  # conservative by design; the 99.9 % binomial band below 0.95
