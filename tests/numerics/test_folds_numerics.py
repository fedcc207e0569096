"""Folds: the corrected interval against its formula, and what every cut must hold to."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from scipy import stats

from modelyard.errors import InputError
from modelyard.methods.data.splitting.folding import assign
from modelyard.methods.data.splitting.sides import Rows
from modelyard.methods.data.text import text_key
from modelyard.methods.statistics.repeated import nadeau_bengio


@pytest.mark.parametrize("values", [[0.8, 0.82, 0.79, 0.85, 0.8], [1.0, 3.0], [0.1, 0.5, 0.2]])
def test_the_corrected_interval_is_the_papers(values):
    k, n1, n2 = len(values), 800, 200
    error = math.sqrt((1 / k + n2 / n1) * statistics.variance(values))
    low, high = stats.t.interval(0.95, k - 1, loc=statistics.mean(values), scale=error)
    assert nadeau_bengio(values, n1, n2) == pytest.approx((low, high), rel=1e-12)
    plain = stats.t.interval(0.95, k - 1, loc=statistics.mean(values), scale=stats.sem(values))
    assert high - low > plain[1] - plain[0]


def test_scores_that_do_not_vary_say_nothing_of_how_much_they_would():
    assert nadeau_bengio([0.9, 0.9, 0.9], 2, 1) is None
    assert nadeau_bengio([0.9], 2, 1) is None


def test_the_corrected_interval_covers_where_the_plain_one_does_not():
    """Scores with the correlation n2/(n1+n2) that the paper assumes: 95 % and far less."""
    draw, k, rho = np.random.default_rng(0), 10, 0.1
    hits = plain = 0
    for _ in range(1500):
        scores = math.sqrt(rho) * draw.standard_normal() + math.sqrt(1 - rho) * draw.standard_normal(k)
        low, high = nadeau_bengio(scores.tolist(), 9, 1)
        hits += low <= 0 <= high
        ends = stats.t.interval(0.95, k - 1, loc=scores.mean(), scale=stats.sem(scores))
        plain += ends[0] <= 0 <= ends[1]
    assert hits / 1500 == pytest.approx(0.95, abs=0.02)
    assert plain / 1500 < 0.88


def rows(texts, labels, groups=None):
    return Rows.of([text_key(text) for text in texts], labels, groups)


def test_every_row_is_held_out_once_and_classes_are_alike():
    texts = [f"text {n}" for n in range(1000)]
    labels = ["rare" if n % 10 == 0 else "common" for n in range(1000)]
    folds = assign(rows(texts, labels), 5, seed=0)
    assert np.bincount(folds).tolist() == [200] * 5
    rare = np.array([label == "rare" for label in labels])
    assert np.bincount(folds[rare]).tolist() == [20] * 5


def test_groups_and_equal_texts_stay_whole():
    texts = [f"text {n % 300}" for n in range(600)]
    groups = [f"g{n % 37}" if n % 3 else None for n in range(600)]
    folds = assign(rows(texts, ["a", "b"] * 300, groups), 4, seed=1)
    for keys in (texts, groups):
        held = {}
        for key, fold in zip(keys, folds.tolist(), strict=True):
            if key is not None:
                assert held.setdefault(key, fold) == fold


def test_where_a_row_goes_depends_on_the_seed_and_not_on_the_order():
    texts = [f"text {n}" for n in range(200)]
    labels = ["a", "b"] * 100
    folds = dict(zip(texts, assign(rows(texts, labels), 5, 3).tolist(), strict=True))
    turned = dict(zip(texts[::-1], assign(rows(texts[::-1], labels[::-1]), 5, 3).tolist(), strict=True))
    other = dict(zip(texts, assign(rows(texts, labels), 5, 4).tolist(), strict=True))
    assert folds == turned
    assert folds != other


def test_fewer_texts_than_folds_are_refused():
    with pytest.raises(InputError, match="2 texts or groups cannot be cut into 3 folds"):
        assign(rows(["a", "b", "a"], ["x", "y", "x"]), 3, 0)


def test_classes_are_alike_with_groups_whole_as_well_as_scikit_learn_has_them():
    from sklearn.model_selection import StratifiedGroupKFold

    ours, theirs = [], []
    for seed in range(6):
        draw = np.random.default_rng(seed)
        groups = draw.integers(0, 80, 900)
        labels = (draw.random(900) < draw.beta(0.5, 0.5, 80)[groups]).astype(int)
        folds = assign(rows([f"t {n}" for n in range(900)], labels.astype(str).tolist(), groups.tolist()), 5, seed)
        other = np.empty(900, dtype=int)
        cut = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(np.zeros(900), labels, groups)
        for fold, (_, held) in enumerate(cut):
            other[held] = fold
        for found, worst in ((folds, ours), (other, theirs)):
            worst.append(max(abs(labels[found == fold].mean() - labels.mean()) for fold in range(5)))
        assert max(abs(np.bincount(folds) - 180)) <= 8
    assert np.mean(ours) <= np.mean(theirs)
