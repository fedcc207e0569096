"""Folds around a search: each fold searches anew on rows of its own, and the held-out rows judge what was chosen."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from support.toy_search import FIT, kill_when, made
from test_folds import ROWS

import modelyard
from modelyard.app import show
from modelyard.cli.show import command
from modelyard.engine.bind import load_project

pytest_plugins = ("support.quick_disk",)

JUDGE = '''"""Every setting answers by its own coin, and so do the labels: nothing can be learned."""
import hashlib
import json
from pydantic import BaseModel, ConfigDict
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def run(config, context):
    from modelyard.methods.data.dataset import Dataset
    power = json.loads((context.input("model") / "model.json").read_text())["power"]
    rows = Dataset.open(context.input("data")).column("validation", "row_id")
    coin = lambda text: hashlib.sha256(text.encode()).digest()[0] % 2
    value = sum(coin(f"{power} {row}") == coin(f"label {row}") for row in rows) / len(rows)
    with (context.base / "seen.log").open("a") as log:
        log.write(json.dumps([context.step, rows, value]) + "\\n")
    (context.output("report") / "judge.json").write_text(json.dumps({"score": value}))
    context.measure("judge.score", value, about="model", on="data/validation", n=len(rows), interval=(value, value))


STAGE = Stage(
    config=Config, run=run,
    inputs={"model": Port("model"), "data": Port("dataset", ("validation",))},
    outputs={"report": Port("report")}, claims=(Claim("judge.score", "share of right answers"),),
)
'''

PROJECT = """version: 1
project: nest
steps:
  data: {uses: ./rows.py}
  model: {uses: ./fit.py}
  held: {uses: ./evaluate/judge.py}
  tuned:
    search:
      steps: [model, held]
      space: {model.power: {low: 0, high: 11, step: 1}}
      objective: held.judge.score
      method: grid
      trials: 12
  judged: {uses: ./evaluate/judge.py}
  nested: {folds: {steps: [tuned, judged], k: 3, predictions: false}}
"""


def write(folder, text=PROJECT, jobs=1, seconds=0.0):
    (folder / "evaluate").mkdir(parents=True, exist_ok=True)
    rows = ROWS.replace('("train", 20), ("validation", 10)', '("train", 120), ("validation", 60)')
    for name, content in {"rows": rows, "fit": FIT, "evaluate/judge": JUDGE}.items():
        (folder / f"{name}.py").write_text(content)
    if jobs > 1:
        (folder / "modelyard.profiles.yaml").write_text(f"profiles: {{local: {{jobs: {jobs}, threads: 1}}}}\n")
    text = text.replace("{uses: ./fit.py}", f"{{uses: ./fit.py, with: {{seconds: {seconds}}}}}") if seconds else text
    (folder / "modelyard.yaml").write_text(text)
    return folder / "modelyard.yaml"


def outputs(result):
    return {f"{step.step}.{port}": digest for step in result.steps for port, digest in step.outputs.items()}


def seen(folder):
    """What each measuring step saw: its name, rows, and value."""
    return [json.loads(line) for line in (folder / "seen.log").read_text().splitlines()]


@pytest.fixture(scope="module")
def done(quick_disk_of_module):
    folder = quick_disk_of_module / "nested"
    return folder, modelyard.run(write(folder))


def test_no_row_that_judges_has_chosen(done):
    folder, _ = done
    judged: list[str] = []
    for fold in (1, 2, 3):
        chose = {row for step, rows, _ in seen(folder) if step.startswith(f"nested.{fold}.tuned") for row in rows}
        own = {row for step, rows, _ in seen(folder) if step == f"nested.{fold}.judged" for row in rows}
        assert chose
        assert own
        assert not chose & own
        judged += own
    assert len(judged) == len(set(judged)) == 180, "every row judges once"


def test_what_the_search_sees_flatters_noise_and_the_nested_mean_does_not(done):
    folder, _ = done
    evidence = modelyard.evidence("nested.report", project=folder)
    assert [item["claim"] for item in evidence] == ["folds.score"]
    low, high = evidence[0]["interval"]
    assert low < 0.5 < high
    chosen = show.search("nested.1.tuned", project=folder)
    assert chosen["trials"][chosen["winner"] - 1]["scores"][0] > 0.6
    assert evidence[0]["value"] < 0.56


def test_the_report_tells_what_every_fold_chose(done):
    folder, result = done
    digest = outputs(result)["nested.report"].removeprefix("sha256:")
    path = folder / ".modelyard" / "artifacts" / digest[:2] / digest[2:] / "folds.json"
    data = json.loads(path.read_text())["data"]
    winners = [show.search(f"nested.{fold}.tuned", project=folder) for fold in (1, 2, 3)]
    values = [winner["trials"][winner["winner"] - 1]["values"] for winner in winners]
    assert data["chosen"] == values
    own = {step.step: step.outputs for step in result.steps}
    assert own["nested.1.tuned"]["model"] == own["nested.1.model"]["model"]
    assert own["tuned"]["model"] == own["model"]["model"], "the main line keeps its own winner"


def test_a_second_run_finds_all_and_plan_says_so(done):
    folder, first = done
    again = modelyard.run(folder)
    assert all(step.cached for step in again.steps)
    assert outputs(again) == outputs(first)
    assert {step.state for step in modelyard.plan(folder).steps} == {"cached"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_nested_search_goes_on_and_ends_in_the_same_bytes(quick_disk, jobs, done):
    _, calm = done
    project = write(quick_disk / "killed", jobs=jobs, seconds=0.02)
    kill_when(project.parent, 20)
    assert len(made(project.parent)) < 48
    result = modelyard.run(project)
    tried = len(made(project.parent))
    assert 48 <= tried <= 48 + jobs, "only what was under way is made again"
    assert {step.step for step in result.steps} == {step.step for step in calm.steps}
    found = [modelyard.evidence("nested.report", project=folder)[0] for folder in (project.parent, done[0])]
    assert found[0]["value"] == found[1]["value"]
    assert found[0]["interval"] == found[1]["interval"]


@pytest.mark.parametrize(
    ("change", "found", "remedy"),
    [
        ("[tuned, judged]", None, None),
        ("[model, judged]", "`model` belongs to the search `tuned` already", "list `tuned`"),
        ("[tuned]", "none of the steps measures the model on rows held out", "list an `evaluate.validation` step"),
    ],
)
def test_what_cannot_be_nested_is_told(tmp_path, change, found, remedy):
    _, problems = load_project(write(tmp_path, PROJECT.replace("[tuned, judged]", change)))
    if found is None:
        assert problems == []
    else:
        assert found in problems[0].found
        assert remedy in problems[0].remedy


def test_a_share_for_validation_keeps_the_held_out_part_from_what_learns(tmp_path):
    text = PROJECT[: PROJECT.index("  tuned:")] + "  cv: {folds: {steps: [model, held], k: 3, validation: 0.25}}\n"
    bound, problems = load_project(write(tmp_path, text))
    assert problems == []
    assert bound.step("cv.2.model").bindings["data"] == (("cv.2.within", "data"),)
    assert bound.step("cv.2.held").bindings["data"] == (("cv.2.data", "data"),)
    plain, _ = load_project(write(tmp_path, text.replace(", validation: 0.25", "")))
    assert plain.step("cv.2.model").bindings["data"] == (("cv.2.data", "data"),)


def test_what_every_fold_cost_and_chose_is_shown(done):
    folder, _ = done
    value = show.folds("nested", project=folder)
    assert [fold["runs"] for fold in value["folds"]] == [2 + 2 * 12 + 1] * 3, "two cuts, the trials, the judge"
    assert value["seconds"] == pytest.approx(sum(fold["seconds"] for fold in value["folds"]))
    assert value["seconds"] > 0
    result = CliRunner().invoke(command, ["folds", "nested", "--project", str(folder)])
    assert result.exit_code == 0, result.output
    assert "model.power" in result.output
    assert "mean" in result.output
