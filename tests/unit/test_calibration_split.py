"""Who sees the split calibration: stages calibrate.* alone, from where the rows were cut, and only if there are any."""

from __future__ import annotations

import pytest

from modelyard.core.stage import Port
from modelyard.engine import catalog
from modelyard.engine.bind import load_project_dict

STEPS = {
    "rows": {"uses": "data.read", "with": {"path": "rows.csv", "text": "text", "label": "label"}},
    "split": {"uses": "data.split", "with": {"calibration": 0.1}},
    "balanced": {"uses": "data.balance"},
    "model": {"uses": "train.text_classification"},
    "honest": {"uses": "calibrate.scores"},
    "uncertainty": {"uses": "evaluate.uncertainty"},
}


def load(folder, **settings):
    (folder / "rows.csv").write_text("text,label\na,x\n")
    steps = {**STEPS, "split": {"uses": "data.split", "with": settings}}
    return load_project_dict({"version": 1, "project": "p", "steps": steps}, folder)


def test_calibration_comes_from_the_split_and_evaluation_asks_the_calibrated_model(tmp_path):
    bound, problems = load(tmp_path, calibration=0.1)
    assert problems == []
    bindings = {item.name: dict(item.bindings) for item in bound.steps}
    assert bindings["honest"] == {"model": (("model", "model"),), "data": (("split", "data"),)}
    assert bindings["uncertainty"] == {"model": (("honest", "model"),), "data": (("split", "data"),)}


def test_without_rows_for_it_the_plan_says_what_to_write(tmp_path):
    bound, (problem,) = load(tmp_path, test=0.2)
    assert bound is None
    assert "`split` keeps no rows for it" in problem.found
    assert problem.remedy == "say how many in `split`: `calibration: 0.1`"


@pytest.mark.parametrize("name", catalog.names())
def test_only_calibrate_stages_see_it_and_they_never_see_test(name, tmp_path):
    found, _ = catalog.find(name, tmp_path)
    seen = {split for port in found.stage.inputs.values() for split in port.splits}
    assert ("calibration" in seen) == name.startswith("calibrate.")
    assert not {"calibration", "test"} <= seen


def test_a_stage_of_the_user_that_asks_for_it_is_refused(tmp_path):
    (tmp_path / "mine.py").write_text(
        '"""Mine."""\n\n'
        "from pydantic import BaseModel, ConfigDict\n\nfrom modelyard.core.stage import Port, Stage\n\n\n"
        'class Config(BaseModel):\n    model_config = ConfigDict(frozen=True, extra="forbid")\n\n\n'
        "def run(config, context):\n    pass\n\n\n"
        'STAGE = Stage(config=Config, run=run, inputs={"data": Port("dataset", ("calibration",))})\n'
    )
    stage, (problem,) = catalog.find("./mine.py", tmp_path)
    assert stage is None
    assert "asks for the split calibration" in problem.found


def test_a_port_says_which_splits_a_setting_gives():
    assert Port("dataset", ("train",)).given_by == {}
