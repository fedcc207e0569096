"""Comparing two models: exact tests against scipy and enumeration, intervals and false alarms by simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest, false_discovery_control

from modelyard.methods.evaluation.comparing.finding import search
from modelyard.methods.evaluation.comparing.scoring import Measure, Scored
from modelyard.methods.evaluation.comparing.slicing import Slice, distinct, of_column, of_numbers, pairs
from modelyard.methods.evaluation.comparing.testing import compare, flipped, interval_of, mcnemar, sign_flips, signs
from modelyard.methods.evaluation.paired import Pairs
from modelyard.methods.statistics.multiplicity import benjamini_hochberg, selected_level

RIGHT = Measure("accuracy", lambda answer, truth: 0.0)
ERROR = Measure("squared_error", lambda answer, truth: 0.0, binary=False, lower=True)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 1), (1, 5), (7, 7), (30, 12), (0, 40)])
def test_mcnemar_is_the_binomial_of_the_rows_that_differ(first, second):
    found = mcnemar(Pairs(both=50, first=first, second=second, neither=3))
    wanted = binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
    assert found.p == pytest.approx(wanted, abs=1e-12)
    assert found.n == first + second


@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_shuffled_signs_are_those_of_enumeration(n):
    gain = np.random.default_rng(n).normal(0.4, 1, n)
    sums = [abs(sum(s * g for s, g in zip(flips, gain, strict=True))) for flips in product((-1, 1), repeat=n)]
    wanted = np.mean(np.array(sums) >= abs(gain.sum()) - 1e-12)
    assert sign_flips(np.concatenate([gain, np.zeros(7)]), 0).p == pytest.approx(wanted, abs=1e-12)


def test_many_shuffles_come_near_enumeration_and_zeros_change_nothing():
    gain = np.random.default_rng(0).normal(0.35, 1, 16)
    exact = sign_flips(gain, 0).p
    drawn = flipped(gain[:, None], 1, 40_000)[0]
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 40_000) + 1e-4)


def test_the_sign_test_counts_rows_and_not_sizes():
    gain = np.array([100.0, -1, -1, -1, -1, 0, 0])
    assert signs(gain).p == pytest.approx(binomtest(1, 5, 0.5).pvalue, abs=1e-12)


def test_benjamini_and_hochberg_as_scipy_has_it():
    values = np.random.default_rng(3).uniform(size=200) ** 3
    assert np.allclose(benjamini_hochberg(values.tolist()), false_discovery_control(values), atol=1e-12)
    assert benjamini_hochberg([]) == []
    assert selected_level(2, 100) == pytest.approx(0.999)
    assert selected_level(100, 100) == pytest.approx(0.95)


def _pairs(generator, n, agree=0.8, lean=0.0):
    """Right and wrong of two models; `lean` is what the first has over the second."""
    differ = generator.random(n) > agree
    first = generator.random(n) < 0.5 + lean / (2 * (1 - agree))
    both = generator.random(n) < 0.85
    return np.where(differ, first, both).astype(float), np.where(differ, ~first, both).astype(float)


@pytest.mark.parametrize("lean", [0.0, 0.06])
def test_the_interval_of_the_gain_covers_the_truth_as_often_as_it_says(lean):
    generator = np.random.default_rng(11)
    runs, covered = 800, 0
    for _ in range(runs):
        low, high = interval_of(Scored(RIGHT, *_pairs(generator, 150, lean=lean)), 0)
        covered += low <= lean <= high
    assert covered / runs > 0.95 - 3 * np.sqrt(0.05 * 0.95 / runs)


def test_the_paired_bootstrap_of_errors_covers_the_truth():
    generator = np.random.default_rng(5)
    runs, covered = 200, 0
    for _ in range(runs):
        shared = generator.normal(size=120)
        model, against = (shared + generator.normal(0, 0.5, 120)) ** 2, (shared + generator.normal(0, 0.8, 120)) ** 2
        low, high = interval_of(Scored(ERROR, model, against), 1)
        covered += low <= 0.64 - 0.25 <= high
    assert 0.95 - 4 * np.sqrt(0.05 * 0.95 / runs) < covered / runs


def test_the_gain_of_an_error_is_positive_where_the_model_errs_less():
    found = compare(Scored(ERROR, np.array([1.0, 1, 2]), np.array([4.0, 2, 2])), 0)
    assert found.value == pytest.approx(4 / 3)
    assert {test.name for test in found.tests} == {"permutation", "sign"}


def _groups(generator, n):
    """Two columns of categories, a number, and their pairs."""
    columns = {"a": generator.integers(0, 5, n).astype(str), "b": generator.integers(0, 4, n).astype(str)}
    single = [one for name, values in columns.items() for one in of_column(name, values.tolist(), 20)]
    single += of_numbers("x", generator.normal(size=n), 20)
    return distinct([*single, *pairs(single, 20, 1000)], n)


@pytest.mark.parametrize("measure", [RIGHT, ERROR], ids=["right", "error"])
def test_where_nothing_differs_anything_is_found_no_more_often_than_it_says(measure):
    """With no true difference every list with an entry is a false alarm: at most 5 % of the runs have one."""
    generator = np.random.default_rng(2)
    runs, alarms = (200 if measure.binary else 16), 0
    for seed in range(runs):
        n = 250
        if measure.binary:
            scored = Scored(measure, *_pairs(generator, n))
        else:
            scored = Scored(measure, generator.exponential(size=n), generator.exponential(size=n))
        alarms += bool(search(scored, _groups(generator, n), 0.05, seed).findings)
    assert alarms / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_a_planted_regression_is_found_and_named_first():
    generator = np.random.default_rng(4)
    n = 1500
    groups = _groups(generator, n)
    bad = next(one for one in groups if one.part == {"a": "3", "b": "1"})
    model, against = _pairs(generator, n, agree=0.95)
    model = np.where(bad.rows & (generator.random(n) < 0.6), 0.0, model)
    found = search(Scored(RIGHT, model, against), groups, 0.05, 0)
    assert found.regressions[0].part == {"a": "3", "b": "1"}
    assert found.regressions[0].interval[1] < 0
    assert found.gains == ()


def test_no_rows_no_difference():
    nothing = Scored(RIGHT, np.zeros(0), np.zeros(0))
    assert np.isnan(compare(nothing, 0).value)
    equal = Scored(RIGHT, np.ones(40), np.ones(40))
    low, high = compare(equal, 0).interval
    assert low < 0 < high
    assert search(equal, [Slice({"a": "1"}, np.arange(40) < 20)], 0.05, 0).findings == ()
