"""Sixteen popular mistakes of judging a model, planted in projects of small data: each is refused, undone, or flagged.

`docs/evidence.md` lists the same sixteen with what happens. What is refused is refused by `check`, before anything
runs; the others run through the whole pipeline, to the gate. Variants of leaks between splits (near copies, pictures,
synthetic rows) are planted in test_planted_leaks.py.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.app.run import RunResult
from modelyard.app.run import run as run_project
from modelyard.base.yaml import parse_yaml
from modelyard.core.evidence import Claim, Evidence
from modelyard.core.gate import Source, World, decide
from modelyard.core.project import Rule
from modelyard.engine.bind import load_project_dict
from modelyard.engine.catalog import find, names
from modelyard.engine.events import Silent

ROOT = Path(__file__).resolve().parents[2]
MISTAKES = (
    "a threshold chosen on test",
    "calibration fitted on test",
    "a scaler fitted before the split",
    "the best of several seeds, by test",
    "rows of one customer on both sides",
    "a column known only after the outcome",
    "copies on both sides of the split",
    "a search that chooses by test",
    "tested on another cut of the same rows",
    "labels passed for scores",
    "early stopping on test",
    "balanced or augmented before the split",
    "means of the label by category before the split",
    "hard test rows dropped",
    "a figure of train shown for one of test",
    "trained on the future",
)
READ = {"uses": "data.read", "with": {"path": "mail.csv", "text": "text", "label": "label"}}
SPLIT = {"uses": "data.split"}
TRAIN = {"uses": "train.text_classification", "with": {"size": "linear"}}
QUALITY = {"uses": "evaluate.quality", "with": {"baselines": False}}
OWN = '''"""Learns from what it should not see."""

from pydantic import BaseModel, ConfigDict

from modelyard.core.stage import Port, Stage


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def run(config, context):
    pass


STAGE = Stage(config=Config, run=run, inputs={"data": Port("dataset", ("SPLIT",))}, outputs={"OUT": Port("KIND")})
'''


class Heard(Silent):
    """Keeps what the run says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, step: str, message: str) -> None:
        self.lines.append(message)


def project(folder: Path, steps: dict[str, Any], release: Any = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    value: dict[str, Any] = {"version": 1, "project": "p", "steps": steps}
    if release:
        value["release"] = release
    path = folder / "modelyard.yaml"
    path.write_text(json.dumps(value), encoding="utf-8")
    assert parse_yaml(path.read_text(encoding="utf-8"), str(path)).value == value
    return path


def table(path: Path, rows: dict[str, Any]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows)
        writer.writerows(zip(*rows.values(), strict=True))


def mails(count: int = 240) -> dict[str, Any]:
    """Short texts with a word that tells the label nine times in ten."""
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, count)
    told = labels ^ (draw.random(count) < 0.1)
    words = draw.integers(0, 400, (count, 6))
    texts = [
        f"{'buy now' if spam else 'see you'} {' '.join(f'w{one}' for one in row)}"
        for spam, row in zip(told, words, strict=True)
    ]
    return {"text": texts, "label": ["spam" if one else "ham" for one in labels]}


def customers(count: int = 700) -> dict[str, Any]:
    """A table in which three numbers and a city tell something."""
    draw = np.random.default_rng(0)
    numbers, city = draw.normal(size=(count, 3)).round(3), draw.integers(0, 12, count)
    label = numbers @ np.array([1.0, 0.7, 0.5]) + 0.3 * (city - 6) + draw.normal(size=count) > 0
    return {**{f"x{place}": numbers[:, place] for place in range(3)}, "city": [f"c{one}" for one in city],
            "label": label.astype(int)}  # fmt: skip


def done(path: Path, **options: Any) -> tuple[RunResult, list[str]]:
    heard = Heard()
    return run_project(path, listener=heard, **options), heard.lines


def failed(result: RunResult) -> list[str]:
    assert result.decision is not None
    assert result.release is None
    return [finding.text() for finding in result.decision.failed]


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


def splits_seen(name: str) -> set[str]:
    stage, problems = find(name, Path())
    assert stage is not None, problems
    return {split for port in stage.stage.inputs.values() for split in port.splits}


def test_the_documentation_lists_these_mistakes_and_no_others() -> None:
    for language in ("", ".zh"):
        text = (ROOT / "docs" / f"evidence{language}.md").read_text(encoding="utf-8")
        rows = [line.split("|")[1:4] for line in text.splitlines() if line.startswith("| ") and line[2].isdigit()]
        assert [int(row[0]) for row in rows] == list(range(1, len(MISTAKES) + 1))
        if not language:
            assert tuple(row[1].strip() for row in rows) == MISTAKES
        assert all(row[2].strip() for row in rows)


def test_1_a_threshold_chosen_on_test_is_refused(tmp_path: Path) -> None:
    tune = own(tmp_path, "threshold", "test", "report")
    assert any("asks for the split test" in one for one in found(tmp_path, split=SPLIT, classifier=TRAIN, tune=tune))
    tune = own(tmp_path, "evaluate/threshold", "test", "model")
    problems = found(tmp_path, split=SPLIT, classifier=TRAIN, tune=tune)
    assert any("is made by a stage that sees test data" in one for one in problems)


@pytest.mark.parametrize("name", [name for name in names() if name.startswith("calibrate.")])
def test_2_calibration_is_fitted_on_rows_that_nothing_else_sees(name: str) -> None:
    assert splits_seen(name) <= {"calibration", "validation"}


def test_2_calibration_on_test_by_a_stage_of_ones_own_is_refused(tmp_path: Path) -> None:
    problems = found(tmp_path, split=SPLIT, classifier=TRAIN, sure=own(tmp_path, "calibrate/mine", "test", "report"))
    assert any("asks for the split test" in one for one in problems)


def test_3_a_scaler_before_the_split_is_refused(tmp_path: Path) -> None:
    problems = found(tmp_path, early=own(tmp_path, "scaler", "train", "report"), split=SPLIT)
    assert any("needs the split train" in one for one in problems)


def test_4_seeds_tried_on_test_are_counted_and_compared_in_the_report(tmp_path: Path) -> None:
    table(tmp_path / "mail.csv", mails())
    steps = {"mail": READ, "split": {"uses": "data.split", "with": {"test": 0.4}}, "model": TRAIN, "quality": QUALITY}
    path = project(tmp_path, steps, {"model": "model", "rules": []})
    for seed in (0, 1, 2):
        result, _ = done(path, sets=[f"seed={seed}"], release=True)
    assert result.report is not None
    page = result.report.read_text(encoding="utf-8")
    assert "of 3 seeds" in page
    assert "is luck on these rows" in page or "what to expect of models made this way" in page


def test_4_measuring_again_until_it_suits_does_not_help() -> None:
    assert not passes(measured(0.7, sequence=1), measured(0.95, sequence=2))


def test_5_rows_of_one_customer_stay_on_one_side(tmp_path: Path) -> None:
    rows = mails()
    table(tmp_path / "mail.csv", {**rows, "customer": [f"customer {place // 6}" for place in range(240)]})
    read = {"uses": "data.read", "with": {**READ["with"], "group": "customer"}}
    rule = {"claim": "data.leakage_rate", "of": "split", "max": 0}
    steps = {"mail": read, "split": SPLIT, "model": TRAIN, "quality": QUALITY}
    result, _ = done(project(tmp_path, steps, {"model": "model", "rules": [rule]}))
    assert result.decision is not None
    assert result.decision.passed


def leaking(folder: Path, rows: dict[str, Any]) -> tuple[RunResult, list[str]]:
    folder.mkdir(parents=True, exist_ok=True)
    table(folder / "table.csv", rows)
    steps = {
        "rows": {"uses": "data.read", "with": {"path": "table.csv", "label": "label"}},
        "split": SPLIT,
        "leaks": {"uses": "data.leaks"},
        "model": {"uses": "train.tabular", "with": {"trees": {"rounds": 20}}},
        "quality": QUALITY,
    }
    return done(project(folder, steps, {"model": "model", "rules": [{"claim": "data.leak_columns", "max": 0}]}))


def test_6_a_column_known_only_after_the_outcome_stops_the_release(tmp_path: Path) -> None:
    rows = customers()
    draw = np.random.default_rng(1)
    rows["duration"] = draw.lognormal(5 + 1.8 * rows["label"], 0.7).astype(int)
    result, said = leaking(tmp_path / "leak", rows)
    assert any("data.leak_columns <= 0: 1" in one for one in failed(result))
    assert any("`duration`" in line and "is it known when the model answers?" in line for line in said)
    honest, _ = leaking(tmp_path / "honest", customers())
    assert honest.decision is not None
    assert honest.decision.passed


def test_7_copies_on_both_sides_are_taken_out_of_train_and_counted(tmp_path: Path) -> None:
    rows = mails()
    texts = rows["text"][:160] + [f"  {text.upper()}" for text in rows["text"][:30]] + rows["text"][190:]
    given = ["train"] * 160 + ["test"] * 80
    labels = rows["label"][:160] + rows["label"][:30] + rows["label"][190:]
    table(tmp_path / "mail.csv", {"text": texts, "label": labels, "given": given})
    read = {"uses": "data.read", "with": {**READ["with"], "split": "given"}}
    rules = [{"claim": "data.leakage_rate", "of": "split", "max": 0}]
    rules.append({"claim": "data.overlap_found_rate", "of": "split", "max": 0.01})
    steps = {"mail": read, "split": SPLIT, "model": TRAIN, "quality": QUALITY}
    result, said = done(project(tmp_path, steps, {"model": "model", "rules": rules}))
    assert [one for one in failed(result) if "leakage_rate" in one] == []
    assert any("data.overlap_found_rate" in one for one in failed(result)), failed(result)
    assert any("are taken out of train" in line for line in said)


def test_8_a_search_cannot_choose_by_test(tmp_path: Path) -> None:
    search = {
        "steps": ["classifier", "quality"],
        "space": {"classifier.epochs": [1, 2]},
        "objective": "quality.quality.accuracy",
        "trials": 2,
    }
    problems = found(tmp_path, split=SPLIT, classifier=TRAIN, quality=QUALITY, tuned={"search": search})
    assert any("sees test data" in one for one in problems)


def test_9_two_cuts_of_the_same_rows_are_refused(tmp_path: Path) -> None:
    steps = {
        "one": SPLIT,
        "two": {"uses": "data.split", "with": {"test": 0.3}, "in": {"data": "mail"}},
        "classifier": TRAIN | {"in": {"data": "one"}},
        "quality": {"uses": "evaluate.quality", "in": {"data": "two"}},
    }
    assert any("both were cut from the same data" in one for one in found(tmp_path, **steps))


def test_10_labels_passed_for_scores_are_no_evidence_for_an_area(tmp_path: Path) -> None:
    table(tmp_path / "mail.csv", mails())
    shutil.copy(ROOT / "examples" / "recipes" / "metrics" / "rounded.py", tmp_path)
    steps = {"mail": READ, "split": SPLIT, "model": TRAIN, "rounded": {"uses": "./rounded.py"}, "quality": QUALITY}
    release = {"model": "rounded", "rules": [{"claim": "quality.roc_auc", "min": 0.5}]}
    result, said = done(project(tmp_path, steps, release))
    assert any("no evidence about rounded" in one for one in failed(result))
    assert any("not measured: roc_auc" in line and "hard labels" in line for line in said)
    release["rules"] = [{"claim": "quality.accuracy", "min": 0.5}]
    assert done(project(tmp_path, steps, release))[0].release is not None


@pytest.mark.parametrize("name", [name for name in names() if name.startswith("train.")])
def test_11_no_trainer_sees_test_so_none_stops_early_on_it(name: str) -> None:
    assert "test" not in splits_seen(name)


def test_11_a_trainer_of_ones_own_that_asks_for_test_is_refused(tmp_path: Path) -> None:
    problems = found(tmp_path, split=SPLIT, model=own(tmp_path, "trainer", "test", "model"))
    assert any("asks for the split test" in one for one in problems)


@pytest.mark.parametrize("stage", ["data.balance", "data.augment"])
def test_12_what_balances_or_augments_cannot_stand_before_the_split(tmp_path: Path, stage: str) -> None:
    assert any(f"`{stage}` needs the split train" in one for one in found(tmp_path, early={"uses": stage}, split=SPLIT))


def test_13_means_of_the_label_by_category_before_the_split_stop_the_release(tmp_path: Path) -> None:
    rows = customers(900)
    city, label = np.array(rows["city"]), np.asarray(rows["label"])
    rows["city_mean"] = [label[city == one].mean() for one in city]
    result, said = leaking(tmp_path, rows)
    assert any("data.leak_columns <= 0: 1" in one for one in failed(result))
    assert any("`city_mean` holds means of the label by `city`" in line for line in said)


def test_14_no_stage_drops_hard_test_rows_after_the_split(tmp_path: Path) -> None:
    for name in names():
        stage, _ = find(name, Path())
        assert stage is not None
        makes = {split for port in stage.stage.outputs.values() for split in port.splits if port.kind == "dataset"}
        assert "test" not in makes or name in ("data.split", "model.release"), name
    problems = found(tmp_path, split=SPLIT, easy=own(tmp_path, "easy", "test", "dataset"), classifier=TRAIN)
    assert any("asks for the split test" in one for one in problems)
    easy = own(tmp_path, "evaluate/easy", "test", "dataset")
    quality = QUALITY | {"in": {"data": "easy"}}
    problems = found(tmp_path, split=SPLIT, classifier=TRAIN, easy=easy, quality=quality)
    assert any("`evaluate.quality` needs the split train, validation, test" in one for one in problems)


MODEL, DATA, CODE = "sha256:m", "sha256:d", "sha256:e"


def measured(value: float, split: str = "test", sequence: int = 1, evaluator: str = CODE, claim: str = "quality.f1"):
    ends = (value - 0.01, value + 0.01)
    return Evidence(claim, value, ends, 100, "", MODEL, DATA, split, evaluator, 1, sequence)


def passes(*evidence: Evidence, claim: str = "quality.f1") -> bool:
    world = World(MODEL, {}, (), {claim: Claim(claim, "")}, {claim: {Source(CODE, DATA)}}, evidence)
    return decide((Rule(claim, min=0.8),), world).passed


def test_15_a_figure_of_train_or_another_metric_passes_no_rule() -> None:
    assert passes(measured(0.9))
    assert not passes(measured(0.99, split="train"))
    assert not passes(measured(0.99, split="validation"))
    assert not passes(measured(0.95, claim="quality.accuracy"))


def test_16_rows_of_the_future_in_train_are_counted_and_said(tmp_path: Path) -> None:
    rows = mails()
    table(tmp_path / "mail.csv", {**rows, "day": [f"2024-{1 + place % 12:02d}-11" for place in range(240)]})
    read = {"uses": "data.read", "with": {**READ["with"], "time": "day"}}
    rule = {"claim": "data.future_rate", "of": "split", "max": 0}
    for by, passed in (("label", False), ("time", True)):
        steps = {"mail": read, "split": {"uses": "data.split", "with": {"by": by}}, "model": TRAIN, "quality": QUALITY}
        result, said = done(project(tmp_path, steps, {"model": "model", "rules": [rule]}))
        assert result.decision is not None
        assert result.decision.passed is passed
        assert passed or any("divide with `by: time`" in line for line in said)
