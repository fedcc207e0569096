"""Metrics from a confusion matrix against scikit-learn, absent classes and empty predictions included."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from modelyard.methods.evaluation.classification import Classes, averages, confusion_matrix, top_k_hits


def cases():
    generator = np.random.default_rng(0)
    for classes, n in ((2, 50), (3, 40), (7, 30), (77, 500)):
        for _ in range(4):
            yield generator.integers(0, classes, n), generator.integers(0, classes, n), classes
    yield np.array([0, 0, 1, 1]), np.array([2, 2, 2, 2]), 4  # one class only predicted, one absent
    yield np.array([0, 0, 0]), np.array([0, 0, 0]), 3
    yield np.array([1, 1, 2]), np.array([1, 2, 2]), 3
    yield np.array([2]), np.array([0]), 3


CASES = list(cases())


@pytest.mark.parametrize(("actual", "predicted", "classes"), CASES)
def test_every_average_equals_scikit_learn_s(actual, predicted, classes):
    value = averages(confusion_matrix(actual, predicted, classes))
    options = {"zero_division": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "accuracy": metrics.accuracy_score(actual, predicted),
            "balanced_accuracy": metrics.balanced_accuracy_score(actual, predicted),
            **{
                f"{name}_{kind}": score(actual, predicted, average=kind, **options)
                for kind in ("macro", "weighted")
                for name, score in (
                    ("precision", metrics.precision_score),
                    ("recall", metrics.recall_score),
                    ("f1", metrics.f1_score),
                )
            },
        }
    for name, number in expected.items():
        assert getattr(value, name) == pytest.approx(number, abs=1e-12), name


@pytest.mark.parametrize(("actual", "predicted", "classes"), CASES)
def test_classes_equal_scikit_learn_s_per_class_numbers(actual, predicted, classes):
    one = Classes.of(confusion_matrix(actual, predicted, classes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = metrics.precision_recall_fscore_support(actual, predicted, labels=range(classes), zero_division=0)
    for found, wanted in zip((one.precision, one.recall, one.f1, one.support), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize(("actual", "predicted", "classes"), CASES)
def test_mcc_equals_scikit_learn_s_and_is_no_number_where_one_side_is_constant(actual, predicted, classes):
    found = averages(confusion_matrix(actual, predicted, classes)).mcc
    if len(set(actual)) == 1 or len(set(predicted)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(metrics.matthews_corrcoef(actual, predicted), abs=1e-12)


def test_rows_of_the_confusion_matrix_are_actual_classes():
    found = confusion_matrix([0, 0, 1], [1, 1, 1], 2)
    np.testing.assert_array_equal(found, metrics.confusion_matrix([0, 0, 1], [1, 1, 1]))
    assert found[0, 1] == 2


def test_indices_outside_the_classes_and_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="0 … 1"):
        confusion_matrix([0, 2], [0, 1], 2)
    with pytest.raises(ValueError, match="0 … 1"):
        confusion_matrix([0, -1], [0, 1], 2)
    with pytest.raises(ValueError, match="one length"):
        confusion_matrix([0], [0, 1], 2)


def test_without_rows_nothing_is_a_number():
    value = averages(confusion_matrix([], [], 3))
    assert all(math.isnan(getattr(value, name)) for name in vars(value))


def test_an_absent_class_does_not_count_in_macro_averages_but_a_missed_one_does():
    absent = averages(confusion_matrix([0, 0, 1, 1], [0, 0, 1, 1], 3))
    missed = averages(confusion_matrix([0, 0, 1, 2], [0, 0, 1, 1], 3))
    assert absent.f1_macro == 1.0
    assert missed.f1_macro == pytest.approx((1 + 2 / 3 + 0) / 3, abs=1e-12)


def test_top_k_equals_scikit_learn_s_without_ties():
    generator = np.random.default_rng(1)
    scores = generator.dirichlet(np.ones(9), 200)
    actual = generator.integers(0, 9, 200)
    for k in (1, 2, 5):
        expected = metrics.top_k_accuracy_score(actual, scores, k=k, labels=range(9))
        assert top_k_hits(actual, scores, k).mean() == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.25, 0.5]), min_size=4, max_size=4), min_size=1, max_size=20))
@settings(deadline=None)
def test_top_1_is_the_predicted_label_also_with_ties(rows):
    scores = np.array(rows)
    for label in range(4):
        actual = np.full(len(rows), label)
        np.testing.assert_array_equal(top_k_hits(actual, scores, 1), scores.argmax(axis=1) == label)
        assert top_k_hits(actual, scores, 4).all()
