"""The mathematics of training against torch, scikit-learn and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score, log_loss
from sklearn.utils.class_weight import compute_class_weight

from modelyard.methods.preprocessing import ngrams
from modelyard.methods.training import blending, evaluation, linear, objectives, optimizers
from modelyard.methods.training.candidates import Examples
from modelyard.methods.training.settings import Optimizer

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(50, 4)).astype(np.float32)
LABELS = RANDOM.integers(0, 4, 50)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_cross_entropy_is_torchs_for_equal_weights(smoothing: float) -> None:
    logits, labels = torch.tensor(LOGITS), torch.tensor(LABELS)
    found = objectives.cross_entropy(logits, labels, torch.ones(50), smoothing) / 50
    assert found.item() == pytest.approx(
        torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing).item(), rel=1e-6
    )


def test_weighted_cross_entropy_is_torchs() -> None:
    logits, labels = torch.tensor(LOGITS), torch.tensor(LABELS)
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0])
    found = objectives.cross_entropy(logits, labels, weights[labels], 0.0) / weights[labels].sum()
    assert found.item() == pytest.approx(torch.nn.functional.cross_entropy(logits, labels, weights).item(), rel=1e-6)


def test_a_row_of_weight_two_is_the_row_twice() -> None:
    logits, labels = torch.tensor(LOGITS[:3]), torch.tensor(LABELS[:3])
    once = objectives.cross_entropy(logits, labels, torch.tensor([1.0, 2.0, 1.0]), 0.1)
    twice = objectives.cross_entropy(logits[[0, 1, 1, 2]], labels[[0, 1, 1, 2]], torch.ones(4), 0.1)
    assert once.item() == pytest.approx(twice.item(), rel=1e-6)


def test_balanced_class_weights_are_scikit_learns() -> None:
    labels = np.array([0] * 70 + [1] * 20 + [2] * 10)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert objectives.class_weights(labels, 3, "balanced") == pytest.approx(expected)


def test_l1_counts_matrices_and_spares_biases() -> None:
    module = torch.nn.Linear(2, 2)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, -2.0], [3.0, -4.0]]))
        module.bias.fill_(100.0)
    assert objectives.l1_penalty(module).item() == pytest.approx(10.0)


def test_weight_decay_spares_biases_and_norms() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.LayerNorm(3))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1.0)
    optimizer = optimizers.build(Optimizer(weight_decay=0.5), module, learning_rate=0.1)
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    values = {name: parameter.unique().tolist() for name, parameter in module.named_parameters()}
    assert values["0.weight"] == pytest.approx([0.95])
    assert values["0.bias"] == values["1.weight"] == values["1.bias"] == [1.0]


def test_frozen_parameters_reach_no_optimizer() -> None:
    module = torch.nn.Linear(3, 3)
    module.weight.requires_grad = False
    assert [len(group["params"]) for group in optimizers.groups(module, 0.1)] == [1]


def test_scores_are_scikit_learns() -> None:
    found = evaluation.scores(LOGITS, LABELS)
    answers = LOGITS.argmax(1)
    assert found["accuracy"] == pytest.approx((answers == LABELS).mean())
    assert found["f1_macro"] == pytest.approx(f1_score(LABELS, answers, average="macro"))
    assert found["loss"] == pytest.approx(log_loss(LABELS, np.exp(evaluation.log_softmax(LOGITS))), rel=1e-6)


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        (ngrams.Family("char", 1, 3), {"analyzer": "char", "ngram_range": (1, 3)}),
        (ngrams.Family("inword", 2, 4), {"analyzer": "char_wb", "ngram_range": (2, 4)}),
        (ngrams.Family("word", 1, 2), {"token_pattern": r"\w+|[^\w\s]", "ngram_range": (1, 2)}),
    ],
)
def test_ngram_weights_are_scikit_learns_tfidf(family: ngrams.Family, settings: dict) -> None:
    texts = ["good phone, good price", "bad phone", "the price is bad bad", "价格很好", "手机 很好 good"]
    if family.unit == "inword":
        # scikit-learn drops n-grams of words shorter than n twice over; only longer words agree.
        texts = ["goodness phones pricey", "badness phones", "pricey goodness goodness"]
    peer = TfidfVectorizer(sublinear_tf=True, min_df=2, **settings)
    expected = peer.fit_transform(texts).toarray()
    fitted = ngrams.fit(texts, (family,), min_rows=2)
    rows, ids, weights = fitted.sparse(texts)
    found = np.zeros((len(texts), fitted.num_features))
    found[rows, ids] = weights
    columns = [1 + fitted.grams[0].index(gram) for gram in peer.get_feature_names_out()]
    assert len(columns) == fitted.num_features - 1
    assert found[:, columns] == pytest.approx(expected, abs=1e-6)


def test_each_family_has_length_one_over_the_root_of_their_number() -> None:
    texts = ["good phone", "good price", "phone price"]
    fitted = ngrams.fit(texts, (ngrams.Family("word", 1, 1), ngrams.Family("inword", 2, 3)))
    rows, _, weights = fitted.sparse(texts)
    assert np.bincount(rows, weights.astype(float) ** 2) == pytest.approx([1.0] * 3, abs=1e-6)


def test_the_linear_table_answers_as_the_support_vector_machine_does() -> None:
    from sklearn.svm import LinearSVC

    texts = [f"{word} {position % 5}" for position, word in enumerate(["good", "bad", "so so"] * 20)]
    examples = Examples(texts, np.array([0, 1, 2] * 20), [""] * 60, np.ones(60, np.float32))
    vocabulary = ngrams.fit(texts)
    x = linear.matrix(vocabulary, examples)
    weight, bias = linear._fit(x, examples, 3, 1.0, False, "none", 0)
    peer = LinearSVC(C=1.0, random_state=0, max_iter=linear.MAX_ITERATIONS).fit(x, examples.labels)
    assert x @ weight + bias == pytest.approx(peer.decision_function(x), abs=1e-6)


def test_two_classes_get_symmetric_logits_that_differ_by_the_machines_score() -> None:
    texts = ["good one", "bad one", "good two", "bad two"] * 5
    examples = Examples(texts, np.array([0, 1] * 10), [""] * 20, np.ones(20, np.float32))
    x = linear.matrix(ngrams.fit(texts), examples)
    weight, bias = linear._fit(x, examples, 2, 1.0, False, "none", 0)
    logits = x @ weight + bias
    assert logits[:, 0] == pytest.approx(-logits[:, 1])
    assert ((logits[:, 1] > 0) == examples.labels.astype(bool)).all()


def test_log_count_ratios_are_the_closed_form() -> None:
    from scipy.sparse import csr_matrix

    x = csr_matrix(np.array([[3.0, 0.0, 1.0], [0.0, 2.0, 1.0]]))
    inside, outside = np.array([4.0, 1.0, 2.0]), np.array([1.0, 3.0, 2.0])
    ratio = np.abs(np.log((inside / inside.sum()) / (outside / outside.sum())))
    assert linear.log_count_ratio(x, np.array([True, False])) == pytest.approx(ratio / ratio.mean())


def test_the_temperature_undoes_a_known_scale() -> None:
    draw = np.random.default_rng(1)
    logits = draw.normal(size=(4000, 3)) * 2
    shares = np.exp(evaluation.log_softmax(logits))
    labels = np.array([draw.choice(3, p=row) for row in shares])
    assert linear.temperature(logits / 5, labels) == pytest.approx(5.0, rel=0.1)


def test_blend_weights_follow_the_child_that_knows() -> None:
    draw = np.random.default_rng(2)
    labels = draw.integers(0, 2, 500)
    knows = np.stack([labels == 0, labels == 1], 1) * 2.0 + draw.normal(size=(500, 2))
    guesses = draw.normal(size=(500, 2))
    knowing, guessing = blending.fit_weights([knows.astype(np.float32), guesses.astype(np.float32)], labels)
    assert knowing > 5 * guessing
