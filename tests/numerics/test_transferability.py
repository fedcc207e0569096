"""LogME against a slow direct maximisation of the evidence, H-score and proxy A-distance against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from modelyard.errors import InputError
from modelyard.methods.evaluation.proxy_distance import proxy_a_distance
from modelyard.methods.evaluation.transferability import h_score, log_evidence, logme, logme_of_numbers


def slow_evidence(features: np.ndarray, target: np.ndarray) -> float:
    """max over α, β of log N(target; 0, F Fᵀ / α + I / β) / n, from several starts."""
    n = len(target)

    def loss(logs: np.ndarray) -> float:
        alpha, beta = np.exp(np.clip(logs, -15, 15))
        covariance = features @ features.T / alpha + np.eye(n) / beta
        return -float(multivariate_normal.logpdf(target, np.zeros(n), covariance)) / n

    starts = [(0.0, 0.0), (3.0, 1.0), (-2.0, 2.0), (1.0, -2.0)]
    return -min(float(minimize(loss, start, method="Nelder-Mead").fun) for start in starts)


@pytest.mark.parametrize(("rows", "width", "noise"), [(40, 5, 0.5), (30, 50, 0.3), (60, 8, 2.0)])
def test_the_evidence_is_that_of_a_direct_maximisation(rows: int, width: int, noise: float) -> None:
    draw = np.random.default_rng(rows + width)
    features = draw.normal(size=(rows, width))
    target = features[:, :3] @ np.array([1.0, -0.5, 0.25]) + noise * draw.normal(size=rows)
    assert log_evidence(features, target) == pytest.approx(slow_evidence(features, target), abs=2e-3)


def test_logme_of_classes_is_the_mean_of_the_direct_evidences() -> None:
    draw = np.random.default_rng(1)
    labels = draw.integers(0, 3, 45)
    features = draw.normal(size=(45, 6)) + 2 * np.eye(3, 6)[labels]
    centred = features - features.mean(0)
    whole = np.hstack([centred / np.sqrt((centred**2).mean()), np.ones((45, 1))])
    expected = np.mean([slow_evidence(whole, (labels == label).astype(float)) for label in range(3)])
    assert logme(features, labels) == pytest.approx(float(expected), abs=2e-3)


def test_features_that_say_more_rank_higher_and_wide_noise_gains_nothing() -> None:
    draw = np.random.default_rng(2)
    labels = draw.integers(0, 4, 300)
    signal = np.eye(4)[labels]
    good, poor = (signal + spread * draw.normal(size=(300, 4)) for spread in (0.5, 2.0))
    noise = draw.normal(size=(300, 250))
    assert logme(good, labels) > logme(poor, labels) > logme(noise, labels)
    assert h_score(good, labels) > max(h_score(poor, labels), h_score(noise, labels))
    assert logme(good, labels) > logme(np.hstack([good, noise]), labels)


def test_the_unit_of_features_and_of_numbers_does_not_matter() -> None:
    draw = np.random.default_rng(3)
    features, labels = draw.normal(size=(80, 5)), draw.integers(0, 2, 80)
    values = features[:, 0] + draw.normal(size=80)
    assert logme(1000 * features + 7, labels) == pytest.approx(logme(features, labels), abs=1e-6)
    assert logme_of_numbers(features, 50 * values + 3) == pytest.approx(logme_of_numbers(features, values), abs=1e-9)


def test_the_h_score_of_many_rows_is_the_plain_formula() -> None:
    draw = np.random.default_rng(4)
    labels = draw.integers(0, 3, 20_000)
    features = draw.normal(size=(20_000, 3)) @ np.diag([1, 2, 3]) + np.eye(3)[labels]
    centred = features - features.mean(0)
    means = np.stack([centred[labels == label].mean(0) for label in range(3)])[labels]
    expected = np.trace(np.linalg.inv(np.cov(centred.T, bias=True)) @ np.cov(means.T, bias=True))
    assert h_score(features, labels) == pytest.approx(float(expected), rel=0.02)


def texts_of(words: list[str], count: int, seed: int) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(words, 8)) + f" {seed}{place:x}" for place in range(count)]


def test_the_distance_is_near_0_for_one_kind_of_text_and_near_2_for_two() -> None:
    near, far = ["box", "mail", "value", "late"], ["纸", "电池", "屏幕", "耳机"]
    same = [text[: text.rfind(" ")] for text in texts_of(near, 300, 1)]
    other = [text[: text.rfind(" ")] for text in texts_of(near, 300, 2)]
    found = proxy_a_distance(same, other)
    assert found.interval[0] <= 0.3
    assert found.value == pytest.approx(max(0, 2 - 4 * found.error))
    apart = proxy_a_distance(texts_of(far, 60, 3), same)
    assert apart.value == 2
    assert apart.rows == 120
    # Wilson's upper end of 0 of 120 errors is z² / (n + z²).
    assert apart.interval == (pytest.approx(2 - 4 * 3.8415 / 123.8415, abs=1e-4), 2)


def test_a_copy_of_the_target_is_at_distance_0() -> None:
    texts = texts_of(["box", "mail", "value", "late"], 60, 1)
    found = proxy_a_distance(texts[::-1], texts)
    assert found.error == 0.5
    assert found.value == 0
    with pytest.raises(InputError, match="19 distinct"):
        proxy_a_distance(texts[:19] * 5, texts)
