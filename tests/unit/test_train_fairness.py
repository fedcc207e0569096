"""Settings and groups of fairness in training, what is refused, and what the models are afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from support.fake_context import FakeContext
from support.small_tables import people, write_table

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.training.fair import groups
from modelyard.methods.training.fair.settings import Fairness
from modelyard.stages.evaluate import trade_off
from modelyard.stages.train import tabular, text_classification

NET = {"kind": "ft_transformer", "epochs": 2, "transformer": {"width": 8, "layers": 1, "heads": 2},
       "compute": {"threads": 1, "precision": "fp32", "device": "cpu"}}  # fmt: skip
TREES = {"trees": {"rounds": 30, "min_rows": 10}, "compute": {"threads": 1}}
FAIR = {"kind": "exponentiated_gradient", "columns": ["city"], "rounds": 5, "gap": 0.02, "answer": "mixture"}


def write(folder: Path, **splits) -> Path:
    return write_table(folder, splits)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    return write(folder / "data", train=people(900, 1), validation=people(600, 2), test=people(600, 3))


def train(root: Path, data: Path, settings: dict) -> FakeContext:
    context = FakeContext(root, {"data": data})
    tabular.STAGE.run(tabular.Config.model_validate(settings), context)
    return context


def refused(root: Path, data: Path, **fairness) -> str:
    with pytest.raises(InputError) as error:
        train(root, data, {**TREES, "fairness": {"kind": "exponentiated_gradient", **fairness}})
    return str(error.value)


@pytest.mark.parametrize("settings", [
    {"kind": "group_dro", "gap": 0.1},
    {"kind": "exponentiated_gradient", "strength": 2},
    {"kind": "exponentiated_gradient", "watch": "early_stopping"},
    {"kind": "gradient_reversal", "step_size": 0.1},
    {"kind": "group_dro", "bins": {"age": [30]}},
    {"kind": "group_dro", "columns": ["age"], "bins": {"age": [40, 30]}},
])  # fmt: skip
def test_settings_of_another_kind_are_refused_not_passed_over(settings):
    with pytest.raises(ValidationError):
        Fairness.model_validate(settings)


@pytest.mark.parametrize("settings", [
    {**TREES, "fairness": {"kind": "group_dro", "columns": ["city"]}},
    {**NET, "fairness": FAIR},
    {**NET, "snapshots": 2, "schedule": {"name": "cycles"}, "fairness": {"kind": "group_dro", "columns": ["city"]}},
])  # fmt: skip
def test_a_kind_that_does_not_fit_the_model_is_refused_at_check(settings):
    with pytest.raises(ValidationError):
        tabular.Config.model_validate(settings)


def test_columns_that_make_no_groups_are_refused_with_a_remedy(tmp_path, data):
    assert "city" in refused(tmp_path, data, columns=["citty"])
    assert "role `group`" in refused(tmp_path, data)
    assert "too many for groups" in refused(tmp_path, data, columns=["income"])
    assert "fewer than two groups have 700 training rows" in refused(tmp_path, data, columns=["city"], min_rows=700)
    assert "no class `maybe`" in refused(tmp_path, data, columns=["city"], positive="maybe")
    rows = [{**row, "city": "Ulm"} for row in people(200, 1)]
    one = write(tmp_path / "one", train=rows, validation=people(100, 2))
    assert "fewer than two groups" in refused(tmp_path, one, columns=["city"])
    lacking = write(tmp_path / "lacking", train=people(200, 1), validation=[{**row, "city": "Ulm"} for row in rows])
    assert "fewer than two of the groups are in validation" in refused(tmp_path, lacking, columns=["city"])


def test_small_and_missing_groups_are_named(tmp_path):
    rows = people(300, 1)
    for place, city in [(0, "Jena"), (1, "Jena"), (2, "Köln"), *((place, None) for place in range(3, 40))]:
        rows[place]["city"] = city
    validation = people(200, 2)
    validation[0]["city"] = "Trier"
    data = Dataset.open(write(tmp_path, train=rows, validation=validation))
    ids = [f"train-{place}" for place in range(300)], [f"validation-{place}" for place in range(200)]
    found = groups.read(data, Fairness(kind="group_dro", columns=("city",)), *ids)
    assert found.names == ("(missing)", "Bonn", "Ulm", "重庆")
    assert found.training[:4].tolist() == [-1, -1, -1, 0]
    assert found.validation[0] == groups.NONE
    told = "\n".join(found.notes)
    assert all(word in told for word in ("3 training rows", "Jena", "Trier"))
    assert "(missing)" in told
    joined = groups.read(data, Fairness(kind="group_dro", columns=("city",), min_rows=3), *ids)
    assert joined.names[-1] == groups.FEW
    assert (joined.training[:3] == len(joined.names) - 1).all()
    shuffled = groups.read(data, Fairness(kind="group_dro", columns=("city",)), ids[0][::-1], ids[1])
    assert (shuffled.training[::-1] == found.training).all()


def test_a_mixture_is_one_model_that_never_sees_the_group_and_closes_the_gap(tmp_path, data):
    plain = train(tmp_path / "plain", data, {**TREES})
    mixed = train(tmp_path / "mixed", data, {**TREES, "fairness": FAIR})
    assert any("not learned from" in line and "city" in line for line in mixed.said)
    folder = tmp_path / "mixed/outputs/model"
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert card["format"] == "ensemble"
    assert sum(card["network"]["weights"]) == pytest.approx(1, abs=1e-5)
    assert "city" not in card["inputs"]
    predictor = runtimes.load(folder)
    answer = predictor.predict([{"age": "30", "income": 40.0, "code": "01"}])[0]
    predictor.close()
    assert answer.scores["yes"] + answer.scores["no"] == pytest.approx(1, abs=1e-4)
    sees = train(tmp_path / "sees", data, {**TREES, "fairness": {**FAIR, "sees_groups": True, "answer": "single"}})
    card = json.loads((tmp_path / "sees/outputs/model/model.json").read_text(encoding="utf-8"))
    assert card["format"] == "gbdt"
    assert "city" in card["inputs"]
    assert sees.value("train.validation_accuracy") < plain.value("train.validation_accuracy")
    models = [tmp_path / name / "outputs/model" for name in ("plain", "mixed", "sees")]
    context = FakeContext(tmp_path, {"models": models, "data": data})
    trade_off.STAGE.run(trade_off.Config(columns=("city",), names=("plain", "mixed", "sees"), min_n=50), context)
    found = {(one.claim, one.slice["model"]): one for one in context.measurements}
    few = FakeContext(tmp_path / "few", {"models": models, "data": data})
    trade_off.STAGE.run(trade_off.Config(columns=("city",), min_n=100_000), few)
    assert any("100000 rows (the setting `min_n`)" in line for line in few.said)
    assert any(line.startswith("rows by city: ") and "; " in line for line in few.said)
    gap = {name: found["trade_off.gap", name] for name in ("plain", "mixed", "sees")}
    assert gap["plain"].value > 0.3
    assert gap["sees"].value < 0.7 * gap["plain"].value
    assert gap["mixed"].value < gap["plain"].value
    for name in ("plain", "mixed", "sees"):
        low, high = gap[name].interval
        assert low <= gap[name].value <= high
    cost = found["trade_off.accuracy_cost", "sees"]
    accuracy = {name: found["trade_off.accuracy", name].value for name in ("plain", "sees")}
    assert cost.value == pytest.approx(accuracy["plain"] - accuracy["sees"])
    drawn = json.loads((tmp_path / "outputs/report/trade_off.json").read_text(encoding="utf-8"))
    points = next(block for block in drawn["blocks"] if block["kind"] == "scatter")["points"]
    assert {point["name"] for point in points} == {"plain", "mixed", "sees"}


def test_linear_models_mix_and_one_group_rate_can_be_held(tmp_path, data):
    settings = {"kind": "linear", "linear": {"strengths": [1.0]}, "compute": {"threads": 1}}
    fairness = {**FAIR, "constraint": "equal_opportunity", "sees_groups": True}
    told = train(tmp_path, data, {**settings, "fairness": fairness}).said
    gaps = [float(line.rpartition(" ")[2]) for line in told if "validation accuracy" in line]
    assert gaps[0] > gaps[1]


def test_a_network_whose_answers_do_not_tell_the_group(tmp_path, data):
    train(tmp_path / "plain", data, {**NET, "epochs": 12, "batch_size": 64})
    fairness = {"kind": "gradient_reversal", "columns": ["city"], "strength": 3.0, "sees_groups": True}
    train(tmp_path / "fair", data, {**NET, "epochs": 12, "batch_size": 64, "fairness": fairness})
    gaps = {}
    for name in ("plain", "fair"):
        predictor = runtimes.load(tmp_path / name / "outputs/model")
        rows = people(600, 3)
        answers = predictor.predict([{key: row[key] for key in ("age", "city", "income", "code")} for row in rows])
        predictor.close()
        chosen = np.array([answer.label == "yes" for answer in answers])
        cities = np.array([row["city"] for row in rows])
        gaps[name] = np.ptp([chosen[cities == city].mean() for city in sorted(set(cities))])
    assert gaps["plain"] > 0.3
    assert gaps["fair"] < gaps["plain"] - 0.1


def test_the_weights_kept_are_those_of_the_worst_group(tmp_path, data):
    context = train(tmp_path, data, {**NET, "fairness": {"kind": "group_dro", "columns": ["city"]}})
    assert any("validation_worst_group_accuracy" in values for _, values in context.curves)
    assert any("validation_gap" in values for _, values in context.curves)


def texts(folder: Path) -> Path:
    roles = {"row_id": "other", "text": "text", "label": "label", "topic": "group"}
    columns = [Column(name, role, "string") for name, role in roles.items()]
    folder.mkdir()
    schema = pa.schema([(column.name, pa.string()) for column in columns])
    write_schema(folder, columns)
    for split, count in (("train", 240), ("validation", 120)):
        rows = [
            {"row_id": f"{split}-{place}", "text": f"{'good' if place % 2 else 'bad'} thing {place % 7}",
             "label": "yes" if place % 2 else "no", "topic": "a" if place % 3 else "b"}
            for place in range(count)
        ]  # fmt: skip
        write_split(folder, split, [pa.Table.from_pylist(rows, schema=schema)], schema)
    return folder


def test_texts_take_the_column_of_role_group(tmp_path):
    data = texts(tmp_path / "data")
    settings = {"size": "cnn", "epochs": 2, "compute": {"threads": 1}, "reading": {"vocabulary_size": 300}}
    for kind in ("group_dro", "gradient_reversal"):
        context = FakeContext(tmp_path / kind, {"data": data})
        config = text_classification.Config.model_validate({**settings, "fairness": {"kind": kind, "min_rows": 10}})
        text_classification.STAGE.run(config, context)
        assert any("validation_worst_group_accuracy" in values for _, values in context.curves)
        predictor = runtimes.load(tmp_path / kind / "outputs/model")
        assert predictor.predict([{"text": "good thing"}])[0].label in ("yes", "no")
        predictor.close()
    with pytest.raises(ValidationError):
        text_classification.Config.model_validate({"fairness": FAIR})
    config = text_classification.Config.model_validate({"size": "auto", "fairness": {"kind": "group_dro"}})
    with pytest.raises(InputError, match="one network"):
        text_classification.STAGE.run(config, FakeContext(tmp_path / "auto", {"data": data}))


def test_a_trade_off_wants_models_and_a_name_for_each(tmp_path, data):
    models = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(InputError, match="no trade-off"):
        trade_off.STAGE.run(trade_off.Config(columns=("city",)), FakeContext(tmp_path, {"models": models[:1]}))
    with pytest.raises(InputError, match="3 names for 2 models"):
        trade_off.STAGE.run(
            trade_off.Config(columns=("city",), names=("a", "b", "c")), FakeContext(tmp_path, {"models": models})
        )
