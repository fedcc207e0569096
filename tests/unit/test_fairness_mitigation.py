"""Weights and thresholds by group: what they do to a gap, and what the model needs afterwards."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.fake_context import FakeContext
from support.small_tables import people, write_table

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.data import reweighting
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.postprocessing import group_fitting
from modelyard.stages.calibrate import group_thresholds
from modelyard.stages.data import reweight
from modelyard.stages.evaluate import fairness
from modelyard.stages.train import tabular


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A table whose label hangs on `city`, and boosted trees learned from the rest of it."""
    root = tmp_path_factory.mktemp("mitigation")
    rows = {"train": people(1500, 1), "validation": people(300, 2), "calibration": people(1200, 3)}
    data = write_table(root / "data", rows | {"test": people(1500, 4)})
    context = FakeContext(root / "train", {"data": data})
    settings = {"trees": {"rounds": 40}, "leave_out": ["city"]}
    tabular.STAGE.run(tabular.Config.model_validate(settings), context)
    return root, data, root / "train/outputs/model"


def gap_of(root, model, data, claim="fairness.demographic_parity_difference"):
    context = FakeContext(root, {"model": model, "data": data})
    fairness.STAGE.run(fairness.Config(columns=("city",), min_n=50), context)
    found = next(one for one in context.measurements if one.claim == claim and not one.slice)
    return found.value, json.loads((root / "outputs/report/fairness.json").read_text(encoding="utf-8"))


def test_kamiran_and_calders_own_weights(made, tmp_path):
    _, data, _ = made
    context = FakeContext(tmp_path, {"data": data})
    reweight.STAGE.run(reweight.Config(columns=("city",)), context)
    out = Dataset.open(tmp_path / "outputs/data")
    rows = out.table("train", ["city", "label", "weight"]).to_pylist()
    n = len(rows)
    for row in rows:
        city = sum(one["city"] == row["city"] for one in rows)
        label = sum(one["label"] == row["label"] for one in rows)
        both = sum(one["city"] == row["city"] and one["label"] == row["label"] for one in rows)
        assert row["weight"] == pytest.approx(city * label / (n * both), rel=1e-12)
        if row is rows[40]:
            break
    assert context.value("data.group_label_gap") > 0.3
    assert context.value("data.group_label_gap_weighted") == pytest.approx(0, abs=1e-12)
    weights = np.array([row["weight"] for row in rows])
    kish = weights.sum() ** 2 / (n * (weights**2).sum())
    assert context.value("data.effective_rows_rate") == pytest.approx(kish, rel=1e-12)
    assert set(out.column("validation", "weight")) == {1.0}


def test_a_label_and_group_that_never_meet_are_named():
    masses = reweighting.Masses({("a", "x"): 2.0, ("a", "y"): 1.0, ("b", "x"): 3.0}, 6, {})
    assert masses.empty() == [("b", "y")]


@pytest.mark.parametrize("metric", ["demographic_parity", "equal_opportunity", "equalized_odds"])
def test_thresholds_are_the_best_there_are(metric):
    """Against every pair of thresholds of two small groups."""
    generator = np.random.default_rng(0)
    codes = np.repeat([0, 1], 60)
    actual = generator.random(120) < 0.3 + 0.3 * codes
    scores = np.clip(generator.normal(0.35 + 0.3 * actual + 0.1 * codes, 0.2), 0.01, 0.99)
    found = group_fitting.fit(scores, actual, codes, [0, 1], metric, 0.2)
    curves = [group_fitting.curve(scores[codes == code], actual[codes == code], metric) for code in (0, 1)]
    gaps = np.abs(curves[0].rates[:, None] - curves[1].rates[None]).max(axis=2)
    hits = curves[0].hits[:, None] + curves[1].hits[None]
    assert found.gap <= 0.2 + 1e-9
    assert found.hits >= hits[gaps <= 0.2 - 0.03].max()
    assert found.hits <= hits[gaps <= 0.2 + 1e-9].max()
    chosen = group_fitting.apply(scores, codes, found.thresholds, found.default)
    assert int((chosen == actual).sum()) == found.hits


def test_thresholds_ship_in_the_model_shrink_the_gap_and_need_the_column(made, tmp_path):
    _, data, model = made
    before, _ = gap_of(tmp_path / "before", model, data)
    context = FakeContext(tmp_path, {"model": model, "data": data})
    settings = group_thresholds.Config(columns=("city",), metric="demographic_parity", gap=0.02, min_n=50)
    wide = people(1500, 5)
    for row in wide:  # a gap that is there for sure
        row["income"] = 60.0 if row["city"] == "Ulm" else row["income"]
    data = write_table(tmp_path / "wide", {"train": wide, "calibration": wide, "test": wide})
    context = FakeContext(tmp_path, {"model": model, "data": data})
    wider, _ = gap_of(tmp_path / "wider", model, data)
    group_thresholds.STAGE.run(settings, context)
    fitted = tmp_path / "outputs/model"
    after, _ = gap_of(tmp_path / "after", fitted, data)
    assert wider > 0.3 > 0.03 > after
    predictor = runtimes.load(fitted)
    record = {key: wide[0][key] for key in ("age", "income", "code")}
    with pytest.raises(InputError, match="no column `city`"):
        predictor.predict([record])
    assert predictor.predict([{**record, "city": "Nowhere"}])[0].label in ("yes", "no")
    predictor.close()
    assert before >= 0
