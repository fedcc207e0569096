"""calibrate.conformal by a column: who does not say the group is refused, or gets the most careful threshold."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.fake_context import FakeContext
from support.small_tables import people, write_table

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.data.group_columns import MISSING
from modelyard.methods.postprocessing import load
from modelyard.methods.postprocessing.group_thresholds import GroupThresholds
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.serving import openapi
from modelyard.serving.gateway import ModelSource
from modelyard.serving.inputs import inputs_of
from modelyard.serving.settings import ServingSettings
from modelyard.stages.calibrate import conformal, group_thresholds
from modelyard.stages.train import tabular


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """A data set whose rows of Ulm have labels at random, and trees that have not seen `city`."""
    root = tmp_path_factory.mktemp("groups")
    rows = {name: people(count, place) for place, (name, count) in enumerate(
        {"train": 400, "validation": 100, "calibration": 400, "test": 100}.items())}  # fmt: skip
    for place, row in enumerate(rows["calibration"]):
        row["label"] = ("yes", "no")[place % 2] if row["city"] == "Ulm" else row["label"]
    rows["calibration"][0]["city"] = None
    data = write_table(root / "data", rows)
    context = FakeContext(root / "train", {"data": data})
    settings = {"trees": {"rounds": 20}, "leave_out": ["city"]}
    tabular.run(tabular.Config.model_validate(settings), context)
    return data, root / "train" / "outputs" / "model"


@pytest.fixture(scope="module")
def fitted(trees, tmp_path_factory):
    root = tmp_path_factory.mktemp("fitted")
    context = FakeContext(root, {"model": trees[1], "data": trees[0]})
    conformal.run(conformal.Config(by="city", error=0.1), context)
    return context, root / "outputs" / "model"


def careful(step, **record):
    return float(step.thresholds.of([record])[0, 0])


@pytest.mark.parametrize("kind", ["conformal_set", "conformal_interval"])
def test_no_group_has_the_largest_threshold_and_no_column_is_refused(kind):
    settings = {"kind": kind, "threshold": 0.4, "score": "lac", "penalty": 0, "free": 0, "column": "sex",
                "groups": {"": 0.1, "f": 0.9, "m": 0.2}}  # fmt: skip
    labels = ("a", "b") if kind == "conformal_set" else ()
    task = "tabular-classification" if labels else "tabular-regression"
    (step,) = load([settings], task, labels).steps
    assert [careful(step, sex=one) for one in ("f", "m", "x", None, float("nan"))] == [0.9, 0.2, 0.9, 0.9, 0.9]
    with pytest.raises(InputError, match="no column `sex`"):
        careful(step, age=3)
    few = load([settings | {"groups": {"": None, "f": 0.3, "m": 0.5}}], task, labels).steps[0]
    assert careful(few, sex=None) == 0.5
    none = load([settings | {"groups": {"f": None, "m": 0.2}}], task, labels).steps[0]
    assert careful(none, sex="x") == np.inf


def test_a_predictor_refuses_a_record_without_the_column_and_names_all_of_them(fitted):
    context, folder = fitted
    predictor = runtimes.load(folder)
    row = {"age": "40", "income": 31.5, "code": "01"}
    try:
        assert check_golden(folder, predictor) == []
        with pytest.raises(InputError, match="no column `city`") as error:
            predictor.predict([{**row, "city": "Ulm"}, row])
        sizes = [len(predictor.predict([{**row, "city": city}])[0].set) for city in ("Ulm", None, "Paris")]
    finally:
        predictor.close()
    (problem,) = error.value.problems
    assert problem.where == "records[1]"
    assert problem.expected == "age, city, code, income"
    assert sizes == [2, 2, 2]
    step = ModelCard.read(folder).postprocessing[-1]
    assert step["groups"]["Ulm"] == max(value for value in step["groups"].values() if value is not None)
    assert any("a record without `city` is refused" in line for line in context.said)


def test_the_column_is_an_input_of_the_model_wherever_inputs_are_told(fitted):
    _, folder = fitted
    assert list(inputs_of(folder).columns) == ["age", "city", "code", "income"]
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    assert all("city" in record for record in golden["records"])
    source = ModelSource(folder, 1)
    document = openapi.document({"m": source}, ServingSettings(), {"m": inputs_of(folder)})
    assert '"city"' in json.dumps(document)


def test_thresholds_by_group_stand_among_the_inputs_too(trees, tmp_path):
    context = FakeContext(tmp_path, {"model": trees[1], "data": trees[0]})
    group_thresholds.run(group_thresholds.Config(columns=("city",), gap=0.5, min_n=50), context)
    assert list(inputs_of(tmp_path / "outputs" / "model").columns) == ["age", "city", "code", "income"]


def test_a_batch_is_answered_whatever_its_groups_are(trees, tmp_path):
    context = FakeContext(tmp_path, {"model": trees[1], "data": trees[0]})
    settings = group_thresholds.Config(columns=("city",), gap=0.5, min_n=50)
    group_thresholds.run(settings, context)
    predictor = runtimes.load(tmp_path / "outputs" / "model", threads=1)
    usual = {name: value for name, value in people(1, 5)[0].items() if name in ("age", "city", "income", "code")}
    strange = [usual | {"city": f"town {place}"} for place in range(200)] + [usual | {"city": 7}]
    answers = predictor.predict(strange)
    step = ModelCard.read(tmp_path / "outputs" / "model").postprocessing[-1]
    assert len(answers) == 201
    sure = [one.scores[step["positive"]] >= step["default"] for one in answers]
    assert [one.label == step["positive"] for one in answers] == sure
    predictor.close()


def test_what_is_no_number_says_no_group():
    chain = GroupThresholds(("age",), {"age": [30.0]}, 1, ("no", "yes"), {"< 30": 0.1}, 0.5)
    assert chain.groups([{"age": 20}, {"age": "old"}, {"age": None}]) == ["< 30", MISSING, MISSING]
