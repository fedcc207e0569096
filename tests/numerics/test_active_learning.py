"""Strategies against brute force and definitions; and, on real reviews, against drawing at random."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from modelyard.methods.evaluation.label_quality import embeddings, selecting

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
STRATEGIES = tuple(selecting._STRATEGIES)


def pool(rows=60, classes=3, dimensions=4, labelled=5, seed=0):
    generator = np.random.default_rng(seed)
    weights = generator.gamma(1, size=(rows, classes))
    vectors = generator.normal(size=(rows + labelled, dimensions))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return selecting.Pool(
        weights / weights.sum(1, keepdims=True), vectors[:rows], vectors[rows:], [f"r{row}" for row in range(rows)]
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_batch_has_no_row_twice_and_comes_out_the_same_again(strategy):
    found = selecting.choose(strategy, pool(), 20, 3)
    assert len(set(found.tolist())) == 20
    assert (found == selecting.choose(strategy, pool(), 20, 3)).all()
    assert sorted(selecting.choose(strategy, pool(), 100, 3).tolist()) == list(range(60))


@pytest.mark.parametrize("strategy", ["least_confident", "margin", "entropy", "k_centre", "cluster_margin", "random"])
def test_the_order_of_the_pool_does_not_matter(strategy):
    one = pool()
    order = np.random.default_rng(5).permutation(60)
    other = selecting.Pool(
        one.probabilities[order], one.embeddings[order], one.labelled, [one.row_ids[place] for place in order]
    )
    names = [one.row_ids[place] for place in selecting.choose(strategy, one, 15, 0)]
    again = [other.row_ids[place] for place in selecting.choose(strategy, other, 15, 0)]
    assert sorted(names) == sorted(again)


def test_uncertainty_is_what_its_definition_says():
    p = np.array([[0.5, 0.5, 0.0], [0.4, 0.35, 0.25], [0.9, 0.05, 0.05], [0.55, 0.4, 0.05]])
    one = selecting.Pool(p, np.zeros((4, 0)), np.zeros((0, 0)), list("abcd"))
    assert selecting.choose("least_confident", one, 4, 0).tolist() == [1, 0, 3, 2]
    assert selecting.choose("margin", one, 4, 0).tolist() == [0, 1, 3, 2]
    entropy = [-sum(x * np.log(x) for x in row if x) for row in p]
    assert selecting.choose("entropy", one, 4, 0).tolist() == np.argsort(-np.array(entropy)).tolist()


def test_k_centre_takes_the_farthest_row_each_time():
    one = pool()
    centres = list(one.labelled)
    for place in selecting.choose("k_centre", one, 10, 0):
        far = [min(((row - centre) ** 2).sum() for centre in centres) for row in one.embeddings]
        assert far[place] == pytest.approx(max(far))
        centres.append(one.embeddings[place])


def test_badge_measures_distances_of_the_gradient_embeddings_it_never_makes(monkeypatch):
    """The second row is drawn with a chance in proportion to the squared distance of the outer products."""
    one = pool(rows=8)
    residual = one.probabilities - np.eye(3)[one.probabilities.argmax(1)]
    outer = np.einsum("nk,nd->nkd", residual, one.embeddings).reshape(8, -1)
    first = int(np.argmax((outer**2).sum(1)))
    distance = ((outer - outer[first]) ** 2).sum(1)
    counts = np.zeros(8)
    for seed in range(2000):
        chosen = selecting.choose("badge", one, 2, seed)
        assert chosen[0] == first
        counts[chosen[1]] += 1
    expected = 2000 * distance / distance.sum()
    there = expected > 0
    chi_squared = ((counts - expected)[there] ** 2 / expected[there]).sum()
    assert counts[first] == 0
    assert chi_squared < 24.3  # 0.999 quantile of 7 degrees of freedom


def test_cluster_margin_spreads_over_clusters_where_margin_takes_one():
    """Twenty near-copies are the least certain: margin asks for all of them, cluster margin for one a turn."""
    vectors = np.vstack([np.tile([1.0, 0, 0, 0], (20, 1)), np.eye(4)[[1, 2, 3]].repeat(10, 0)])
    best = np.concatenate([np.full(20, 0.51), np.full(30, 0.6)])
    one = selecting.Pool(np.stack([best, 1 - best], 1), vectors, vectors[:0], [f"r{row}" for row in range(50)])
    assert (selecting.choose("margin", one, 5, 0) < 20).all()
    assert (selecting.choose("cluster_margin", one, 5, 0) < 20).sum() <= 2


@pytest.fixture(scope="module")
def mails():
    """Features, short vectors and labels of 1,600 mails to learn from, and of those to test on."""
    with (EXAMPLES / "spam-en" / "mail.csv").open(encoding="utf-8") as stream:
        rows = [(row["text"][:300], row["label"]) for row in csv.DictReader(stream)]
    order = np.random.default_rng(0).permutation(len(rows))
    texts, labels = [rows[place][0] for place in order], np.array([rows[place][1] for place in order])
    vectorizer = TfidfVectorizer(sublinear_tf=True).fit(texts[:1600])
    x = vectorizer.transform(texts)
    vectors = embeddings.fit(texts[:1600], 32, 0)(texts[:1600])
    return x[:1600], vectors, labels[:1600], x[1600:], labels[1600:]


def learning_curve(strategy, mails, seed, start=30, batch=15, rounds=8):
    """Accuracy on held-out rows after each batch, a fresh model each time."""
    x, vectors, labels, x_held, held = mails
    order = np.random.default_rng(seed).permutation(len(labels))
    chosen, left = order[:start].tolist(), order[start:].tolist()
    found = []
    for step in range(rounds + 1):
        model = LogisticRegression(C=30).fit(x[chosen], labels[chosen])
        found.append(float((model.predict(x_held) == held).mean()))
        if step < rounds:
            rows = selecting.Pool(
                model.predict_proba(x[left]), vectors[left], vectors[chosen], [str(row) for row in left]
            )
            picked = {left[place] for place in selecting.choose(strategy, rows, batch, seed)}
            chosen += sorted(picked)
            left = [row for row in left if row not in picked]
    return np.array(found)


@pytest.mark.proof
@pytest.mark.parametrize("strategy", ["margin", "cluster_margin", "badge"])
def test_a_strategy_beats_chance_on_real_mails_by_more_than_luck(strategy, mails):
    """From 90 to 150 labelled mails, over 20 beginnings: 3 standard errors of gain (p = 0.004) but for some room."""
    gains = np.array(
        [
            (learning_curve(strategy, mails, seed) - learning_curve("random", mails, seed))[4:].mean()
            for seed in range(20)
        ]
    )
    assert gains.mean() > 0.01
    assert gains.mean() > 2.8 * gains.std(ddof=1) / np.sqrt(len(gains))
