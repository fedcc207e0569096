"""Intervals of cross-validation with models that really learn: what they cover, simulated."""

from __future__ import annotations

import numpy as np
import pytest

from modelyard.methods.evaluation.cross_validation import Cut, summarise


def nearest_mean(x_rnd, y_rn, train, held):
    """Accuracy [repetitions] of classifying by the nearer class mean, learned on `train`."""
    x, y = x_rnd[:, train], y_rn[:, train, None]
    one = (x * (y == 1)).sum(1) / np.maximum((y == 1).sum(1), 1)
    zero = (x * (y == 0)).sum(1) / np.maximum((y == 0).sum(1), 1)
    side = ((x_rnd[:, held] - ((one + zero) / 2)[:, None]) * (one - zero)[:, None]).sum(-1) > 0
    return (side == (y_rn[:, held] == 1)).mean(1)


def draw(seed, repetitions, n, d=6, signal=0.5, turn=0.0):
    """Two classes whose means lie `signal` apart on an axis that turns by `turn` (radians) over the rows."""
    source = np.random.default_rng(seed)
    y = source.integers(0, 2, (repetitions, n))
    x = source.normal(size=(repetitions, n, d))
    angle = np.linspace(0, turn, n)
    x[:, :, 0] += signal * (2 * y - 1) * np.cos(angle)
    x[:, :, 1] += signal * (2 * y - 1) * np.sin(angle)
    return x, y


def covered(scores, cuts, truth):
    """Share of repetitions [repetitions, folds] whose interval holds the truth, and the same for s / sqrt(k)."""
    from scipy import stats

    found = [summarise("folds.a", "a", row.tolist(), cuts) for row in scores]
    hits = [one.interval is not None and one.interval[0] <= truth <= one.interval[1] for one in found]
    k = scores.shape[1]
    half = stats.t.ppf(0.975, k - 1) * scores.std(axis=1, ddof=1) / np.sqrt(k)
    return np.mean(hits), np.mean(np.abs(scores.mean(axis=1) - truth) <= half)


@pytest.mark.parametrize(("n", "k"), [(100, 5), (200, 10)])
def test_the_corrected_interval_of_shuffled_folds_covers_models_that_learn(n, k):
    x, y = draw(1, 1500, n)
    folds = np.arange(n) % k
    scores = np.stack([nearest_mean(x, y, folds != fold, folds == fold) for fold in range(k)], axis=1)
    truth = scores.mean()
    held = n // k
    corrected, plain = covered(scores, [Cut(n - held, held)] * k, truth)
    assert 0.94 <= corrected <= 0.995
    assert plain < corrected


@pytest.mark.parametrize(("turn", "window"), [(0.0, None), (1.5, None), (0.0, 1), (1.5, 1)])
@pytest.mark.parametrize(("n", "k"), [(60, 3), (120, 5), (220, 10)])
def test_the_interval_of_time_folds_covers_the_mean_of_its_blocks_and_is_wide(n, k, turn, window):
    """Expanding and sliding windows, with and without drift: at least what is claimed."""
    x, y = draw(k, 800, n, turn=turn)
    size = n // (k + 1)
    place = np.arange(n)
    cuts, scores = [], []
    for fold in range(1, k + 1):
        held = (place >= fold * size) & (place < (fold + 1) * size)
        train = (place < fold * size) & (place >= (0 if window is None else (fold - window) * size))
        cuts.append(Cut(int(train.sum()), int(held.sum())))
        scores.append(nearest_mean(x, y, train, held))
    scores = np.stack(scores, axis=1)
    corrected, _ = covered(scores, cuts, scores.mean())
    assert corrected >= 0.95


def test_the_mean_over_time_folds_is_the_plain_mean():
    score = summarise("folds.a", "a", [0.5, 0.7, 0.9], [Cut(10, 10), Cut(20, 10), Cut(30, 10)])
    assert score.mean == pytest.approx(0.7)
    assert score.n == 30
    spread = np.sqrt((1 / 3 + 10 / 20) * np.var(score.folds, ddof=1))
    assert score.interval[1] - score.mean == pytest.approx(4.302652729911275 * spread, rel=1e-9)


def best_of_noise(seed, repetitions, n, settings, k, held_inside):
    """Labels and answers of every setting are coins. What a search finds on the rows that choose, and on rows that the
    choice never saw, by fold: [repetitions, folds] each."""
    source = np.random.default_rng(seed)
    right = source.integers(0, 2, (repetitions, settings, n)) == 1  # whether a setting answers a row rightly
    folds = np.arange(n) % k
    chose, judged = [], []
    for fold in range(k):
        outside = np.flatnonzero(folds != fold)
        inner = outside[: int(len(outside) * held_inside)]
        inside = right[:, :, inner].mean(2)
        best = inside.argmax(1)
        chose.append(inside.max(1))
        judged.append(right[np.arange(repetitions), best][:, folds == fold].mean(1))
    return np.stack(chose, 1), np.stack(judged, 1)


def test_choosing_by_cross_validation_flatters_noise_and_nesting_does_not():
    """Cawley and Talbot 2010: the best of many settings, all of them coins, looks better than a coin unless judged by
    rows that did not choose it."""
    repetitions, n, settings, k = 300, 100, 200, 5
    source = np.random.default_rng(0)
    right = source.integers(0, 2, (repetitions, settings, n)) == 1
    by_fold = right.reshape(repetitions, settings, n // k, k).mean(2)
    flat = by_fold.mean(2).max(1)  # plain folds of every setting, the best one's mean reported
    _, nested = best_of_noise(1, repetitions, n, settings, k, 0.5)
    assert flat.mean() > 0.62
    assert nested.mean() == pytest.approx(0.5, abs=0.008)
    best = by_fold.mean(2).argmax(1)
    cuts = [Cut(n - n // k, n // k)] * k
    told = covered(by_fold[np.arange(repetitions), best], cuts, 0.5)[0]
    honest = covered(nested, cuts, 0.5)[0]
    assert told < 0.85
    assert honest >= 0.94
