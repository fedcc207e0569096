"""Metrics of numbers, several labels, spans, lists, written text and ordered classes against independent libraries."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sklearn import metrics

from modelyard.methods.evaluation import (
    lists,
    multi_label,
    ordinal,
    overlap,
    regression,
    similarity,
    spans,
    translation,
)
from modelyard.methods.evaluation.classification import confusion_matrix
from modelyard.methods.evaluation.quality import Answers

RNG = np.random.default_rng(7)
EXACT = {"rel": 1e-12, "abs": 1e-12}
ENGLISH = [
    ("The cat sat on the mat.", "A cat sat on the mat!"),
    ("hello", "goodbye"),
    ("it is twenty two degrees today, sunny", "today it is sunny and twenty two degrees"),
    ("same words here", "same words here"),
    ("", "nothing was said"),
]
CHINESE = [("今天天气很好", "今天的天气非常好"), ("北京是中国的首都", "中国的首都是北京"), ("好", "好")]


def by_name(estimates):
    return {(one.name, *one.slice.values()): one for one in estimates}


def test_errors_of_numbers_are_scikit_learn_s():
    actual = RNG.gamma(2, 3, 300)
    predicted = actual + RNG.normal(0, 1, 300).round(1)
    quantiles = {0.1: predicted - 1, 0.9: predicted + 2}
    found = by_name(regression.measure(regression.Numbers(actual, predicted, quantiles), {}))
    expected = {
        ("mse",): metrics.mean_squared_error(actual, predicted),
        ("rmse",): metrics.root_mean_squared_error(actual, predicted),
        ("mae",): metrics.mean_absolute_error(actual, predicted),
        ("median_ae",): metrics.median_absolute_error(actual, predicted),
        ("r2",): metrics.r2_score(actual, predicted),
        ("mape",): metrics.mean_absolute_percentage_error(actual, predicted),
        ("pinball", "0.1"): metrics.mean_pinball_loss(actual, predicted - 1, alpha=0.1),
        ("pinball", "0.9"): metrics.mean_pinball_loss(actual, predicted + 2, alpha=0.9),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, **EXACT), name
        low, high = found[name].interval
        assert low < value < high, name


def test_rank_correlation_with_ties_is_scipy_s():
    from scipy.stats import spearmanr

    first, second = RNG.integers(0, 5, 80).astype(float), RNG.integers(0, 4, 80).astype(float)
    assert regression.spearman(first, second) == pytest.approx(spearmanr(first, second).statistic, **EXACT)
    assert math.isnan(regression.spearman(first, np.ones(80)))


@pytest.mark.parametrize(
    ("actual", "predicted", "absent"),
    [
        ([1.0], [2.0], {"r2", "spearman"}),
        ([0.0, 2.0], [1.0, 1.0], {"mape", "spearman"}),
        ([3.0] * 5, [1.0] * 5, {"r2", "spearman"}),
    ],
)
def test_what_numbers_cannot_bear_is_left_out_and_named(actual, predicted, absent):
    missing = {}
    found = regression.measure(regression.Numbers(np.array(actual), np.array(predicted)), missing)
    assert set(missing) == absent
    assert not {one.name for one in found} & absent
    assert all(math.isfinite(one.value) for one in found)


def several(n=200, labels=6):
    actual = RNG.random((n, labels)) < np.linspace(0.05, 0.6, labels)
    scores = np.clip(actual * 0.4 + RNG.random((n, labels)) * 0.6, 0, 1).round(2)
    return multi_label.Decisions(tuple("abcdef"[:labels]), actual, scores >= 0.5, scores)


def test_several_labels_are_measured_as_scikit_learn_does():
    one = several()
    found = by_name(multi_label.measure(one, {}))
    assert found[("subset_accuracy",)].value == pytest.approx(metrics.accuracy_score(one.actual, one.given), **EXACT)
    assert found[("hamming_loss",)].value == pytest.approx(metrics.hamming_loss(one.actual, one.given), **EXACT)
    assert found[("lrap",)].value == pytest.approx(
        metrics.label_ranking_average_precision_score(one.actual, one.scores), **EXACT
    )
    functions = {"f1": metrics.f1_score, "precision": metrics.precision_score, "recall": metrics.recall_score}
    for name, average in itertools.product(functions, ("micro", "macro")):
        expected = functions[name](one.actual, one.given, average=average, zero_division=0)
        assert found[(f"{name}_{average}",)].value == pytest.approx(expected, **EXACT), (name, average)
    expected = metrics.f1_score(one.actual, one.given, average="samples", zero_division=0)
    assert found[("f1_samples",)].value == pytest.approx(expected, **EXACT)
    for place, label in enumerate(one.labels):
        expected = metrics.average_precision_score(one.actual[:, place], one.scores[:, place])
        assert found[("pr_auc", label)].value == pytest.approx(expected, **EXACT)


def test_rows_without_labels_and_labels_nobody_has_break_nothing():
    nothing = np.zeros((4, 2), dtype=bool)
    missing = {}
    found = by_name(multi_label.measure(multi_label.Decisions(("a", "b"), nothing, nothing, nothing * 0.1), missing))
    assert (found[("subset_accuracy",)].value, found[("f1_samples",)].value, found[("lrap",)].value) == (1, 0, 1)
    assert {"f1_micro", "recall of a", "precision of b"} <= set(missing)
    assert ("f1", "a") not in found


def test_spans_count_only_with_both_ends_and_type_right():
    true = [[(0, 3, "P"), (5, 9, "L")], [(1, 2, "P")], []]
    found = [[(0, 3, "P"), (5, 9, "P")], [(1, 3, "P")], [(0, 1, "L")]]
    measured = by_name(spans.measure(spans.Counts.of(true, found), {}))
    # One of four found is right; three are true.
    assert measured[("span_precision",)].value == 1 / 4
    assert measured[("span_recall",)].value == 1 / 3
    assert measured[("span_f1",)].value == 2 / 7
    assert measured[("span_f1", "P")].value == 2 / 5
    assert measured[("span_f1", "L")].value == 0
    assert measured[("span_f1_macro",)].value == pytest.approx(1 / 5)
    missing = {}
    spans.measure(spans.Counts.of([[(0, 1, "P")]], [[]]), missing)
    assert "span_precision" in missing


def test_lists_are_scikit_learn_s_and_what_counting_gives():
    users = np.repeat(np.arange(30), 12)
    gains, scores = RNG.integers(0, 4, 360).astype(float), RNG.permutation(360) / 360
    gains[:12] = 0  # a user with nothing relevant
    found = lists.values(users.tolist(), gains, scores, (1, 5))
    assert found.num_empty == sum(not gains[users == user].any() for user in range(30))
    for name, k in itertools.product(("ndcg", "recall", "hit"), (1, 5)):
        values = []
        for user in range(30):
            own, given = gains[users == user], scores[users == user]
            if not own.any():
                continue
            first = own[np.argsort(-given)][:k]
            relevant, among = (own > 0).sum(), (first > 0).sum()
            values.append({"ndcg": metrics.ndcg_score([own], [given], k=k), "recall": among / relevant,
                           "hit": float(among > 0)}[name])  # fmt: skip
        assert getattr(found, name)[k] == pytest.approx(values, **EXACT), (name, k)
    own = [user for user in range(30) if gains[users == user].any()]
    precisions = [metrics.average_precision_score(gains[users == user] > 0, scores[users == user]) for user in own]
    assert found.average_precision == pytest.approx(precisions, **EXACT)
    order = [(gains[users == user] > 0)[np.argsort(-scores[users == user])] for user in own]
    assert found.reciprocal == pytest.approx([1 / (1 + int(np.argmax(one))) for one in order], **EXACT)


def test_a_constant_score_ranks_no_better_than_chance_whatever_the_order_of_the_rows():
    users, scores = np.repeat(np.arange(400), 10), np.zeros(4000)
    for place in (0, 9):
        gains = np.zeros((400, 10))
        gains[:, place] = 1
        found = lists.values(users.tolist(), gains.ravel(), scores, (1,))
        chance = (1 / np.arange(1, 11)).mean()
        assert abs(found.reciprocal.mean() - chance) < 4 * 0.27 / np.sqrt(400)
    assert lists.values(["a"] * 3, np.zeros(3), np.zeros(3), (1,)).num_empty == 1


def test_shared_words_and_rouge_are_rouge_score_s():
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    for said, wanted in ENGLISH:
        expected = scorer.score(wanted, said)
        found = overlap.rouge(said, wanted)
        assert found == pytest.approx([expected[name].fmeasure for name in ("rouge1", "rouge2", "rougeL")], **EXACT)


def test_the_longest_common_subsequence_is_that_of_the_table():
    for _ in range(40):
        one, two = (list(RNG.choice(list("abcd"), RNG.integers(0, 12))) for _ in range(2))
        table = np.zeros((len(one) + 1, len(two) + 1), dtype=int)
        for i, j in itertools.product(range(len(one)), range(len(two))):
            same = table[i, j] + 1 if one[i] == two[j] else 0
            table[i + 1, j + 1] = max(same, table[i, j + 1], table[i + 1, j])
        assert overlap.common_subsequence(one, two) == table[-1, -1]


def test_exact_match_and_f1_normalise_as_squad_and_take_chinese_by_character():
    assert overlap.exact_match("The Eiffel Tower.", "eiffel  tower")
    assert overlap.exact_match("北京。", "北京")
    assert overlap.token_f1("the big red dog", "a red dog") == pytest.approx(2 * (2 / 3 * 1) / (2 / 3 + 1))
    assert overlap.token_f1("北京市", "北京") == pytest.approx(0.8)
    assert (overlap.token_f1("", ""), overlap.token_f1("", "x"), overlap.token_f1("The", "a")) == (1, 0, 1)


def test_the_chance_of_a_pass_is_that_of_every_draw():
    for n, right in itertools.product((1, 4, 6), range(7)):
        for k in range(1, n + 1):
            if right > n:
                continue
            draws = list(itertools.combinations([place < right for place in range(n)], k))
            assert overlap.pass_at_k(n, right, k) == pytest.approx(sum(map(any, draws)) / len(draws), **EXACT)
    with pytest.raises(ValueError, match="k must be"):
        overlap.pass_at_k(2, 1, 3)


@pytest.mark.parametrize("pairs", [ENGLISH * 6, CHINESE * 10])
def test_bleu_and_chrf_are_sacrebleu_s_and_their_parts_add_up_to_them(pairs):
    from sacrebleu.metrics import BLEU, CHRF

    said, wanted = [one for one, _ in pairs], [two for _, two in pairs]
    value, ends = translation.bleu(said, wanted)
    assert value == pytest.approx(
        BLEU(tokenize="zh" if pairs[0] == CHINESE[0] else "13a").corpus_score(said, [wanted]).score
    )
    assert ends[0] < value < ends[1]
    value, ends = translation.chrf(said, wanted)
    assert value == pytest.approx(CHRF().corpus_score(said, [wanted]).score, **EXACT)
    parts = np.array([translation.chrf_parts(*pair) for pair in pairs], dtype=float)
    assert 100 * translation.chrf_of(parts.sum(axis=0)) == pytest.approx(value, **EXACT)
    assert ends[0] < value < ends[1]


def test_the_parts_of_bleu_give_sacrebleu_s_bleu():
    from sacrebleu.metrics import BLEU

    one = BLEU.compute_bleu([9, 6, 4, 2], [12, 11, 10, 9], 12, 14)
    sums = np.array([9, 6, 4, 2, 12, 11, 10, 9, 12, 14], dtype=float)
    assert 100 * translation.bleu_of(sums) == pytest.approx(one.score, **EXACT)


def test_kappa_of_ordered_classes_is_scikit_learn_s():
    actual = RNG.integers(0, 4, 300)
    predicted = np.clip(actual + RNG.integers(-1, 2, 300), 0, 3)
    confusion = confusion_matrix(actual, predicted, 4)
    expected = metrics.cohen_kappa_score(actual, predicted, weights="quadratic")
    assert ordinal.quadratic_kappa(confusion) == pytest.approx(expected, **EXACT)
    low, high = ordinal.quadratic_kappa_interval(confusion)
    assert low < expected < high
    assert math.isnan(ordinal.quadratic_kappa(confusion_matrix([1] * 9, [1] * 9, 3)))


def test_ranks_follow_the_order_named_and_costs_the_table():
    labels = ("bad", "good", "ok")
    answers = Answers(labels, np.array([0, 1, 2, 1]), np.array([0, 0, 1, 1]), np.full((4, 3), 1 / 3))
    found = by_name(ordinal.of_ranks(answers, ("bad", "ok", "good")))
    assert found[("rank_mae",)].value == (0 + 2 + 1 + 0) / 4
    assert found[("kappa_quadratic",)].value == pytest.approx(
        metrics.cohen_kappa_score([0, 2, 1, 2], [0, 0, 2, 2], weights="quadratic"), **EXACT
    )
    costs = {"good": {"bad": 5.0}}
    found = by_name(ordinal.of_costs(answers, costs))
    assert found[("mean_cost",)].value == (0 + 5 + 1 + 0) / 4
    assert found[("cost_accuracy",)].value == pytest.approx(1 - 6 / (1 + 5 + 1 + 5))


def test_partners_of_equal_texts_come_last_and_cosines_are_scikit_learn_s():
    first, second = RNG.normal(size=(20, 5)), RNG.normal(size=(20, 5))
    expected = metrics.pairwise.cosine_similarity(first, second)
    assert similarity.cosines(first, second) == pytest.approx(np.diag(expected), **EXACT)
    places = similarity.partner_places(first, second, range(20))
    assert places.tolist() == [int((row > row[place]).sum()) + 1 for place, row in enumerate(expected)]
    assert similarity.partner_places(np.ones((3, 2)), np.ones((3, 2)), range(3)).tolist() == [3, 3, 3]
    assert similarity.cosines(np.zeros((1, 2)), np.ones((1, 2))) == [0.0]
