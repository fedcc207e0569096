"""Online learning against River and against slow references."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from river import drift, linear_model, optim

from modelyard.methods.preprocessing.hashing import mix, name_hash
from modelyard.methods.preprocessing.ngrams import families_for, normalise
from modelyard.methods.preprocessing.ngrams_hashed import HashedNgrams
from modelyard.methods.preprocessing.table_hashed import Column, HashedTable
from modelyard.methods.training.online.adwin import Adwin
from modelyard.methods.training.online.curve import MOST, Curve
from modelyard.methods.training.online.learner import Learner

MASK = (1 << 64) - 1


@pytest.mark.parametrize("seed", range(6))
def test_adwin_finds_the_same_drifts_at_the_same_rows_as_river(seed: int) -> None:
    draw = random.Random(seed)
    values = [
        float(draw.random() < mean) if seed % 2 else draw.gauss(mean, 0.1)
        for mean in (0.2, 0.5, 0.25, 0.27, 0.6, 0.1)
        for _ in range(1000)
    ]
    ours, theirs = Adwin(), drift.ADWIN()
    found: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for place, value in enumerate(values):
        if place == 1500:
            ours = Adwin.of(ours.state(), ours.delta)
        if ours.update(value) is not None:
            found[0].append((place, ours.width))
            ours = Adwin()
        theirs.update(value)
        if theirs.drift_detected:
            found[1].append((place, int(theirs.width)))
    assert found[0] == found[1]
    assert len(found[0]) >= 4


def test_adwin_keeps_the_mean_and_the_variance_of_its_window() -> None:
    draw = random.Random(3)
    values = [draw.random() for _ in range(3000)]
    window = Adwin(delta=1e-9)
    for value in values:
        assert window.update(value) is None
    assert window.mean == pytest.approx(np.mean(values))
    assert window.spread / window.width == pytest.approx(np.var(values), rel=1e-9)
    assert sum(map(len, window.levels)) < 80


def test_two_classes_are_learned_as_river_learns_them_with_adagrad() -> None:
    """River's binary model has one weight a feature: ours has two columns that mirror each other, each with the same
    gradient, so its logit moves by twice as much a step."""
    draw = np.random.default_rng(1)
    ours = Learner.new(8, rate=0.1, l2=0.0)
    ours.grow(), ours.grow()
    weights: dict[int, float] = {}
    theirs = linear_model.LogisticRegression(optimizer=optim.AdaGrad(0.2, eps=1e-10), intercept_lr=0.0, l2=0.0)
    ids = np.arange(1, 6)
    for _ in range(300):
        values = draw.normal(size=5).astype(np.float32)
        label = int(values[0] - values[2] + draw.normal() * 0.3 > 0)
        logits = values @ ours.weights[ids]
        features = {int(place): float(value) for place, value in zip(ids, values, strict=True)}
        probability = theirs.predict_proba_one(features)[True]
        assert 1 / (1 + math.exp(logits[0] - logits[1])) == pytest.approx(probability, abs=2e-4)
        ours.bias[:] = 0
        ours.learn(ids, values, label, 1.0, logits)
        theirs.learn_one(features, bool(label))
        weights = dict(theirs.weights)
    difference = ours.weights[ids, 1] - ours.weights[ids, 0]
    assert difference == pytest.approx([weights[place] for place in ids], abs=1e-3)


def test_a_step_is_the_formula() -> None:
    learner = Learner.new(4, rate=0.5, l2=0.1)
    for _ in range(3):
        learner.grow()
    learner.weights[:] = np.arange(12).reshape(4, 3) / 10
    learner.squares[:] = 1
    before = learner.weights.copy()
    ids, values = np.array([1, 3]), np.array([0.5, -2.0], np.float32)
    logits = learner.logits(ids, values)
    learner.learn(ids, values, 2, 3.0, logits)
    odds = np.exp(values.astype(float) @ before[ids].astype(float))
    error = 3.0 * (odds / odds.sum() - np.eye(3)[2])
    for row, value in zip(ids, values, strict=True):
        gradient = value * error + 0.1 * 3.0 * before[row]
        assert learner.weights[row] == pytest.approx(before[row] - 0.5 * gradient / np.sqrt(1 + gradient**2), abs=1e-6)
    assert (learner.weights[[0, 2]] == before[[0, 2]]).all()
    assert learner.bias == pytest.approx(-0.5 * error / np.abs(error), abs=1e-6)


def reference(text: str, bits: int) -> dict[int, float]:
    """Each n-gram hashed by itself with whole numbers."""
    counts: dict[int, int] = {}
    normal = normalise(text)
    for family in families_for([normal]):
        salt = name_hash(family.unit) << 32
        for symbols in grams(family, normal):
            value = 0
            for symbol in symbols:
                value = (value * 0x9E3779B97F4A7C15 + symbol) & MASK
            mixed = int(mix(np.array([value ^ len(symbols) ^ salt], np.uint64))[0])
            place = max(1, mixed >> (64 - bits))
            counts[place] = counts.get(place, 0) + 1
    weights = {place: 1 + math.log(count) for place, count in counts.items()}
    norm = math.sqrt(sum(value * value for value in weights.values()))
    return {place: value / norm for place, value in weights.items()}


def grams(family, text: str) -> list[list[int]]:
    if family.unit != "word":
        return [[ord(letter) for letter in gram] for gram in family.grams(text)]
    from modelyard.methods.preprocessing.ngrams import WORD

    words = [name_hash(word) for word in WORD.findall(text)]
    return [words[i : i + n] for n in range(family.low, family.high + 1) for i in range(len(words) - n + 1)]


def test_hashed_ngrams_are_those_of_a_slow_reference_whatever_the_batch() -> None:
    texts = ["Good food, good price!", "", "很好吃，很喜欢", "iPhone 手机 很 good", "a", "  ", "好"]
    reader = HashedNgrams(bits=16)
    rows, ids, values = reader.sparse(texts)
    for place, text in enumerate(texts):
        here = rows == place
        found = dict(zip(ids[here].tolist(), values[here].tolist(), strict=True))
        assert found == pytest.approx(reference(text, 16), rel=1e-6), text
        alone = reader.sparse([text])
        assert (alone[1] == ids[here]).all()
        assert (alone[2] == values[here]).all()
    assert ids.min() >= 1
    assert reader.encode([])["ngram_ids"].shape == (0, 1)


def test_numbers_of_a_hashed_table_are_scaled_by_what_was_seen() -> None:
    draw = np.random.default_rng(2)
    values = draw.normal(7, 3, 500)
    column = Column("x")
    for value in values:
        column = column.seen(float(value))
    assert column.mean == pytest.approx(values.mean())
    assert column.scaled(10.0) == pytest.approx((10 - values.mean()) / values.std())
    table = HashedTable((column, Column("code")), bits=16)
    ids, weights = table.weigh(table.cells({"x": "10", "code": "007"}))
    assert sorted(weights.tolist()) == pytest.approx(sorted([column.scaled(10.0), 1.0, 1.0]), rel=1e-5)
    assert (np.diff(ids) > 0).all()
    missing, _ = table.weigh(table.cells({"x": None, "code": "?"}))
    assert len(missing) == 2


def test_a_curve_of_any_length_is_bounded_and_counts_right() -> None:
    draw = random.Random(4)
    curve, hits = Curve(window=10), 0
    for _ in range(10 * MOST * 3):
        hit = draw.random() < 0.7
        hits += hit
        curve.add(hit, False, True)
    assert curve.hits == sum(curve.points) + curve.pending == hits
    assert len(curve.points) < MOST
    assert curve.window == 40
    assert curve.last == curve.rows
