"""Intervals of the task metrics hold the true value about as often as they say, where it is known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from modelyard.methods.evaluation import means, ordinal, regression, translation
from modelyard.methods.evaluation.classification import confusion_matrix

RUNS = 200
# Of 200 intervals of 95 %, fewer than 180 (or of 93 %, fewer than 176) hold with a chance below 1 in 500.
LEAST = 178


def held(draw, truth: float, runs: int = RUNS) -> int:
    """How many intervals of fresh samples hold the truth."""
    count = 0
    for seed in range(runs):
        low, high = draw(np.random.default_rng(1000 + seed), seed)
        count += low <= truth <= high
    return count


@pytest.mark.parametrize(("size", "spread"), [(30, 0.3), (150, 1.0)])
def test_ratios_of_sums_over_documents(size, spread):
    def draw(rng, seed):
        bottoms = rng.integers(1, 9, size).astype(float)
        rates = np.clip(0.8 + spread * 0.2 * rng.uniform(-1, 1, size), 0, 1)
        return means.ratio_interval(rng.binomial(bottoms.astype(int), rates).astype(float), bottoms, seed, bounded=True)

    assert held(draw, 0.8) >= LEAST


def test_ratios_that_are_not_shares():
    def draw(rng, seed):
        tokens = rng.integers(5, 60, 60).astype(float)
        return means.ratio_interval(tokens * rng.lognormal(0, 0.4, 60), tokens, seed)

    assert held(draw, float(np.exp(0.08))) >= LEAST


@pytest.mark.parametrize(("size", "a", "b"), [(20, 8, 2), (20, 0.5, 0.5), (120, 0.6, 4)])
def test_means_of_shares(size, a, b):
    truth = a / (a + b)
    assert held(lambda rng, seed: means.share_interval(rng.beta(a, b, size), seed), truth) >= LEAST


@pytest.mark.parametrize("size", [40, 300])
def test_share_of_variance_explained(size):
    def draw(rng, seed):
        actual = rng.normal(0, 2, size)
        squares = rng.normal(0, 1, size) ** 2
        return regression._r2(regression.Numbers(actual, actual), squares, {}, seed)[0].interval

    assert held(draw, 1 - 1 / 4, 120) >= 107


def test_skill_beside_another_model():
    def draw(rng, seed):
        shared = rng.normal(0, 1, 150)
        return regression.skill((0.6 * shared) ** 2, (shared + rng.normal(0, 0.75, 150)) ** 2, seed)[1]

    assert held(draw, 1 - 0.36 / 1.5625) >= LEAST


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_rank_correlation(rho):
    # For normal pairs Spearman's is 6 / π · asin(ρ / 2).
    truth = 6 / np.pi * np.arcsin(rho / 2)

    def draw(rng, seed):
        first = rng.normal(size=50)
        second = rho * first + np.sqrt(1 - rho**2) * rng.normal(size=50)
        return means.rank_correlation_interval(regression.spearman(first, second), 50)

    assert held(draw, truth) >= LEAST


def test_kappa_of_ordered_classes():
    rng = np.random.default_rng(0)
    shares = np.array([[6, 2, 1], [2, 8, 3], [1, 2, 9]]) / 34
    truth = ordinal.quadratic_kappa(np.round(shares * 34_000).astype(np.int64))

    def draw(rng, seed):
        counts = rng.multinomial(150, shares.ravel()).reshape(3, 3)
        return ordinal.quadratic_kappa_interval(counts)

    assert held(draw, truth) >= LEAST
    assert confusion_matrix(rng.integers(0, 3, 5), rng.integers(0, 3, 5), 3).sum() == 5


def test_translation_scores_over_documents():
    """Documents are drawn from a fixed list: its score is the truth of samples with replacement."""
    rng = np.random.default_rng(3)
    words = ["the", "cat", "dog", "sat", "ran", "on", "mat", "red", "big", "old"]
    wanted = [" ".join(rng.choice(words, 9)) for _ in range(80)]
    said = [" ".join(w if rng.random() < 0.85 else "x" for w in one.split()) for one in wanted]
    parts = np.array([translation.chrf_parts(*pair) for pair in zip(said, wanted, strict=True)], dtype=float)
    truth = 100 * translation.chrf_of(parts.sum(axis=0))

    def draw(rng, seed):
        return translation._interval(parts[rng.integers(0, 80, 60)], translation.chrf_of)

    assert held(draw, truth) >= LEAST


def test_shares_that_never_vary_are_not_certain():
    for value in (0.0, 1.0):
        low, high = means.share_interval(np.full(20, value))
        assert high - low > 0.1
    low, high = means.ratio_interval(np.array([3.0] * 8), np.array([3.0] * 8), bounded=True)
    assert low < 0.75
    assert high == 1.0
    assert means.share_interval(np.ones(1)) is None
    assert means.ratio_interval(np.ones(3), np.ones(3)) is None
    assert means.rank_correlation_interval(1.0, 9) is None
