"""The best of several seeds is counted, shown with its spread, and refused by a gate; so is looking at test often."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.toy_search import DATA

import modelyard
from modelyard.methods.evaluation import selection

pytest_plugins = ("support.quick_disk",)

FIT = '''"""A model is its seed, unless it is a steady one."""
import json
from pydantic import BaseModel, ConfigDict, Field
from modelyard.core.stage import Context, Port, Stage


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    power: int = Field(1, ge=0, le=100, description="The power.")
    steady: bool = Field(False, description="The seed makes no difference.")


def run(config: Config, context: Context) -> None:
    value = {"power": config.power, "seed": 0 if config.steady else context.seed, "format": "toy"}
    (context.output("model") / "model.json").write_text(json.dumps(value))


STAGE = Stage(
    config=Config, run=run, inputs={"data": Port("dataset", ("train", "validation"))}, outputs={"model": Port("model")}
)
'''

SCORE = '''"""Score on test: a tenth more for each seed."""
import json
from pydantic import BaseModel, ConfigDict
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def run(config: Config, context: Context) -> None:
    value = 0.5 + 0.1 * json.loads((context.input("model") / "model.json").read_text())["seed"]
    (context.output("report") / "score.json").write_text(json.dumps({"score": value}))
    context.measure("score.rate", value, about="model", on="data/test", n=100, interval=(value - 0.05, value + 0.05))


STAGE = Stage(
    config=Config, run=run,
    inputs={"model": Port("model"), "data": Port("dataset", ("test",))},
    outputs={"report": Port("report")}, claims=(Claim("score.rate", "share of right answers"),),
)
'''

PROJECT = """version: 1
project: lucky
seed: 0
steps:
  data: {uses: ./make.py}
  model: {uses: ./fit.py}
  score: {uses: ./evaluate/score.py}
  chosen: {uses: evaluate.selection}
  card: {uses: report.card}
release:
  model: model
  rules:
    - {claim: score.rate, min: 0.1}
"""
ONE_SEED = "    - {claim: selection.seeds, max: 1}\n"


def run(folder, seed, text=PROJECT, score=SCORE):
    (folder / "evaluate").mkdir(parents=True, exist_ok=True)
    for name, content in {"make": DATA, "fit": FIT, "evaluate/score": score}.items():
        (folder / f"{name}.py").write_text(content)
    (folder / "modelyard.yaml").write_text(text.replace("seed: 0", f"seed: {seed}"))
    return modelyard.run(folder)


def measured(folder):
    return {item["claim"]: item["value"] for item in modelyard.evidence("model.model", project=folder)}


def card(folder, result):
    digest = next(step.outputs["report"] for step in result.steps if step.step == "card").removeprefix("sha256:")
    return (folder / ".modelyard" / "artifacts" / digest[:2] / digest[2:] / "card.html").read_text(encoding="utf-8")


def test_the_best_of_three_seeds_is_counted_shown_and_refused(quick_disk):
    for seed in (0, 1):
        run(quick_disk, seed)
    result = run(quick_disk, 2)
    found = measured(quick_disk)
    assert found["selection.seeds"] == 3
    assert found["selection.seed_gain"] == pytest.approx(0.1)
    assert found["selection.seed_range"] == pytest.approx(0.2)
    assert "The best of 3 seeds. By score.rate on test it has 0.7" in card(quick_disk, result)
    refused = run(quick_disk, 2, PROJECT + ONE_SEED)
    assert refused.release is None
    assert not refused.decision.passed


def test_one_seed_passes_and_says_nothing(quick_disk):
    result = run(quick_disk, 7, PROJECT + ONE_SEED)
    assert result.release is not None
    assert measured(quick_disk)["selection.seed_gain"] == 0
    assert "seeds. By" not in card(quick_disk, result)


def test_what_differs_in_more_than_the_seed_or_not_at_all_is_not_counted(quick_disk):
    run(quick_disk, 0)
    run(quick_disk, 1, PROJECT.replace("./fit.py}", "./fit.py, with: {power: 2}}"))
    assert measured(quick_disk)["selection.seeds"] == 1
    steady = PROJECT.replace("./fit.py}", "./fit.py, with: {steady: true}}")
    for seed in (2, 3):
        run(quick_disk, seed, steady)
    assert measured(quick_disk)["selection.seeds"] == 1


def test_a_middling_seed_is_told_apart_from_the_best(quick_disk):
    for seed in (0, 2):
        run(quick_disk, seed)
    result = run(quick_disk, 1)
    assert "One of 3 seeds. By score.rate on test it has 0.6" in card(quick_disk, result)


def test_models_that_saw_the_test_rows_are_counted(quick_disk):
    for power in (1, 2, 3):
        result = run(quick_disk, 0, PROJECT.replace("./fit.py}", f"./fit.py, with: {{power: {power}}}}}"))
    assert measured(quick_disk)["selection.test_models"] == 3
    assert "The test split was opened 3 times, for 3 models." in card(quick_disk, result)


def test_a_release_evaluated_by_itself_is_counted_with_what_its_project_did(quick_disk):
    for seed in (0, 1):
        run(quick_disk, seed)
    found = modelyard.evaluate("lucky", families=["selection"], project=quick_disk)
    values = {item["claim"]: item["value"] for item in found.evidence}
    assert (values["selection.seeds"], values["selection.test_openings"]) == (2, 2)
    assert "selection.seed_gain" not in values, "nothing was compared here, so there is no evidence of it"


def seeds(*values, name="quality.rmse on test"):
    return [{"seed": place, "model": f"m{place}", "values": {name: value}} for place, value in enumerate(values)]


def test_less_is_better_where_the_claim_says_so():
    found = selection.compare(seeds(3.0, 1.0, 2.0), "m1", {"quality.rmse": {"better": "lower"}})
    assert (found.best, found.gain, found.spread, found.mean) == (True, 1.0, 2.0, 2.0)
    assert not selection.compare(seeds(3.0, 1.0, 2.0), "m0", {"quality.rmse": {"better": "lower"}}).best


def test_seeds_without_a_claim_in_common_are_only_counted():
    found = selection.compare([*seeds(1.0), *seeds(1.0, name="other on test")], "m0", {})
    assert (len(found.seeds), found.claim, found.gain) == (2, "", 0.0)
    assert "nothing in common" in selection.about(found).template


def test_seeds_of_several_tasks_are_compared_task_by_task():
    rows = [
        {"seed": at, "model": f"m{at}", "values": {"quality.accuracy of mood on test": 0.5 + at / 10,
         "quality.rmse of day on date on test": 2.0 - at, "fairness.gap on test": 0.1}} for at in range(2)
    ]  # fmt: skip
    found = selection.by_task(rows, "m1", {"quality.rmse": {"better": "lower"}})
    assert [(one.task, one.claim) for one in found] == [
        ("day on date", "quality.rmse of day on date on test"), ("mood", "quality.accuracy of mood on test"),
    ]  # fmt: skip
    assert [one.gain for one in found] == pytest.approx([0.5, 0.05])
    (wanted,) = selection.by_task(rows, "m1", {}, "fairness.gap")
    assert (wanted.task, wanted.claim) == ("", "fairness.gap on test")
    (mood,) = selection.by_task(rows, "m1", {}, "quality.accuracy")
    assert mood.task == "mood"
    (plain,) = selection.by_task(seeds(1.0, 2.0), "m0", {})
    assert plain.task == ""


def test_a_rule_about_the_seeds_of_one_task_refuses_the_lucky_one(quick_disk):
    about, sliced = (
        "interval=(value - 0.05, value + 0.05))",
        'interval=(value - 0.05, value + 0.05), slice={"task": "mood"})',
    )
    rule = "    - {claim: selection.seed_gain, max: 0.01, slice: {task: mood}}\n"
    text = PROJECT.replace("    - {claim: score.rate, min: 0.1}\n", rule)
    assert about in SCORE
    (quick_disk / "evaluate").mkdir()
    for seed in (0, 1):
        result = run(quick_disk, seed, text, SCORE.replace(about, sliced))
    found = {item["claim"]: item for item in modelyard.evidence("model.model", project=quick_disk)}
    assert found["selection.seed_gain"]["slice"] == {"task": "mood"}
    assert found["selection.seed_gain"]["value"] == pytest.approx(0.05)
    assert not result.decision.passed
    assert "The best of 2 seeds. By score.rate of mood on test it has 0.6" in card(quick_disk, result)


def test_the_best_of_twenty_equal_models_looks_three_points_better():
    draw = np.random.default_rng(0).binomial(500, 0.85, (2000, 20)) / 500
    gains = [selection.compare(seeds(*row), f"m{row.argmax()}", {}).gain for row in draw]
    assert np.mean(gains) == pytest.approx(0.03, abs=0.003)


def test_a_record_without_seeds_is_read():
    from modelyard.methods.reporting import parse

    assert parse({"version": 1, "project": "p"}).seeds == []
    assert json.dumps(parse({"version": 1, "project": "p"}).opened_models) == "null"


OWN = """version: 1
project: several
seed: 0
steps:
  data: {uses: ./make.py}
  one: {uses: ./fit.py, seed: 1}
  three: {uses: ./fit.py, seed: 3}
  score: {uses: ./evaluate/score.py, in: {model: three}}
  plain: {uses: ./fit.py}
  chosen: {uses: evaluate.selection, in: {model: three}}
"""


def test_steps_may_have_seeds_of_their_own_which_are_counted_and_kept(quick_disk):
    result = run(quick_disk, 0, OWN)
    models = {step.step: step.outputs["model"] for step in result.steps if "model" in step.outputs}
    assert len(set(models.values())) == 3
    found = {item["claim"]: item["value"] for item in modelyard.evidence("three.model", project=quick_disk)}
    assert found["score.rate"] == pytest.approx(0.8)
    assert found["selection.seeds"] == 3
    again = run(quick_disk, 0, OWN.replace("seed: 3", "seed: 4"))
    assert [step.step for step in again.steps if not step.cached] == ["three", "score", "chosen"]
