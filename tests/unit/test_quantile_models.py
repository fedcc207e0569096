"""Quantiles through stages: learned by trees and networks, made into intervals, measured, refused elsewhere."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.fake_context import FakeContext
from support.small_tables import people, write_table

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.stages.calibrate import conformal
from modelyard.stages.evaluate import quality, uncertainty
from modelyard.stages.train import tabular

SPLITS = {
    "train": people(500, 1), "validation": people(150, 2), "calibration": people(300, 3), "test": people(200, 4),
}  # fmt: skip
FAST = {
    "trees": {"rounds": 40, "segment": 25, "leaves": 7, "learning_rate": 0.1},
    "transformer": {"width": 16, "layers": 1, "heads": 2},
    "epochs": 6,
    "optimizer": {"learning_rate": 1e-2},
    "compute": {"threads": 1, "device": "cpu", "precision": "fp32"},
}
LEVELS = (0.05, 0.5, 0.95)
KINDS = ("boosted_trees", "ft_transformer")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The data, and a model of quantiles by kind."""
    root = tmp_path_factory.mktemp("quantiles")
    data = write_table(root / "data", SPLITS, "number")
    models = {}
    for kind in KINDS:
        context = FakeContext(root / kind, {"data": data})
        tabular.run(tabular.Config(kind=kind, quantiles=LEVELS, **FAST), context)
        models[kind] = root / kind / "outputs" / "model"
    return data, models


def step(stage, root, model, data, **settings):
    context = FakeContext(root, {"model": model, "data": data})
    stage.run(stage.Config(**settings), context)
    return context, root / "outputs" / "model"


def answers(folder, rows):
    predictor = runtimes.load(folder, threads=1)
    try:
        assert check_golden(folder, predictor) == []
        return predictor.predict(rows)
    finally:
        predictor.close()


def value(context, claim, **part):
    found = [one.value for one in context.measurements if one.claim == claim and dict(one.slice) == part]
    assert len(found) == 1, (claim, part)
    return found[0]


@pytest.mark.parametrize("kind", KINDS)
def test_quantiles_rise_and_divide_the_rows_as_they_say(made, kind):
    _, models = made
    found = answers(models[kind], SPLITS["test"])
    values = np.array([list(one.quantiles.values()) for one in found])
    assert list(found[0].quantiles) == ["0.05", "0.5", "0.95"]
    assert (np.diff(values, axis=1) >= 0).all()
    truths = np.array([row["value"] for row in SPLITS["test"]])
    below = (truths[:, None] < values).mean(axis=0)
    assert below[0] < 0.25 < below[1] < 0.75 < below[2]
    assert json.loads((models[kind] / "golden.json").read_text())["predictions"][0]["quantiles"].keys() == {
        "0.05", "0.5", "0.95",
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["normalized", "cqr"])
def test_intervals_ship_adapt_and_are_measured_by_width(made, tmp_path, kind, method):
    data, models = made
    _, folder = step(conformal, tmp_path / "1", models[kind], data, method=method)
    entry = ModelCard.read(folder).postprocessing[-1]
    assert (entry["kind"], entry["method"], entry["rows"]) == ("conformal_interval", method, 300)
    found = answers(folder, SPLITS["test"])
    widths = {round(one.interval[1] - one.interval[0], 6) for one in found}
    assert len(widths) > 20
    context, _ = step(uncertainty, tmp_path / "2", folder, data)
    assert value(context, "uncertainty.coverage") > 0.8
    assert value(context, "uncertainty.interval_score") > value(context, "uncertainty.interval_width")
    parts = [one for one in context.measurements if one.claim == "uncertainty.coverage" and "width" in one.slice]
    assert len(parts) == 5
    assert sum(one.n for one in parts) == 200


def test_each_bin_of_the_width_has_its_own_threshold(made, tmp_path):
    data, models = made
    _, folder = step(conformal, tmp_path / "1", models["boosted_trees"], data, method="cqr", by="width", bins=3)
    entry = ModelCard.read(folder).postprocessing[-1]
    assert (entry["binned"], len(entry["edges"]), len(entry["bins"])) == ("width", 2, 3)
    for one in answers(folder, SPLITS["test"]):
        low, high = one.quantiles["0.05"], one.quantiles["0.95"]
        moved = entry["bins"][sum(high - low >= edge for edge in entry["edges"])]
        assert one.interval[1] - one.interval[0] == pytest.approx(max(0.0, high - low + 2 * moved))
    with pytest.raises(InputError, match="or its method"):
        step(conformal, tmp_path / "2", models["boosted_trees"], data, by="width")


def test_quality_measures_the_pinball_loss_of_each_level(made, tmp_path):
    data, models = made
    context, _ = step(quality, tmp_path, models["boosted_trees"], data)
    assert value(context, "quality.pinball", quantile="0.05") > 0


def test_normalized_needs_no_quantiles_and_cqr_says_that_it_does(made, tmp_path):
    data, _ = made
    context = FakeContext(tmp_path / "plain", {"data": data})
    tabular.run(tabular.Config(**FAST), context)
    plain = tmp_path / "plain" / "outputs" / "model"
    with pytest.raises(InputError, match="no quantiles"):
        step(conformal, tmp_path / "1", plain, data, method="cqr")
    _, folder = step(conformal, tmp_path / "2", plain, data, method="normalized")
    assert ModelCard.read(folder).postprocessing[-1]["difficulty"]["floor"] > 0
    assert len({one.interval[1] - one.interval[0] for one in answers(folder, SPLITS["test"])}) > 20


def test_trees_of_a_level_that_are_missing_or_broken_are_refused(made, tmp_path):
    import shutil

    _, models = made
    for place, damage in enumerate(("missing", "broken", "lied about")):
        folder = shutil.copytree(models["boosted_trees"], tmp_path / str(place))
        if damage == "missing":
            (folder / "model.quantile-1.txt").unlink()
        elif damage == "broken":
            (folder / "model.quantile-1.txt").write_text("tree\n")
        else:
            card = json.loads((folder / "model.json").read_text())
            card["network"] = {"quantiles": "all"}
            (folder / "model.json").write_text(json.dumps(card))
        with pytest.raises(InputError, match=r"missing|not trees|no number from"):
            runtimes.load(folder)


def test_quantiles_are_of_numbers_of_trees_and_networks(tmp_path):
    data = write_table(tmp_path / "data", SPLITS, "class")
    with pytest.raises(InputError, match="classes are learned"):
        tabular.run(tabular.Config(quantiles=LEVELS, **FAST), FakeContext(tmp_path, {"data": data}))
    for settings, problem in (({"kind": "linear"}, "boosted_trees"), ({"quantiles": (0.9, 0.1)}, "rise")):
        with pytest.raises(ValueError, match=problem):
            tabular.Config(**{"quantiles": LEVELS, **settings})


def test_trees_of_quantiles_killed_between_levels_end_with_the_same_bytes(made, tmp_path):
    data, models = made
    again = FakeContext(tmp_path, {"data": data})
    tabular.run(tabular.Config(kind="boosted_trees", quantiles=LEVELS, **FAST), again)
    first = tmp_path / "outputs" / "model"
    assert (first / "model.quantile-2.txt").read_bytes() == (
        models["boosted_trees"] / "model.quantile-2.txt"
    ).read_bytes()
    (again.scratch() / "trees-2" / "state.json").unlink()  # killed before the last level
    tabular.run(tabular.Config(kind="boosted_trees", quantiles=LEVELS, **FAST), again)
    for name in ("model.txt", "model.quantile-2.txt", "model.json", "golden.json"):
        assert (first / name).read_bytes() == (models["boosted_trees"] / name).read_bytes()
