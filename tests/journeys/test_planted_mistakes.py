"""Fifteen popular mistakes of judging a model, planted: each is blocked, undone or flagged, or said to pass unseen.

Leaks between the splits of the data (groups, copies, balancing, augmenting) are planted in test_planted_leaks.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelyard.core.evidence import Claim, Evidence
from modelyard.core.gate import Source, World, decide
from modelyard.core.project import Rule
from modelyard.engine.bind import load_project_dict
from modelyard.engine.catalog import find, names

READ = {"uses": "data.read", "with": {"path": "mail.csv", "text": "text", "label": "label"}}
SPLIT = {"uses": "data.split"}
TRAIN = {"uses": "train.text_classification", "with": {"size": "linear"}}
OWN = '''"""Learns from what it should not see."""

from pydantic import BaseModel, ConfigDict

from modelyard.core.stage import Port, Stage


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def run(config, context):
    pass


STAGE = Stage(config=Config, run=run, inputs={"data": Port("dataset", ("SPLIT",))}, outputs={"OUT": Port("KIND")})
'''


def found(folder: Path, release: Any = None, **steps: Any) -> list[str]:
    """What `check` finds in a project of these steps."""
    (folder / "mail.csv").write_text("text,label\na,b\n", encoding="utf-8")
    value: dict[str, Any] = {"version": 1, "project": "p", "steps": {"mail": READ, **steps}}
    if release:
        value["release"] = release
    return [problem.found for problem in load_project_dict(value, folder)[1]]


def own(folder: Path, name: str, split: str, kind: str) -> dict[str, str]:
    """A stage of one's own that asks for a split."""
    path = folder / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(OWN.replace("SPLIT", split).replace("KIND", kind).replace("OUT", kind), encoding="utf-8")
    return {"uses": f"./{name}.py"}


def family(prefix: str) -> list[str]:
    return [name for name in names() if name.startswith(prefix)]


def splits_seen(name: str) -> set[str]:
    stage, problems = find(name, Path())
    assert stage is not None, problems
    return {split for port in stage.stage.inputs.values() for split in port.splits}


@pytest.mark.parametrize("name", family("calibrate."))
def test_1_2_thresholds_and_calibration_are_fitted_on_rows_that_nothing_else_sees(name: str) -> None:
    assert "test" not in splits_seen(name)
    assert "train" not in splits_seen(name)


def test_1_a_threshold_fitted_on_test_by_a_stage_of_ones_own_is_refused(tmp_path: Path) -> None:
    problems = found(tmp_path, split=SPLIT, classifier=TRAIN, tune=own(tmp_path, "threshold", "test", "report"))
    assert any("asks for the split test" in problem for problem in problems)


def test_3_what_fits_a_scaler_cannot_stand_before_the_split(tmp_path: Path) -> None:
    problems = found(tmp_path, early=own(tmp_path, "scaler", "train", "report"), split=SPLIT)
    assert any("needs the split train" in problem for problem in problems)


@pytest.mark.parametrize("name", family("train."))
def test_11_no_trainer_sees_test_so_none_stops_early_on_it(name: str) -> None:
    assert "test" not in splits_seen(name)


def test_8_a_search_cannot_choose_by_test(tmp_path: Path) -> None:
    search = {
        "steps": ["classifier", "quality"],
        "space": {"classifier.epochs": [1, 2]},
        "objective": "quality.quality.accuracy",
        "trials": 2,
    }
    quality = {"uses": "evaluate.quality"}
    problems = found(tmp_path, split=SPLIT, classifier=TRAIN, quality=quality, tuned={"search": search})
    assert any("sees test data" in problem for problem in problems)


def test_9_two_cuts_of_the_same_rows_are_told(tmp_path: Path) -> None:
    steps = {
        "one": SPLIT,
        "two": {"uses": "data.split", "with": {"test": 0.3}, "in": {"data": "mail"}},
        "classifier": TRAIN | {"in": {"data": "one"}},
        "quality": {"uses": "evaluate.quality", "in": {"data": "two"}},
    }
    assert any("both were cut from the same data" in problem for problem in found(tmp_path, **steps))


def test_14_test_rows_are_never_dropped_as_outliers() -> None:
    for name in ("data.outliers", "data.label_errors", "data.balance", "data.augment"):
        assert "test" not in splits_seen(name)
        stage, _ = find(name, Path())
        assert stage is not None
        assert not any("test" in port.splits for port in stage.stage.outputs.values())


MODEL, DATA, CODE = "sha256:m", "sha256:d", "sha256:e"


def measured(value: float, split: str = "test", sequence: int = 1, evaluator: str = CODE, claim: str = "quality.f1"):
    ends = (value - 0.01, value + 0.01)
    return Evidence(claim, value, ends, 100, "", MODEL, DATA, split, evaluator, 1, sequence)


def passes(*evidence: Evidence, claim: str = "quality.f1") -> bool:
    world = World(MODEL, {}, (), {claim: Claim(claim, "")}, {claim: {Source(CODE, DATA)}}, evidence)
    return decide((Rule(claim, min=0.8),), world).passed


def test_15_a_figure_of_train_passes_no_rule() -> None:
    assert passes(measured(0.9))
    assert not passes(measured(0.99, split="train"))
    assert not passes(measured(0.99, split="validation"))


def test_4_measuring_again_until_it_suits_does_not_help() -> None:
    assert not passes(measured(0.7, sequence=1), measured(0.95, sequence=2))


def test_10_another_metric_than_the_rule_s_is_no_evidence() -> None:
    assert not passes(measured(0.95, claim="quality.accuracy"))
