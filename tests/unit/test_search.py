"""Searches: what the project file may say, what is run, what is reused, what wins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.toy_search import PROJECT, made, write_search

import modelyard
from modelyard.engine.bind import load_project
from modelyard.engine.repeat.workers import project_json
from modelyard.errors import ProjectError, StageError

pytest_plugins = ("support.quick_disk",)

SPACE = "space: {model.power: [2, 8]}"
RANDOM = "space: {model.power: [2, 8], model.block.rate: {low: 0.01, high: 10, log: true}}"


def told(path: Path, project: str) -> list[tuple[str, str, str]]:
    bound, problems = load_project(write_search(path, project))
    assert bound is None
    return [
        (problem.where.rpartition(":")[2], problem.found, problem.remedy or problem.expected) for problem in problems
    ]


def outputs(result):
    return {f"{step.step}.{port}": digest for step in result.steps for port, digest in step.outputs.items()}


def winner(path: Path, result) -> dict:
    trials = json.loads((folder(path, outputs(result)["tuned.trials"]) / "trials.json").read_text())
    return trials["trials"][trials["winner"] - 1]["values"]


def folder(path: Path, digest: str) -> Path:
    value = digest.removeprefix("sha256:")
    return path / ".modelyard" / "artifacts" / value[:2] / value[2:]


def test_a_search_finds_the_optimum_and_the_steps_below_take_its_winner(quick_disk):
    result = modelyard.run(write_search(quick_disk))
    assert winner(quick_disk, result) == {"model.power": 5}
    assert outputs(result)["tuned.model"] == outputs(result)["model.model"] == result.release.model
    model = json.loads((folder(quick_disk, result.release.model) / "model.json").read_text())
    assert model["power"] == 5
    assert result.decision.passed  # the rule is about test, measured on the winner by the step below
    assert [power for _, power, *_ in made(quick_disk)] == ["2", "3", "4", "5", "6", "7", "8"]


def test_a_second_run_finds_everything_and_makes_nothing(quick_disk):
    project = write_search(quick_disk)
    first = modelyard.run(project)
    count = len(made(quick_disk))
    second = modelyard.run(project)
    assert all(step.cached for step in second.steps)
    assert outputs(second) == outputs(first)
    assert second.release == first.release
    assert len(made(quick_disk)) == count


def test_only_new_trials_run_when_there_are_more_of_them(quick_disk):
    text = PROJECT.replace(SPACE, RANDOM + "\n      method: random\n      trials: {n}")
    modelyard.run(write_search(quick_disk, text.replace("{n}", "4")))
    assert len(made(quick_disk)) == 4
    modelyard.run(write_search(quick_disk, text.replace("{n}", "6")))
    assert len(made(quick_disk)) == 6


def test_a_changed_member_is_searched_anew(quick_disk):
    project = write_search(quick_disk)
    modelyard.run(project)
    result = modelyard.run(project, sets=["steps.model.with.block.rate=2"])
    assert len(made(quick_disk)) == 14
    assert winner(quick_disk, result) == {"model.power": 5}


@pytest.mark.parametrize("method", ["random", "tpe"])
def test_proposals_depend_on_the_seed_alone(quick_disk, method):
    text = PROJECT.replace(SPACE, RANDOM + f"\n      method: {method}\n      trials: 4")
    one = modelyard.run(write_search(quick_disk / "one", text))
    two = modelyard.run(write_search(quick_disk / "two", text, jobs=3))
    other = modelyard.run(write_search(quick_disk / "three", text.replace("project: hunt", "project: hunt\nseed: 9")))
    assert outputs(one) == outputs(two), "processes side by side change nothing"
    assert sorted(row[1:] for row in made(quick_disk / "one")) == sorted(row[1:] for row in made(quick_disk / "two"))
    assert len({row[0] for row in made(quick_disk / "two")} - {row[0] for row in made(quick_disk / "one")}) > 1
    assert outputs(other)["tuned.trials"] != outputs(one)["tuned.trials"]


def test_a_trial_that_fails_is_counted_and_the_search_goes_on(quick_disk):
    result = modelyard.run(write_search(quick_disk, PROJECT.replace("./fit.py}", "./fit.py, with: {fail_at: 5}}")))
    assert winner(quick_disk, result) == {"model.power": 4}
    notes = modelyard.runs(step="tuned", project=quick_disk)[0]["notes"]
    assert notes[0] == "grid: 7 of 7 trials, 1 failed"
    assert result.refused


def test_a_value_that_is_no_number_wins_nothing(quick_disk):
    result = modelyard.run(write_search(quick_disk, PROJECT.replace("[2, 8]", "[2, 99, 3]")))
    assert winner(quick_disk, result) == {"model.power": 3}


def test_a_search_whose_every_trial_fails_says_why(quick_disk):
    text = PROJECT.replace("[2, 8]", "[5]").replace("./fit.py}", "./fit.py, with: {fail_at: 5}}")
    with pytest.raises(StageError, match=r"(?s)every trial failed; the first: .*this power fails"):
        modelyard.run(write_search(quick_disk, text))


def test_settings_that_do_not_go_together_fail_their_trial_only(quick_disk):
    text = PROJECT.replace("./fit.py}", "./fit.py, with: {block: {rate: 1}}}").replace(
        SPACE, "space: {model.power: [4, 5, 6], model.block.kind: [a, b]}"
    )
    project = write_search(quick_disk, text)
    source = (quick_disk / "fit.py").read_text().replace(
        "def run(",
        "    @model_validator(mode='after')\n    def _fit(self):\n"
        "        if self.power == 5 and self.block.kind == 'b':\n"
        "            raise ValueError('not these two')\n        return self\n\n\ndef run(",
        1,
    )  # fmt: skip
    (quick_disk / "fit.py").write_text(source.replace("ConfigDict, Field", "ConfigDict, Field, model_validator"))
    result = modelyard.run(project)
    assert winner(quick_disk, result) == {"model.power": 5, "model.block.kind": "a"}
    assert "1 failed" in modelyard.runs(step="tuned", project=quick_disk)[0]["notes"][0]


def test_time_that_is_up_ends_the_search_with_what_there_is_and_the_next_run_goes_on(quick_disk):
    text = PROJECT.replace("./fit.py}", "./fit.py, with: {seconds: 0.05}}").replace(
        SPACE, SPACE + "\n      timeout: 0.0001"
    )
    project = write_search(quick_disk, text)
    first = modelyard.run(project)
    assert len(made(quick_disk)) == 1
    assert winner(quick_disk, first) == {"model.power": 2}
    assert {step.step: step.state for step in modelyard.plan(project).steps}["tuned"] == "run"
    modelyard.run(project)
    assert len(made(quick_disk)) == 2
    last = modelyard.run(write_search(quick_disk, text.replace("0.0001", "1000")))
    assert winner(quick_disk, last) == {"model.power": 5}
    assert len(made(quick_disk)) == 7


def test_several_objectives_make_a_front_and_choose_says_which_point_wins(quick_disk):
    text = PROJECT.replace(
        "objective: judge.judge.score", "objective: [judge.judge.score, judge.judge.cost]\n      choose: {within: 0.05}"
    )
    result = modelyard.run(write_search(quick_disk, text))
    trials = json.loads((folder(quick_disk, outputs(result)["tuned.trials"]) / "trials.json").read_text())
    assert [trials["trials"][number - 1]["values"]["model.power"] for number in trials["front"]] == [2, 3, 4, 5]
    assert winner(quick_disk, result) == {"model.power": 3}  # 0.96 is within 0.05 of 1.0, and the cheapest such


def test_plan_says_how_many_trials_are_done(quick_disk):
    text = PROJECT.replace("./fit.py}", "./fit.py, with: {seconds: 0.05}}").replace(
        SPACE, SPACE + "\n      timeout: 0.0001"
    )
    project = write_search(quick_disk, text)
    modelyard.run(project)
    steps = {step["step"]: step for step in modelyard.plan(project).to_json()["steps"]}
    assert steps["tuned"]["trials"] == {"planned": 7, "done": 1}
    assert "1 of 7 trials are done" in steps["tuned"]["reasons"]
    assert steps["model"]["state"] == "later"
    modelyard.run(write_search(quick_disk))
    assert {step.step: step.state for step in modelyard.plan(quick_disk).steps} == dict.fromkeys(
        ["data", "model", "judge", "tuned", "score"], "cached"
    )


def test_an_until_inside_a_search_stands_for_the_search(quick_disk):
    result = modelyard.run(write_search(quick_disk), until="model")
    assert [step.step for step in result.steps] == ["data", "model", "judge", "tuned"]


def test_the_winner_survives_a_collection_that_frees_the_losers(quick_disk):
    project = write_search(quick_disk, PROJECT[: PROJECT.index("release:")])
    first = modelyard.run(project)
    modelyard.gc(project=quick_disk, keep=1)
    second = modelyard.run(project)
    assert outputs(second) == outputs(first)
    assert all(step.cached for step in second.steps)


MISTAKES = {
    "steps: [model, judge]|steps: [modle, judge]": [("9", "there is no step `modle` above", "did you mean `model`?")],
    "steps: [model, judge]|steps: [model, judge, score]": [("9", "`score` stands below `tuned`", "steps above it")],
    "model.power: [2, 8]|model.powr: [2, 8]": [("10", "unknown setting `powr`", "did you mean `power`?")],
    "model.power: [2, 8]|modl.power: [2, 8]": [("10", "`modl.power` names no listed step", "did you mean `model`?")],
    "model.power: [2, 8]|model.power: [8, 2]": [
        ("10", "`model.power` is [8, 2]", "[low, high] with low less than high; two values to choose from are "
         "`{choices: [8, 2]}`"),
    ],
    "model.power: [2, 8]|model.power: [2, 101]": [("10", "`power` is 101", "at most 100 (The power.)")],
    "model.power: [2, 8]|model.power: {low: 1, high: 0}": [
        ("10", "`space.model.power` is", "`low` must be less than `high`; they are 1 and 0"),
    ],
    "model.power: [2, 8]|model.block.kind: [a, c]": [("10", '`block.kind` is "c"', "one of: a, b (The kind.)")],
    "judge.judge.score|judge.score": [
        ("11", "no listed step measures `judge.score`", "did you mean `judge.judge.score`?"),
    ],
    "judge.judge.score|judge.judge.taste": [
        ("11", "of `judge.taste` neither more nor less is good", "{claim: …, better: higher | lower}"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("mistake", sorted(MISTAKES))
def test_mistakes_are_told_at_their_line(quick_disk, mistake):
    old, new = mistake.split("|", 1)
    found = told(quick_disk, PROJECT.replace(old, new))
    for (line, text, remedy), expected in zip(found, MISTAKES[mistake], strict=True):
        assert line == expected[0]
        assert expected[1] in text
        assert expected[2] in remedy


def test_a_grid_needs_values_it_can_count(quick_disk):
    text = PROJECT.replace("model.power: [2, 8]", "model.block.rate: [0.1, 1.0]")
    text = text.replace("judge.judge.score", "judge.judge.score\n      method: grid")
    assert told(quick_disk, text) == [
        ("10", "a grid cannot count the values of `model.block.rate`",
         "give choices or a `step`, or take `method: random` or `tpe`"),
    ]  # fmt: skip


def test_what_sees_test_data_may_not_be_searched_by(quick_disk):
    text = PROJECT.replace("  tuned:", "  early: {uses: ./evaluate/score.py}\n  tuned:")
    text = text.replace("[model, judge]", "[model, judge, early]").replace("judge.judge.score", "early.score.rate")
    assert told(quick_disk, text)[0][1] == "`early` sees test data: what is chosen by it could not be measured on it"


def test_a_step_between_may_not_take_what_the_search_decides(quick_disk):
    text = PROJECT.replace("  tuned:", "  early: {uses: ./evaluate/score.py}\n  tuned:")
    found = told(quick_disk, text)
    assert [(line, text) for line, text, _ in found] == [
        ("7", "`early` takes from `model`, which the search `tuned` below makes")
    ]


def test_a_rule_cannot_rest_on_what_the_search_measured(quick_disk):
    text = PROJECT.replace("score.rate", "judge.score").replace("  score: {uses: ./evaluate/score.py}\n", "")
    assert "not on test data" in told(quick_disk, text)[0][1]


def test_a_worker_gets_the_same_project(quick_disk):
    bound, _ = load_project(write_search(quick_disk))
    from modelyard.engine.bind import load_project_dict

    again, problems = load_project_dict(json.loads(json.dumps(project_json(bound.project))), quick_disk)
    assert problems == []
    assert [(s.name, s.config, s.bindings) for s in again.steps] == [
        (s.name, s.config, s.bindings) for s in bound.steps
    ]


def test_a_search_cannot_be_asked_for_by_uses(quick_disk):
    with pytest.raises(ProjectError, match="there is no stage `search`"):
        modelyard.run(write_search(quick_disk, "version: 1\nproject: x\nsteps:\n  a: {uses: search}\n"))
