"""Confident learning against a slow reference; the estimated error rate against planted errors; folds."""

from __future__ import annotations

import numpy as np
import pytest

from modelyard.methods.evaluation.label_quality import confident, error_rate, folds, numbers


def random_probabilities(generator, rows, classes, sharp=3.0):
    logits = generator.normal(size=(rows, classes)) * sharp
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def slow_joint(labels, probabilities):
    """Northcutt et al. 2021, equation 1 and algorithm 1, one row at a time."""
    num_classes = probabilities.shape[1]
    thresholds = [
        np.mean([probabilities[row][k] for row in range(len(labels)) if labels[row] == k]) for k in range(num_classes)
    ]
    joint = [[0] * num_classes for _ in range(num_classes)]
    for row in range(len(labels)):
        confident_in = [k for k in range(num_classes) if probabilities[row][k] >= thresholds[k] - 1e-6]
        if confident_in:
            likely = max(confident_in, key=lambda k: probabilities[row][k])
            joint[labels[row]][likely] += 1
    for k in range(num_classes):
        joint[k][k] = max(1, joint[k][k])
    return joint


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("seed", range(3))
def test_the_confident_joint_is_that_of_the_slow_reference(classes, seed):
    generator = np.random.default_rng(seed)
    probabilities = random_probabilities(generator, 300, classes)
    labels = np.concatenate([np.arange(classes), generator.integers(0, classes, 300 - classes)])
    assert confident.joint(labels, probabilities).tolist() == slow_joint(labels, probabilities)


def test_rows_are_ranked_by_the_probability_of_their_label():
    generator = np.random.default_rng(0)
    probabilities = random_probabilities(generator, 200, 3)
    labels = probabilities.argmax(1)
    labels[:20] = (labels[:20] + 1) % 3
    issues = confident.find(labels, probabilities)
    assert np.allclose(issues.quality, probabilities[np.arange(200), labels])
    order = confident.order(issues, [str(row) for row in range(200)])
    assert set(order) <= set(range(20))
    assert np.all(np.diff(issues.quality[order]) >= 0)
    assert (issues.suggested[:20] == probabilities[:20].argmax(1)).all()


def clouds(generator, rows, classes, apart):
    centres = np.eye(classes) * apart
    truth = generator.integers(0, classes, rows)
    return centres[truth] + generator.normal(size=(rows, classes)), truth


def planted(seed, rate, apart=5.0, classes=3, rows=1200):
    """Features, labels with a share of them wrong, and which are."""
    generator = np.random.default_rng(seed)
    x, truth = clouds(generator, rows, classes, apart)
    wrong = generator.random(rows) < rate
    labels = np.where(wrong, (truth + generator.integers(1, classes, rows)) % classes, truth)
    return x, labels, wrong


def judged(seed, rate, apart=5.0):
    x, labels, wrong = planted(seed, rate, apart)
    fold = np.arange(len(labels)) % 5
    probabilities = numbers.out_of_fold(x, labels, (x[:0], labels[:0]), fold, "logistic", seed)
    rate_found = error_rate.estimate(labels, probabilities, confident.num_issues(labels, probabilities))
    return rate_found, confident.find(labels, probabilities), wrong


@pytest.mark.parametrize("apart", [5.0, 2.0], ids=["easy", "hard"])
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.1, 0.2])
def test_the_interval_holds_the_planted_share_of_errors(rate, apart):
    """12 draws each: if the interval held the truth 95 times in 100, fewer than 10 hits had a chance of 0.02."""
    hits = 0
    for seed in range(12):
        found, _, wrong = judged(seed, rate, apart)
        assert found.low <= found.value <= found.high
        hits += found.low <= wrong.mean() <= found.high
    assert hits >= 10


def test_the_interval_is_narrow_where_the_task_is_easy_and_wide_where_it_is_hard():
    easy, hard = judged(0, 0.1, 6.0)[0], judged(0, 0.1, 2.0)[0]
    assert easy.high - easy.low < 0.09
    assert hard.high - hard.low > 0.15


def test_planted_errors_are_found_first():
    _, issues, wrong = judged(0, 0.1)
    order = np.argsort(issues.quality)
    assert wrong[order[: wrong.sum()]].mean() > 0.9
    assert issues.flagged[wrong].mean() > 0.8
    assert issues.flagged[~wrong].mean() < 0.02


def test_no_near_equal_text_and_no_group_is_in_two_folds_and_classes_are_alike():
    generator = np.random.default_rng(0)
    texts = [f"{''.join(generator.choice(list('abcdefgh'), 12))} {row}" for row in range(400)]
    texts[100:140] = [text.upper() + "!!" for text in texts[:40]]
    labels = (np.arange(400) % 4 == 0).astype(np.int64)
    labels[100:140] = labels[:40]
    groups = [f"g{row // 3}" if row < 90 else None for row in range(400)]
    found = folds.assign([folds.near_key(text) for text in texts], labels, groups, 5, 0)
    assert (found[100:140] == found[:40]).all()
    assert all(len({found[row] for row in range(start, start + 3)}) == 1 for start in range(0, 90, 3))
    counts = np.array([[((found == fold) & (labels == label)).sum() for label in (0, 1)] for fold in range(5)])
    assert (np.ptp(counts, 0) <= 6).all()


def test_folds_do_not_depend_on_the_order_of_the_rows():
    texts = [f"text {chr(97 + row % 26)}{chr(97 + row // 26)}" for row in range(200)]
    labels = np.arange(200) % 3
    keys = [folds.near_key(text) for text in texts]
    order = np.random.default_rng(0).permutation(200)
    one = folds.assign(keys, labels, None, 4, 7)
    other = folds.assign([keys[row] for row in order], labels[order], None, 4, 7)
    assert (one[order] == other).all()
    assert (folds.assign(keys, labels, None, 4, 8) != one).any()
