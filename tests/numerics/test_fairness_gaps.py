"""Figures by group against fairlearn and by hand; intervals of gaps by simulation."""

from __future__ import annotations

import math

import fairlearn.metrics as fair
import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn import metrics

from modelyard.methods.data import group_columns as groups
from modelyard.methods.evaluation.fairness import classes, gaps, numbers
from modelyard.methods.evaluation.quality import Answers
from modelyard.methods.evaluation.regression import Numbers
from modelyard.methods.statistics import simultaneous, two_rates
from modelyard.methods.statistics.wilson import wilson


def drawn(n=4000, seed=0, num_groups=4, num_classes=2):
    generator = np.random.default_rng(seed)
    codes = generator.integers(num_groups, size=n)
    actual = generator.integers(num_classes, size=n)
    scores = generator.dirichlet(np.ones(num_classes), size=n)
    scores[np.arange(n), actual] += 0.3 + 0.1 * codes
    scores /= scores.sum(1, keepdims=True)
    labels = tuple(f"c{place}" for place in range(num_classes))
    answers = Answers(labels, actual, scores.argmax(1), scores)
    return answers, groups.divide({"g": [f"g{code}" for code in codes]}, {})


def estimate(found, name, **part):
    wanted = {key.rstrip("_"): value for key, value in part.items()}
    return next(one for one in found.estimates if one.name == name and dict(one.slice) == wanted)


GAPS = {
    "demographic_parity_difference": fair.demographic_parity_difference,
    "demographic_parity_ratio": fair.demographic_parity_ratio,
    "equalized_odds_difference": fair.equalized_odds_difference,
    "equalized_odds_ratio": fair.equalized_odds_ratio,
    "equal_opportunity_difference": fair.equal_opportunity_difference,
    "equal_opportunity_ratio": fair.equal_opportunity_ratio,
}


@pytest.mark.parametrize("name", GAPS)
def test_gaps_are_fairlearn_s(name):
    answers, groupings = drawn()
    found = classes.measure(answers, groupings, [1], 10)
    expected = GAPS[name](answers.actual, answers.predicted, sensitive_features=groupings[0].codes)
    assert estimate(found, name, by="g").value == pytest.approx(expected, abs=1e-12)
    assert estimate(found, name).value == pytest.approx(expected, abs=1e-12)


def test_rates_by_group_are_fairlearn_s_and_wilson_s():
    answers, groupings = drawn()
    found = classes.measure(answers, groupings, [1], 10)
    frame = fair.MetricFrame(
        metrics={
            "selection_rate": fair.selection_rate,
            "tpr": fair.true_positive_rate,
            "fpr": fair.false_positive_rate,
            "precision": metrics.precision_score,
            "accuracy": metrics.accuracy_score,
        },
        y_true=answers.actual,
        y_pred=answers.predicted,
        sensitive_features=groupings[0].codes,
    )
    for code, group in enumerate(groupings[0].names):
        for name, value in frame.by_group.loc[code].items():
            one = estimate(found, name, by="g", group=group)
            assert one.value == pytest.approx(value, abs=1e-12)
            assert one.interval == wilson(one.value * one.n, one.n)
    difference = frame.difference()
    assert estimate(found, "predictive_parity_difference", by="g").value == pytest.approx(difference["precision"])
    assert estimate(found, "accuracy_difference", by="g").value == pytest.approx(difference["accuracy"])
    assert estimate(found, "worst_group_accuracy", by="g").value == pytest.approx(frame.group_min()["accuracy"])


def test_several_classes_stand_each_against_the_rest():
    answers, groupings = drawn(num_classes=3)
    found = classes.measure(answers, groupings, [0, 1, 2], 10)
    each = [
        fair.equalized_odds_difference(
            answers.actual == place, answers.predicted == place, sensitive_features=groupings[0].codes
        )
        for place in range(3)
    ]
    for place, value in enumerate(each):
        one = estimate(found, "equalized_odds_difference", by="g", class_=f"c{place}")
        assert one.value == pytest.approx(value, abs=1e-12)
    whole = estimate(found, "equalized_odds_difference", by="g")
    assert whole.value == pytest.approx(max(each), abs=1e-12)
    assert whole.interval[0] <= whole.value <= whole.interval[1]


def test_columns_together_are_fairlearn_s_intersections():
    generator = np.random.default_rng(3)
    sex, age = generator.integers(2, size=3000), generator.integers(18, 90, size=3000)
    actual = generator.integers(2, size=3000)
    predicted = (generator.random(3000) < 0.4 + 0.1 * sex + 0.001 * age).astype(np.int64)
    answers = Answers(("n", "y"), actual, predicted, np.stack([1 - predicted, predicted], 1).astype(float))
    groupings = groups.divide({"sex": sex.tolist(), "age": age.tolist()}, {"age": [30, 60]}, 2)
    assert [one.by for one in groupings] == [("sex",), ("age",), ("sex", "age")]
    binned = np.digitize(age, [30, 60])
    expected = fair.demographic_parity_difference(actual, predicted, sensitive_features=np.stack([sex, binned], 1))
    found = classes.measure(answers, groupings, [1], 10)
    assert estimate(found, "demographic_parity_difference", by="sex, age").value == pytest.approx(expected, abs=1e-12)


def test_small_groups_are_named_and_left_out_of_every_gap():
    answers, _ = drawn(n=2000, num_groups=2)
    codes = ["big" if place % 2 else "other" for place in range(2000)]
    codes[:9] = ["tiny"] * 9
    predicted = answers.predicted.copy()
    predicted[:9] = 1  # a selection rate of 1, which would be the largest gap
    answers = Answers(answers.labels, answers.actual, predicted, answers.scores)
    found = classes.measure(answers, groups.divide({"g": codes}, {}), [1], 50)
    assert {one.group for one in found.few} == {"tiny"}
    assert estimate(found, "demographic_parity_difference").value < 0.2
    assert not any(one.slice.get("group") == "tiny" for one in found.estimates)
    assert estimate(found, "unjudged_rate", by="g").value == 9 / 2000


def test_one_group_gives_no_gap():
    answers, _ = drawn(n=400)
    found = classes.measure(answers, groups.divide({"g": ["a"] * 400}, {}), [1], 50)
    assert not any(one.name.endswith(("_difference", "_ratio")) for one in found.estimates)
    assert found.missing["demographic_parity_difference by g"] == "fewer than two groups have enough rows"


def test_newcombe_s_own_example():
    assert two_rates.newcombe(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert two_rates.newcombe(0, 10, 0, 10) == pytest.approx((-0.2775, 0.2775), abs=5e-5)


def likeliest(theta, hits1, n1, hits2, n2):
    """-log likelihood at the best rate of the second sample, by search."""

    def loss(rate2):
        rate1 = theta * rate2
        parts = [(hits1, rate1), (n1 - hits1, 1 - rate1), (hits2, rate2), (n2 - hits2, 1 - rate2)]
        return -sum(count * math.log(max(rate, 1e-300)) for count, rate in parts if count)

    ends = (1e-12, min(1.0, 1 / theta) - 1e-12)
    return minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-12}).x


@pytest.mark.parametrize("counts", [(56, 70, 48, 80), (3, 40, 9, 35), (0, 70, 8, 80), (25, 25, 14, 30)])
def test_ends_of_the_ratio_are_where_the_score_test_rejects(counts):
    hits1, n1, hits2, n2 = counts
    for end in two_rates.ratio(*counts):
        if end in (0.0, math.inf):
            continue
        rate2 = likeliest(end, *counts)
        rate1 = end * rate2
        error = math.sqrt(rate1 * (1 - rate1) / n1 + end**2 * rate2 * (1 - rate2) / n2)
        assert abs(hits1 / n1 - end * hits2 / n2) / error == pytest.approx(1.959964, abs=1e-4)


def test_the_ratio_turned_round_is_its_inverse():
    low, high = two_rates.ratio(30, 70, 48, 80)
    assert two_rates.ratio(48, 80, 30, 70) == pytest.approx((1 / high, 1 / low), rel=1e-9)


def test_two_groups_have_the_plain_quantile():
    assert simultaneous.all_pairs(2) == pytest.approx(1.959963984540054, abs=1e-12)
    assert simultaneous.each(1) == pytest.approx(1.959963984540054, abs=1e-12)
    # Tukey's table: q(0.05; 3, inf) = 3.314
    assert simultaneous.all_pairs(3) * math.sqrt(2) == pytest.approx(3.314, abs=1e-3)


def test_errors_of_numbers_by_group():
    generator = np.random.default_rng(5)
    actual, codes = generator.normal(size=900), generator.integers(3, size=900)
    predicted = actual + generator.normal(size=900) * (1 + codes) + 0.2 * codes
    found = numbers.measure(Numbers(actual, predicted), groups.divide({"g": codes.tolist()}, {}), 50)
    errors = predicted - actual
    means = [np.abs(errors[codes == code]).mean() for code in range(3)]
    assert [estimate(found, "mae", by="g", group=str(code)).value for code in range(3)] == pytest.approx(means)
    assert estimate(found, "mae_difference", by="g").value == pytest.approx(max(means) - min(means))
    biases = [errors[codes == code].mean() for code in range(3)]
    assert estimate(found, "mean_error_difference", by="g").value == pytest.approx(max(biases) - min(biases))


BAND = 2.576
"""99 % of a binomial count."""


def at_most(hits, n, rate):
    return hits / n <= rate + BAND * math.sqrt(rate * (1 - rate) / n)


@pytest.mark.parametrize(("num", "n", "rate"), [(2, 100, 0.3), (2, 400, 0.05), (5, 200, 0.3), (8, 100, 0.8)])
def test_equal_groups_show_no_gap_19_times_of_20(num, n, rate):
    generator = np.random.default_rng(7)
    rounds, differences, ratios = 200, 0, 0
    for _ in range(rounds):
        one = gaps.Rate(generator.binomial(n, rate, num), np.full(num, n))
        differences += gaps.difference(one).interval[0] > 0
        ratios += gaps.ratio(one).interval[1] < 1 if one.hits.any() else 0
    assert at_most(differences, rounds, 0.05)
    assert at_most(ratios, rounds, 0.05)


@pytest.mark.parametrize(("num", "n"), [(2, 100), (4, 150), (7, 100)])
def test_intervals_hold_the_true_gap_ratio_and_worst_group(num, n):
    generator = np.random.default_rng(11)
    true, rounds = np.linspace(0.15, 0.4, num), 200
    missed = np.zeros(3)
    for _ in range(rounds):
        one = gaps.Rate(generator.binomial(n, true), np.full(num, n))
        found = gaps.difference(one), gaps.ratio(one), gaps.lowest(one)
        for place, (gap, value) in enumerate(
            zip(found, (true[-1] - true[0], true[0] / true[-1], true[0]), strict=True)
        ):
            missed[place] += not gap.interval[0] <= value <= gap.interval[1]
    assert all(at_most(count, rounds, 0.05) for count in missed)


def test_intervals_of_means_hold_and_raise_no_false_alarm():
    generator = np.random.default_rng(13)
    rounds, missed, alarms = 300, 0, 0
    spreads = np.array([1.0, 2.0, 4.0])
    for _ in range(rounds):
        noise = [generator.gamma(2.0, spread / 2, size=200) for spread in spreads]
        alarms += (
            gaps.means_difference([one - spread for one, spread in zip(noise, spreads, strict=True)]).interval[0] > 0
        )
        low, high = gaps.means_difference(noise).interval
        missed += not low <= 3.0 <= high
    assert at_most(missed, rounds, 0.05)
    assert at_most(alarms, rounds, 0.05)
