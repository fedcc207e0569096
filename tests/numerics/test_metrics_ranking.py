"""ROC-AUC, average precision and curves against scikit-learn, pair counting and slow references; ties included."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from modelyard.methods.evaluation.ranking import (
    average_precision,
    average_precision_influence,
    placements,
    precision_recall_curve,
    roc_auc,
    roc_auc_influence,
    roc_curve,
)


def sample(seed: int, n: int = 120, levels: int | None = None, share: float = 0.4):
    generator = np.random.default_rng(seed)
    positive = generator.random(n) < share
    positive[:2] = True, False
    scores = generator.normal(size=n) + positive
    return positive, np.round(scores * levels) / levels if levels else scores


SAMPLES = [
    sample(seed, levels=levels, share=share) for seed in range(4) for levels in (None, 1, 3) for share in (0.1, 0.5)
]


@pytest.mark.parametrize(("positive", "scores"), SAMPLES)
def test_auc_and_average_precision_equal_scikit_learn_s_with_ties(positive, scores):
    assert roc_auc(positive, scores) == pytest.approx(metrics.roc_auc_score(positive, scores), abs=1e-12)
    expected = metrics.average_precision_score(positive, scores)
    assert average_precision(positive, scores) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=40))
@settings(deadline=None)
def test_auc_is_the_share_of_pairs_in_order_with_ties_half(rows):
    positive, scores = np.array([y for y, _ in rows]), np.array([float(s) for _, s in rows])
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in scores[positive] for b in scores[~positive]]
    found = roc_auc(positive, scores)
    assert math.isnan(found) if not pairs else found == pytest.approx(np.mean(pairs), abs=1e-12)


def test_a_constant_score_has_auc_one_half_in_any_row_order():
    assert roc_auc(np.array([True, True, False]), np.zeros(3)) == 0.5
    assert roc_auc(np.array([False, True, True]), np.zeros(3)) == 0.5


def test_one_class_only_gives_no_number_not_one_half():
    assert math.isnan(roc_auc(np.ones(4, dtype=bool), np.arange(4.0)))
    assert math.isnan(roc_auc(np.zeros(4, dtype=bool), np.arange(4.0)))
    assert math.isnan(average_precision(np.zeros(4, dtype=bool), np.arange(4.0)))
    assert np.isnan(placements(np.ones(4, dtype=bool), np.arange(4.0))).all()


def test_average_precision_is_not_the_trapezoid():
    positive, scores = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.2, 0.1])
    assert average_precision(positive, scores) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3, abs=1e-12)


@pytest.mark.parametrize(("positive", "scores"), SAMPLES)
def test_row_order_never_matters(positive, scores):
    order = np.random.default_rng(9).permutation(len(scores))
    assert roc_auc(positive[order], scores[order]) == pytest.approx(roc_auc(positive, scores), abs=1e-12)
    assert average_precision(positive[order], scores[order]) == pytest.approx(
        average_precision(positive, scores), abs=1e-12
    )


@pytest.mark.parametrize(("positive", "scores"), SAMPLES[:6])
def test_placements_equal_the_slow_double_loop(positive, scores):
    found = placements(positive, scores)
    for row in range(len(scores)):
        others = scores[~positive] if positive[row] else scores[positive]
        won = scores[row] > others if positive[row] else others > scores[row]
        assert found[row] == pytest.approx(won.mean() + 0.5 * (others == scores[row]).mean(), abs=1e-12)


@pytest.mark.parametrize("measure", [(average_precision, average_precision_influence), (roc_auc, roc_auc_influence)])
@pytest.mark.parametrize("levels", [None, 2])
def test_influence_is_the_derivative_with_respect_to_a_row_s_weight(measure, levels):
    value, influence_of = measure
    positive, scores = sample(5, n=60, levels=levels)
    influence = influence_of(positive, scores)
    assert influence.mean() == pytest.approx(0, abs=1e-12)
    # A row given k copies has weight k of n + k - 1: the change is influence · step to first order.
    copies = 400
    base_positive, base_scores = np.repeat(positive, copies), np.repeat(scores, copies)
    for row in (0, 1, 7, 20, 59):
        more = value(np.append(base_positive, positive[row]), np.append(base_scores, scores[row]))
        step = 1 / (copies * 60 + 1)
        assert (more - value(base_positive, base_scores)) / step == pytest.approx(influence[row], rel=2e-3, abs=2e-3)


@pytest.mark.parametrize(("positive", "scores"), SAMPLES)
def test_curves_hold_scikit_learn_s_points(positive, scores):
    fpr, tpr, _ = metrics.roc_curve(positive, scores, drop_intermediate=False)
    found = roc_curve(positive, scores, points=1000)
    np.testing.assert_allclose(found.x, fpr, atol=1e-12)
    np.testing.assert_allclose(found.y, tpr, atol=1e-12)
    precision, recall, thresholds = metrics.precision_recall_curve(positive, scores)
    curve = precision_recall_curve(positive, scores, points=1000)
    np.testing.assert_allclose(curve.x[::-1], recall[:-1], atol=1e-12)
    np.testing.assert_allclose(curve.y[::-1], precision[:-1], atol=1e-12)
    np.testing.assert_allclose(curve.thresholds[::-1], thresholds, atol=1e-12)


def test_long_curves_are_thinned_to_200_points_that_keep_the_ends_and_the_area():
    positive, scores = sample(3, n=20_000)
    curve = roc_curve(positive, scores)
    assert len(curve.x) <= 200
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(roc_auc(positive, scores), abs=2e-3)
    assert (np.diff(curve.x) >= 0).all()


def test_curves_of_one_class_are_empty():
    assert roc_curve(np.ones(3, dtype=bool), np.arange(3.0)).x.size == 0
    assert precision_recall_curve(np.zeros(3, dtype=bool), np.arange(3.0)).x.size == 0
