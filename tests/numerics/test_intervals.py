"""Intervals against published examples, scipy, slow references, and by coverage (simulated)."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm

from modelyard.methods.evaluation import confusion_intervals, intervals
from modelyard.methods.evaluation.classification import Classes, averages, confusion_matrix
from modelyard.methods.evaluation.latency import quantile_interval
from modelyard.methods.evaluation.paired import Pairs, difference_interval, mcnemar_mid_p
from modelyard.methods.evaluation.ranking import (
    average_precision,
    average_precision_influence,
    roc_auc,
    roc_auc_influence,
)
from modelyard.methods.statistics.wilson import wilson


def at_least(rounds: int, nominal: float) -> float:
    """Coverage below this happens once in 2,000 tries if the true coverage is `nominal`."""
    return binom.ppf(0.0005, rounds, nominal) / rounds


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]
)
def test_wilson_gives_the_published_intervals(hits, n, low, high):
    assert wilson(hits, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("n", [1, 7, 100, 2000])
def test_wilson_equals_scipy_s(n):
    for hits in sorted({0, 1, n // 3, n - 1, n}):
        expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
        assert wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_rate_over_no_rows_could_be_anything():
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.98, 0.995])
@pytest.mark.parametrize("n", [30, 200, 2000])
def test_wilson_covers_a_rate_also_near_one_exactly_computed(rate, n):
    """No simulation: the coverage is a sum over all outcomes. The bootstrap covers 0.79 at n = 30, 0.95."""
    hits = np.arange(n + 1)
    ends = np.array([wilson(int(h), n) for h in hits])
    covered = binom.pmf(hits, n, rate)[(ends[:, 0] <= rate) & (rate <= ends[:, 1])].sum()
    assert covered >= (0.86 if n == 30 and rate > 0.99 else 0.92)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [((36, 12, 2, 0), 0.0569, 0.3404), ((18, 12, 2, 18), 0.0562, 0.3290), ((53, 0, 0, 1), -0.0729, 0.0729)],
)
def test_paired_difference_gives_newcombe_s_published_intervals(counts, low, high):
    assert difference_interval(Pairs(*counts)) == pytest.approx((low, high), abs=1e-4)


def test_paired_difference_of_nothing_is_no_number():
    assert math.isnan(Pairs(0, 0, 0, 0).difference)
    assert difference_interval(Pairs(0, 0, 0, 0)) is None


def test_swapping_the_classifiers_mirrors_the_interval():
    first, second = difference_interval(Pairs(70, 12, 5, 13)), difference_interval(Pairs(70, 5, 12, 13))
    assert first == pytest.approx((-second[1], -second[0]), abs=1e-12)


def test_pairs_count_rows_by_who_was_right():
    pairs = Pairs.of(np.array([True, True, False, False, True]), np.array([True, False, True, False, False]))
    assert (pairs.both, pairs.first, pairs.second, pairs.neither) == (1, 2, 1, 1)
    with pytest.raises(ValueError, match="same rows"):
        Pairs.of(np.array([True]), np.array([True, False]))


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 3), (1, 9), (9, 1), (12, 2)])
def test_mid_p_is_the_two_sided_exact_p_with_half_the_weight_on_what_was_seen(first, second):
    n, fewer = first + second, min(first, second)
    point = binom.pmf(fewer, n, 0.5)
    expected = 1.0 if first == second else binomtest(fewer, n).pvalue - point
    assert mcnemar_mid_p(Pairs(10, first, second, 10)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("differing", [0.05, 0.3])
def test_paired_difference_covers_the_true_difference(differing):
    generator, rounds, truth = np.random.default_rng(0), 2000, differing * 0.4
    shares = [0.95 - differing, differing * 0.7, differing * 0.3, 0.05]
    covered = 0
    for counts in generator.multinomial(300, shares, size=rounds).tolist():
        low, high = difference_interval(Pairs(*counts))
        covered += low <= truth <= high
    assert covered / rounds >= at_least(rounds, 0.945)


@pytest.mark.parametrize("hits", [0, 3, 40])
def test_f1_of_a_class_has_wilson_s_interval_on_the_jaccard_scale(hits):
    low, high = wilson(hits, 60 + 50 - hits)
    found = intervals.f1_interval(hits, 60, 50)
    assert found == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)), abs=1e-12)
    assert found[0] <= 2 * hits / 110 <= found[1]
    assert intervals.f1_interval(0, 0, 0) is None


def test_mean_of_one_rate_is_wilson_s_and_an_undefined_rate_counts_as_zero():
    assert intervals.mean_of_rates(np.array([8]), np.array([10])) == pytest.approx(wilson(8, 10), abs=1e-12)
    low, high = intervals.mean_of_rates(np.array([8, 0]), np.array([10, 0]))
    assert (2 * low, 2 * high) == pytest.approx(wilson(8, 10), abs=1e-12)
    assert intervals.mean_of_rates(np.array([], dtype=int), np.array([], dtype=int)) is None


def test_delong_s_variance_is_inside_the_auc_interval_s_hull():
    """A slow DeLong over all pairs, on the logit scale with the normal quantile, lies inside."""
    generator = np.random.default_rng(5)
    positive = generator.random(150) < 0.4
    scores = np.round(generator.normal(size=150) + positive, 1)
    wins = (scores[positive][:, None] > scores[~positive]) + 0.5 * (scores[positive][:, None] == scores[~positive])
    auc = wins.mean()
    variance = wins.mean(axis=1).var(ddof=1) / len(wins) + wins.mean(axis=0).var(ddof=1) / wins.shape[1]
    half = 1.96 * math.sqrt(variance) / (auc * (1 - auc))
    slow = [1 / (1 + math.exp(-(math.log(auc / (1 - auc)) + sign * half))) for sign in (-1, 1)]
    low, high = intervals.auc_interval(positive, scores)
    assert low <= slow[0] + 1e-6
    assert high >= slow[1] - 1e-6
    assert (low, high) == pytest.approx(slow, abs=0.02)


def test_newcombe_s_ends_solve_his_equation():
    auc, m, n = 0.83, 20, 35
    size = (m + n) / 2 - 1
    for theta in intervals.auc_score_interval(auc, m, n):
        variance = theta * (1 - theta) * (1 + size * (1 - theta) / (2 - theta) + size * theta / (1 + theta)) / (m * n)
        assert abs(auc - theta) == pytest.approx(intervals.Z95 * math.sqrt(variance), abs=1e-9)


def test_perfect_ranking_still_leaves_doubt_and_one_row_a_side_has_no_interval():
    low, high = intervals.auc_interval(np.array([True] * 20 + [False] * 20), np.arange(40.0)[::-1])
    assert high == 1.0
    assert 0.8 < low < 0.98
    assert intervals.auc_interval(np.array([True, False, False]), np.arange(3.0)) is None
    assert intervals.average_precision_interval(np.array([True, False, False]), np.arange(3.0)) is None
    low, high = intervals.average_precision_interval(np.array([True] * 20 + [False] * 20), np.arange(40.0)[::-1])
    assert (low, high) == pytest.approx(wilson(20, 20), abs=1e-12)


@pytest.mark.parametrize("k", [2, 3, 6])
def test_gradients_of_confusion_averages_equal_finite_differences(k):
    counts = np.random.default_rng(k).integers(1, 30, (k, k)) + 20 * np.eye(k, dtype=int)
    counts[0, 1] += 40
    scale = 10**7  # so large that adding a row is a small step
    big = counts * scale
    pairs = {
        "f1_macro": confusion_intervals.f1_macro_gradient,
        "f1_weighted": confusion_intervals.f1_weighted_gradient,
        "precision_weighted": confusion_intervals.precision_weighted_gradient,
        "mcc": confusion_intervals.matthews_gradient,
    }
    for name, gradient_of in pairs.items():
        gradient = gradient_of(counts)
        centred = gradient - (counts / counts.sum() * gradient).sum()
        base = getattr(averages(big), name)
        for row, column in itertools.product(range(k), repeat=2):
            more = big.copy()
            step = scale // 100
            more[row, column] += step
            slope = (getattr(averages(more), name) - base) / step * big.sum()
            assert slope == pytest.approx(centred[row, column], rel=1e-3, abs=1e-3), (name, row, column)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_jackknife_s_bias_equals_leaving_out_every_row(weighted):
    generator = np.random.default_rng(1)
    actual, predicted = generator.integers(0, 4, 60), generator.integers(0, 4, 60)
    confusion = confusion_matrix(actual, predicted, 4)
    one = Classes.of(confusion)
    weight = one.support / 60 if weighted else one.present / one.present.sum()
    left_out = []
    for row in range(60):
        rest = np.arange(60) != row
        left_out.append(weight @ Classes.of(confusion_matrix(actual[rest], predicted[rest], 4)).f1)
    expected = 59 * (np.mean(left_out) - weight @ one.f1)
    assert confusion_intervals._jackknife_bias(confusion, weighted) == pytest.approx(expected, abs=1e-12)


def population(classes: int, accuracy: float, imbalance: float, seed: int) -> np.ndarray:
    """Joint shares [C, C] of actual and predicted classes."""
    generator = np.random.default_rng(seed)
    shares = imbalance ** np.arange(classes)
    joint = np.empty((classes, classes))
    for row, share in enumerate(shares / shares.sum()):
        errors = generator.dirichlet(np.ones(classes - 1) * 0.7) * (1 - accuracy)
        joint[row] = np.insert(errors, row, accuracy) * share
    return joint


def truth(joint: np.ndarray) -> dict[str, float]:
    value = averages(np.round(joint * 1e12).astype(np.int64))
    return vars(value)


AVERAGED = {
    "balanced_accuracy": lambda c: intervals.mean_of_rates(np.diag(c), c.sum(axis=1)),
    "precision_macro": lambda c: intervals.mean_of_rates(np.diag(c), c.sum(axis=0)),
    "f1_macro": confusion_intervals.f1_average_interval,
    "f1_weighted": lambda c: confusion_intervals.f1_average_interval(c, weighted=True),
    "precision_weighted": confusion_intervals.precision_weighted_interval,
    "mcc": confusion_intervals.matthews_interval,
}
SETTINGS = [(2, 0.9, 1.0), (2, 0.98, 0.15), (4, 0.8, 0.6), (4, 0.95, 0.5), (10, 0.85, 0.8)]


def coverage(classes: int, accuracy: float, imbalance: float, n: int, rounds: int) -> dict[str, float]:
    joint = population(classes, accuracy, imbalance, seed=classes)
    wanted, hits = truth(joint), dict.fromkeys(AVERAGED, 0)
    draws = np.random.default_rng(n).multinomial(n, joint.ravel(), size=rounds).reshape(rounds, classes, classes)
    for confusion in draws:
        for name, interval_of in AVERAGED.items():
            ends = interval_of(confusion)
            hits[name] += ends is not None and ends[0] <= wanted[name] <= ends[1]
    return {name: count / rounds for name, count in hits.items()}


@pytest.mark.parametrize(("classes", "accuracy", "imbalance"), SETTINGS)
def test_averages_have_intervals_that_cover_093(classes, accuracy, imbalance):
    for name, found in coverage(classes, accuracy, imbalance, 300, 400).items():
        assert found >= at_least(400, 0.93), name


@pytest.mark.proof
@pytest.mark.parametrize("n", [200, 500, 2000])
@pytest.mark.parametrize(("classes", "accuracy", "imbalance"), [*SETTINGS, (2, 0.995, 1.0), (10, 0.6, 0.8)])
def test_averages_have_intervals_that_cover_093_at_every_size(classes, accuracy, imbalance, n):
    for name, found in coverage(classes, accuracy, imbalance, n, 3000).items():
        assert found >= at_least(3000, 0.93), name


@pytest.mark.proof
def test_macro_f1_over_77_classes_is_covered_at_2000_rows():
    found = coverage(77, 0.9, 1.0, 2000, 600)
    assert found["f1_macro"] >= at_least(600, 0.93)
    assert found["f1_weighted"] >= at_least(600, 0.93)


def test_too_few_rows_a_class_give_no_interval_rather_than_a_wrong_one():
    confusion = np.eye(77, dtype=np.int64) * 6
    assert confusion_intervals.f1_average_interval(confusion) is None
    assert confusion_intervals.f1_average_interval(np.eye(77, dtype=np.int64) * 15) is not None


@pytest.mark.parametrize("interval_of", AVERAGED.values(), ids=AVERAGED)
def test_all_right_still_leaves_doubt(interval_of):
    low, high = interval_of(np.diag([100, 100]))
    assert high == 1.0
    assert 0.9 < low < 0.99


def ranked(delta: float, share: float, spread: float = 1.0):
    """Draws of (positive, scores), the true AUC, and a very large sample's average precision."""

    def draw(generator: np.random.Generator, n: int):
        positive = generator.random(n) < share
        return positive, generator.normal(size=n) * np.where(positive, spread, 1.0) + delta * positive

    big = draw(np.random.default_rng(0), 1_000_000)
    return draw, norm.cdf(delta / math.hypot(1, spread)), average_precision(*big)


RANKED = [(1.0, 0.5, 1.0), (3.5, 0.5, 1.0), (1.5, 0.13, 1.0), (5.0, 0.2, 2.0)]


def ranking_coverage(delta: float, share: float, spread: float, n: int, rounds: int) -> tuple[float, float]:
    draw, auc, precision = ranked(delta, share, spread)
    generator, of_auc, of_precision = np.random.default_rng(n), 0, 0
    for _ in range(rounds):
        positive, scores = draw(generator, n)
        low, high = intervals.auc_interval(positive, scores)
        of_auc += low <= auc <= high
        low, high = intervals.average_precision_interval(positive, scores)
        of_precision += low <= precision <= high
    return of_auc / rounds, of_precision / rounds


@pytest.mark.parametrize(("delta", "share", "spread"), RANKED)
def test_auc_and_average_precision_have_intervals_that_cover_093(delta, share, spread):
    of_auc, of_precision = ranking_coverage(delta, share, spread, 300, 300)
    assert of_auc >= at_least(300, 0.93)
    assert of_precision >= at_least(300, 0.93)


@pytest.mark.proof
@pytest.mark.parametrize("n", [200, 500, 2000])
@pytest.mark.parametrize(("delta", "share", "spread"), [*RANKED, (4.0, 0.13, 1.0), (2.0, 0.05, 1.0)])
def test_auc_and_average_precision_have_intervals_that_cover_093_at_every_size(delta, share, spread, n):
    of_auc, of_precision = ranking_coverage(delta, share, spread, n, 2000)
    assert of_auc >= at_least(2000, 0.93)
    assert of_precision >= at_least(2000, 0.93)


def one_against_rest(n: int, classes: int, rounds: int) -> tuple[float, float]:
    """Coverage of the macro AUC and macro average precision of Gaussian scores."""
    generator = np.random.default_rng(n + classes)

    def draw(size: int):
        actual = generator.integers(0, classes, size)
        return actual, generator.normal(size=(size, classes)) + 2 * np.eye(classes)[actual]

    actual, scores = draw(300_000)
    precision = np.mean([average_precision(actual == c, scores[:, c]) for c in range(classes)])
    auc, hits = norm.cdf(2 / math.sqrt(2)), np.zeros(2)
    kinds = (
        (auc, roc_auc, intervals.auc_interval, roc_auc_influence),
        (precision, average_precision, intervals.average_precision_interval, average_precision_influence),
    )
    for _ in range(rounds):
        actual, scores = draw(n)
        columns = [(actual == c, scores[:, c]) for c in range(classes)]
        for kind, (wanted, value, ends, influence) in enumerate(kinds):
            low, high = intervals.mean_of_dependent(
                np.array([value(*column) for column in columns]),
                [ends(*column) for column in columns],
                np.stack([influence(*column) for column in columns], axis=1),
            )
            hits[kind] += low <= wanted <= high
    return tuple(hits / rounds)


def test_macro_auc_and_average_precision_are_covered():
    for found in one_against_rest(300, 4, 200):
        assert found >= at_least(200, 0.93)


@pytest.mark.proof
@pytest.mark.parametrize(("n", "classes", "rounds"), [(200, 3, 1000), (1000, 3, 1000), (1000, 20, 300)])
def test_macro_auc_and_average_precision_are_covered_at_every_size(n, classes, rounds):
    for found in one_against_rest(n, classes, rounds):
        assert found >= at_least(rounds, 0.93)


def losses(generator: np.random.Generator, n: int, overconfidence: float) -> np.ndarray:
    logits = generator.normal(size=n) * 3
    right = generator.random(n) < 1 / (1 + np.exp(-np.abs(logits)))
    stated = 1 / (1 + np.exp(-np.abs(logits) * overconfidence))
    return -np.log(np.where(right, stated, 1 - stated))


def loss_coverage(n: int, overconfidence: float, rounds: int, draws: int) -> float:
    wanted = losses(np.random.default_rng(0), 4_000_000, overconfidence).mean()
    generator, covered = np.random.default_rng(n), 0
    for seed in range(rounds):
        low, high = intervals.bootstrap_t(losses(generator, n, overconfidence), draws=draws, seed=seed)
        covered += low <= wanted <= high
    return covered / rounds


@pytest.mark.parametrize("overconfidence", [1.0, 2.0])
def test_bootstrap_t_covers_the_mean_of_skewed_losses(overconfidence):
    assert loss_coverage(300, overconfidence, 300, 300) >= at_least(300, 0.935)


@pytest.mark.proof
@pytest.mark.parametrize("n", [200, 1000])
def test_bootstrap_t_covers_the_mean_of_skewed_losses_at_every_size(n):
    assert loss_coverage(n, 2.0, 1500, 500) >= at_least(1500, 0.935)


def test_bootstrap_t_is_deterministic_and_says_when_it_has_nothing_to_go_on():
    values = np.random.default_rng(0).exponential(size=50)
    assert intervals.bootstrap_t(values, seed=1) == intervals.bootstrap_t(values, seed=1)
    assert intervals.bootstrap_t(np.array([1.0])) is None
    assert intervals.bootstrap_t(np.array([1.0, math.nan])) is None
    low, high = intervals.bootstrap_t(np.full(20, 0.5))
    assert low < 0.5 < high


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_quantile_intervals_cover_whatever_the_distribution(q):
    generator, covered, rounds = np.random.default_rng(3), 0, 2000
    wanted = -math.log(1 - q)
    for _ in range(rounds):
        low, high = quantile_interval(generator.exponential(size=120), q)
        covered += low <= wanted <= high
    assert covered / rounds >= at_least(rounds, 0.95)
    assert covered / rounds <= 0.99  # not simply everything
