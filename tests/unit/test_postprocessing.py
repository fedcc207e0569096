"""The decision layer of a model: kinds, their order, what model.json keeps, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from support import small_model

from modelyard.errors import InputError
from modelyard.methods import postprocessing
from modelyard.methods.postprocessing import conformal
from modelyard.methods.postprocessing.step import log_odds, log_softmax
from modelyard.methods.runtimes import load
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.tasks.tabular_regression import Quantity
from modelyard.methods.tasks.text_classification import Classification
from modelyard.serving.rest import Encoder

TASK = "text-classification"
LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [-3.0, 8.0, 1.0]], np.float32)


def shares(logits):
    return np.exp(log_softmax(np.asarray(logits)))


def chain(*settings, labels=("a", "b", "c"), task=TASK):
    return postprocessing.load(settings, task, labels)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_model.write_linear_model(tmp_path_factory.mktemp("model") / "m", small_model.reviews(80, 0))


def with_steps(model, folder, *steps):
    shutil.copytree(model, folder)
    card = replace(ModelCard.read(folder), postprocessing=steps)
    card.write(folder)
    return folder


def ask(folder, count=20):
    predictor = load(folder)
    try:
        return predictor.predict([{"text": text} for text, _ in small_model.reviews(count, 5)])
    finally:
        predictor.close()


def test_a_model_without_steps_has_no_such_key(model):
    assert "postprocessing" not in json.loads((model / "model.json").read_text())
    before = (model / "model.json").read_bytes()
    ModelCard.read(model).write(model)
    assert (model / "model.json").read_bytes() == before
    assert "set" not in ask(model)[0].to_json()
    assert "abstained" not in ask(model)[0].to_json()


def test_the_predictor_applies_the_steps_in_order(model, tmp_path):
    sets = {"kind": "conformal_set", "score": "lac", "threshold": 0.45, "penalty": 0, "free": 0, "empty": False}
    steps = ({"kind": "temperature", "temperature": 3.0}, sets, {"kind": "abstention", "threshold": 0.7})
    plain, found = ask(model), ask(with_steps(model, tmp_path / "m", *steps))
    for one, other in zip(plain, found, strict=True):
        odds = np.log(one.scores["good"] / one.scores["bad"]) / 3
        assert other.scores["good"] == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-9)
        assert other.label == one.label
        assert other.abstained == (max(other.scores.values()) < 0.7)
        assert other.set == (other.label,)
        assert list(other.to_json()) == ["label", "scores", "set", "abstained"]


def test_an_answer_does_not_depend_on_its_batch(model, tmp_path):
    sets = {"kind": "conformal_set", "score": "aps", "threshold": 0.9, "penalty": 0, "free": 0, "empty": False}
    folder = with_steps(model, tmp_path / "m", sets)
    predictor = load(folder)
    records = [{"text": text} for text, _ in small_model.reviews(12, 5)]
    together = predictor.predict(records)
    assert [predictor.predict([record])[0].set for record in records] == [one.set for one in together]
    predictor.close()


def test_temperature_keeps_the_order_and_platt_of_slope_one_keeps_two_classes():
    assert shares(chain({"kind": "temperature", "temperature": 2}).outputs(LOGITS, [])) == pytest.approx(
        shares(LOGITS / 2)
    )
    two = LOGITS[:, :2]
    kept = chain({"kind": "platt", "slope": [1], "shift": [0]}, labels=("a", "b")).outputs(two, [])
    assert shares(kept) == pytest.approx(shares(two))
    many = chain({"kind": "platt", "slope": [1] * 3, "shift": [0] * 3}).outputs(LOGITS, [])
    assert shares(many) == pytest.approx(shares(LOGITS))


def test_vector_scaling_and_isotonic_curves():
    moved = chain({"kind": "vector", "scale": [1, 1, 1], "shift": [0, 5, 0]}).outputs(LOGITS, [])
    assert shares(moved) == pytest.approx(shares(LOGITS + np.array([0, 5, 0])))
    curve = {"x": [0.0, 1.0], "y": [0.0, 1.0]}
    kept = chain({"kind": "isotonic", "curves": [curve] * 3, "floor": 0}).outputs(LOGITS, [])
    assert shares(kept) == pytest.approx(shares(LOGITS))
    flat = {"x": [0.2], "y": [0.4]}
    two = chain({"kind": "isotonic", "curves": [flat], "floor": 0}, labels=("a", "b")).outputs(LOGITS[:, :2], [])
    assert shares(two)[:, 1] == pytest.approx([0.4] * 3)


def test_log_odds_near_one():
    sure = log_odds(log_softmax(np.array([[60.0, 0.0], [0.0, 600.0]])))
    assert sure == pytest.approx(np.array([[60, -60], [-600, 600]]), rel=1e-9)


def test_sets_are_never_empty_unless_that_is_wanted():
    settings = {"kind": "conformal_set", "score": "lac", "threshold": 0.01, "penalty": 0, "free": 0}
    steps = [chain(settings | {"empty": empty}).steps[0] for empty in (True, False)]
    inside = [step.inside(shares(LOGITS), [{}] * 3) for step in steps]
    assert inside[0].sum(axis=1).tolist() == [0, 0, 1]
    assert inside[1].tolist() == [[True, False, False], [True, False, False], [False, True, False]]


def test_no_threshold_means_everything_and_groups_have_their_own():
    settings = {"kind": "conformal_set", "score": "lac", "threshold": None, "penalty": 0, "free": 0, "empty": False}
    assert chain(settings).steps[0].inside(shares(LOGITS), [{}] * 3).all()
    own = settings | {"column": "sex", "groups": {"m": 0.3}}
    inside = chain(own).steps[0].inside(shares(LOGITS), [{"sex": "m"}, {"sex": "f"}, {"sex": "m"}])
    assert inside.sum(axis=1).tolist() == [1, 3, 1]
    by_class = settings | {"classes": [0.0, None, 0.0]}
    assert chain(by_class).steps[0].inside(shares(LOGITS), [{}] * 3)[0].tolist() == [False, True, False]


def test_intervals_of_numbers_by_the_bin_of_the_answer():
    settings = {"kind": "conformal_interval", "threshold": 1.0, "edges": [10.0], "bins": [1.0, None]}
    step = chain(settings, labels=(), task="tabular-regression")
    found = step.answers([Quantity(4.0), Quantity(12.0)], np.empty((2, 1)), [{}, {}])
    assert found[0].interval == pytest.approx((3.0, 5.0))
    assert found[1].interval is None
    assert found[1].to_json() == {"value": 12.0}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"kind": "temprature"}, "no postprocessing `temprature`"),
        ({"kind": "temperature"}, "broken"),
        ({"kind": "temperature", "temperature": 0}, "broken"),
        ({"kind": "temperature", "temperature": float("nan")}, "broken"),
        ({"kind": "vector", "scale": [1, 2], "shift": [0, 0, 0]}, "broken"),
        ({"kind": "platt", "slope": "abc", "shift": [0]}, "broken"),
        ({"kind": "isotonic", "curves": [{"x": [0, 0], "y": [0, 1]}] * 3, "floor": 0}, "broken"),
        ({"kind": "isotonic", "curves": [{"x": [0, 1], "y": [1, 0]}] * 3, "floor": 0}, "broken"),
        ({"kind": "conformal_set", "score": "lac", "threshold": "x", "penalty": 0, "free": 0}, "broken"),
        ({"kind": "conformal_interval", "threshold": 1.0}, "not for the task"),
        ({"kind": "abstention", "threshold": 1.5}, "broken"),
        ("temperature", "no postprocessing"),
    ],
)
def test_what_does_not_fit_is_refused(settings, problem):
    with pytest.raises(InputError, match=problem):
        chain(settings)


def test_the_threshold_is_the_right_order_statistic():
    scores = np.arange(1.0, 10.0)  # n = 9: ⌈10 · 0.9⌉ = 9th of 9
    assert conformal.threshold(scores, 0.1) == 9.0
    assert conformal.threshold(scores[:8], 0.1) is None
    assert conformal.threshold(np.arange(1.0, 100.0), 0.1) == 90.0


@pytest.mark.parametrize("columnar", [False, True])
def test_served_answers_carry_sets_silence_and_intervals(columnar):
    said = Classification("a", {"a": 0.6, "b": 0.4}, ("a", "b"), False)
    value = json.loads(Encoder(["a", "b"])([said], columnar))
    if columnar:
        assert value["outputs"]["set"] == [["a", "b"]]
        assert value["outputs"]["abstained"] == [False]
    else:
        assert value["predictions"] == [said.to_json()]
    open_ended = json.loads(Encoder([])([Quantity(1.0), Quantity(2.0, (1.5, 2.5))], True))
    assert open_ended["outputs"] == {"value": [1.0, 2.0], "interval": [None, [1.5, 2.5]]}
    plain = Classification("a", {"a": 0.6, "b": 0.4})
    assert json.loads(Encoder(["a", "b"])([plain], False)) == {"predictions": [plain.to_json()]}
