"""What the engine promises about a run, proved on a project of small stages."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest
from support.toy import FIT, PROJECT, write_toy

import modelyard
from modelyard.cli.report import command
from modelyard.errors import InputError, ProjectError, StageError, UsageError


def states(result):
    return {step.step: step.cached for step in result.steps}


def digests(result):
    return {f"{step.step}.{port}": digest for step in result.steps for port, digest in step.outputs.items()}


def artifact_path(folder: Path, digest: str) -> Path:
    value = digest.removeprefix("sha256:")
    return folder / ".modelyard" / "artifacts" / value[:2] / value[2:]


def test_a_second_run_makes_nothing_and_finds_the_same_release(tmp_path):
    project = write_toy(tmp_path)
    first = modelyard.run(project)
    second = modelyard.run(project)
    assert states(first) == {"data": False, "model": False, "score": False}
    assert states(second) == {"data": True, "model": True, "score": True}
    assert first.new_release
    assert not second.new_release
    assert first.release == second.release


def test_a_changed_setting_runs_only_what_depends_on_it(tmp_path):
    project = write_toy(tmp_path)
    modelyard.run(project)
    result = modelyard.run(project, sets=["steps.model.with.power=2"])
    assert states(result) == {"data": True, "model": False, "score": False}


def test_training_does_not_run_again_when_only_the_test_split_changes(tmp_path):
    project = write_toy(tmp_path)
    modelyard.run(project)
    result = modelyard.run(project, sets=["steps.data.with.test_rows=7"])
    assert states(result) == {"data": False, "model": True, "score": False}


def test_comments_and_docstrings_of_a_stage_do_not_make_it_run_again_but_code_does(tmp_path):
    project = write_toy(tmp_path)
    modelyard.run(project)
    (tmp_path / "fit.py").write_text("# a note\n" + FIT.replace("Fit a power", "Fit any power"))
    assert states(modelyard.run(project))["model"]
    (tmp_path / "fit.py").write_text(FIT.replace('"format": "toy"', '"format": "toys"'))
    assert not states(modelyard.run(project))["model"]


def test_equal_projects_in_two_folders_make_equal_bytes(tmp_path):
    one = modelyard.run(write_toy(tmp_path / "one"))
    two = modelyard.run(write_toy(tmp_path / "two"))
    assert digests(one) == digests(two)


def test_a_missed_rule_refuses_the_release_and_says_why(tmp_path):
    project = write_toy(tmp_path)
    result = modelyard.run(project, sets=["steps.model.with.power=3"])
    assert result.refused
    assert result.release is None
    assert "0.45" in result.decision.failed[0].text("en")
    assert modelyard.releases(project=project) == []


def test_without_rules_the_release_is_a_draft(tmp_path):
    project = write_toy(tmp_path, PROJECT.replace("  rules:\n    - {claim: score.rate, min: 0.8}\n", ""))
    result = modelyard.run(project)
    assert result.release.state == "draft"
    assert result.decision.draft


def test_a_failing_step_keeps_what_was_made_and_says_where(tmp_path):
    project = write_toy(tmp_path)
    with pytest.raises(StageError, match=r"model \(fit.py:\d+\).*half-way"):
        modelyard.run(project, sets=["steps.model.with.fail=true"])
    runs = modelyard.runs(project=project)
    assert [(run["step"], run["status"]) for run in runs] == [("model", "failed"), ("data", "done")]
    assert "half-way" in runs[0]["error"]
    assert states(modelyard.run(project))["data"]


def test_a_failed_step_goes_on_from_its_scratch_and_keeps_its_curve(tmp_path):
    project = write_toy(tmp_path)
    sets = ["steps.model.with.fail=true"]
    with pytest.raises(StageError):
        modelyard.run(project, sets=sets)
    scratch = list((tmp_path / ".modelyard" / "scratch").glob("*/*/work/step.txt"))
    assert [path.read_text() for path in scratch] == ["2"]
    scratch[0].write_text("3")  # past the step that fails, as if the fault had been passed
    modelyard.run(project, sets=sets)
    steps = [step for step, _ in modelyard.curves("model", project=project)["loss"]]
    assert steps == [0, 1, 3, 4]
    assert not list((tmp_path / ".modelyard" / "scratch").glob("*/*/work"))


def test_an_artifact_changed_by_hand_is_noticed_set_aside_and_made_again(tmp_path):
    project = write_toy(tmp_path)
    first = modelyard.run(project)
    digest = next(step.outputs["model"] for step in first.steps if step.step == "model")
    path = artifact_path(tmp_path, digest) / "model.json"
    path.chmod(0o644)
    path.write_text('{"power": 9}')
    plan = modelyard.plan(project)
    assert [step.state for step in plan.steps] == ["cached", "run", "later"]
    second = modelyard.run(project)
    assert digests(second) == digests(first)
    assert json.loads(path.read_text())["power"] == 1.0
    assert list((tmp_path / ".modelyard" / "quarantine").iterdir())


def test_two_runs_at_once_make_each_step_once(tmp_path):
    project = write_toy(tmp_path)
    sets = ["steps.model.with.seconds=0.1"]
    results, errors = [], []

    def work():
        try:
            results.append(modelyard.run(project, sets=sets, release=True))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len({tuple(sorted(digests(result).items())) for result in results}) == 1
    assert len(modelyard.runs(project=project)) == 3
    assert [info.release.version for info in modelyard.releases(project=project)] == [1]


def test_evidence_that_was_withdrawn_no_longer_passes_and_the_finding_names_it(tmp_path):
    project = write_toy(tmp_path)
    modelyard.run(project)
    number = modelyard.evidence(project=project)[0]["sequence"]
    modelyard.withdraw(number, name="Li Hua", reason="wrong labels", project=project)
    result = modelyard.run(project)
    assert result.refused
    assert "Li Hua: wrong labels" in result.decision.failed[0].text("en")


def test_lineage_answers_both_ways(tmp_path):
    project = write_toy(tmp_path)
    result = modelyard.run(project)
    made = digests(result)
    up = modelyard.lineage("model", project=project)
    down = modelyard.lineage("data", project=project)
    assert [link["parent"] for link in up["made_from"]] == [made["data.data"]]
    assert {link["child"] for link in down["made_into"]} == {made["model.model"], made["score.report"]}
    assert down["releases"] == ["toy@1"]


def test_each_run_that_sees_test_counts_as_an_opening(tmp_path):
    project = write_toy(tmp_path)
    result = modelyard.run(project)
    modelyard.run(project, sets=["steps.model.with.power=2"])
    modelyard.run(project)
    record = json.loads(result.report.with_suffix(".json").read_text())
    assert record["openings"] == 2


def test_a_wrong_step_name_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UsageError, match="did you mean `score`"):
        modelyard.run(write_toy(tmp_path), until="scores")


def test_until_stops_early_and_decides_nothing(tmp_path):
    result = modelyard.run(write_toy(tmp_path), until="model")
    assert [step.step for step in result.steps] == ["data", "model"]
    assert result.decision is None


def test_every_problem_of_the_file_comes_at_once(tmp_path):
    text = PROJECT.replace("./fit.py}", "./fit.py, with: {powr: 1}}").replace("min: 0.8", "minn: 0.8")
    with pytest.raises(ProjectError) as caught:
        modelyard.run(write_toy(tmp_path, text))
    text = str(caught.value)
    assert "power" in text
    assert "minn" in text


def test_a_stage_that_leaves_an_output_empty_is_refused(tmp_path):
    project = write_toy(tmp_path)
    (tmp_path / "fit.py").write_text(FIT.replace('(context.output("model") / "model.json").write_text', "str"))
    with pytest.raises(StageError, match="left its output `model` empty"):
        modelyard.run(project)


def test_a_stage_that_measures_what_it_did_not_declare_is_refused(tmp_path):
    project = write_toy(tmp_path)
    score = tmp_path / "evaluate" / "score.py"
    score.write_text(score.read_text().replace('context.measure("score.rate"', 'context.measure("score.rat"'))
    with pytest.raises(StageError, match=r"did you mean `score\.rate`"):
        modelyard.run(project)


def test_an_error_of_the_tree_passes_through_with_its_own_exit_code(tmp_path):
    project = write_toy(tmp_path)
    fit = "from modelyard.errors import InputError\n" + FIT.replace('ValueError("half-way")', 'InputError("bad rows")')
    (tmp_path / "fit.py").write_text(fit)
    with pytest.raises(InputError, match="bad rows"):
        modelyard.run(project, sets=["steps.model.with.fail=true"])


def test_a_project_folder_can_move(tmp_path):
    project = write_toy(tmp_path / "one")
    modelyard.run(project)
    shutil.move(str(tmp_path / "one"), str(tmp_path / "two"))
    result = modelyard.run(tmp_path / "two" / "modelyard.yaml")
    assert all(states(result).values())


def test_a_profile_tells_methods_where_they_may_run(tmp_path, monkeypatch):
    monkeypatch.setenv("MODELYARD_THREADS", "")
    monkeypatch.setenv("MODELYARD_DEVICE", "")
    project = write_toy(tmp_path)
    profiles = "profiles: {small: {threads: 1, device: cpu, store: elsewhere}}\n"
    (tmp_path / "modelyard.profiles.yaml").write_text(profiles)
    modelyard.run(project, profile="small")
    from modelyard.methods.training import devices

    assert devices.usable_cores() == 1
    assert devices.pick("auto").type == "cpu"
    assert (tmp_path / "elsewhere" / "store.json").is_file()


def test_measuring_again_with_other_settings_does_not_paint_over_a_bad_number(tmp_path):
    project = write_toy(tmp_path)
    score = tmp_path / "evaluate" / "score.py"
    source = score.read_text()
    source = source.replace("ConfigDict\n", "ConfigDict, Field\n", 1).replace(
        'extra="forbid")\n', 'extra="forbid")\n    shift: float = Field(0.0, ge=-1, le=1, description="Shift.")\n', 1
    )
    score.write_text(source.replace("value = 0.9 if power == 1.0 else 0.5", "value = 0.5 + config.shift"))
    assert modelyard.run(project).refused
    again = modelyard.run(project, sets=["steps.score.with.shift=0.4"], release=True)
    assert again.refused
    assert again.decision.failed[0].value == 0.5


def test_overridden_settings_make_no_release_unless_asked_and_the_bundle_names_them(tmp_path):
    project = write_toy(tmp_path)
    sets = ["steps.data.with.rows=12"]
    assert modelyard.run(project, sets=sets).release is None
    made = modelyard.run(project, sets=sets, release=True).release
    about = modelyard.show_release(f"toy@{made.version}", project=project)["about"]
    assert about["overrides"] == sets
    assert about["version"] == made.version
    assert about["steps"][0]["settings"]["rows"] == 12


def test_a_step_runs_again_when_told_and_its_evidence_joins_what_is_there(tmp_path):
    project = write_toy(tmp_path)
    modelyard.run(project)
    result = modelyard.run(project, again=["score"])
    assert states(result) == {"data": True, "model": True, "score": False}
    assert len(modelyard.evidence("model", project=project)) == 2


def test_withdrawn_evidence_can_be_measured_again_but_only_on_purpose(tmp_path):
    project = write_toy(tmp_path)
    modelyard.run(project)
    modelyard.withdraw(1, name="Li Hua", reason="wrong labels", project=project)
    assert modelyard.run(project).refused
    assert not modelyard.run(project, again=["score"]).refused


def test_a_draft_is_not_promoted_unless_it_is_allowed_and_rollback_does_not_bring_the_bad_back(tmp_path):
    from modelyard.errors import GateError, StoreError

    draft = write_toy(tmp_path / "draft", PROJECT.replace("  rules:\n    - {claim: score.rate, min: 0.8}\n", ""))
    modelyard.run(draft)
    with pytest.raises(GateError, match="draft"):
        modelyard.promote("toy@1", project=draft)
    assert modelyard.promote("toy@1", allow_draft=True, project=draft).version == 1
    project = write_toy(tmp_path / "two")
    modelyard.run(project)
    modelyard.run(project, sets=["steps.data.with.test_rows=7"], release=True)
    modelyard.promote("toy@1", project=project)
    modelyard.promote("toy@2", project=project)
    assert modelyard.rollback("toy", project=project).version == 1
    with pytest.raises(StoreError, match="nothing to go back to"):
        modelyard.rollback("toy", project=project)


def test_the_report_that_run_names_is_the_one_of_this_run(tmp_path):
    project = write_toy(tmp_path)
    first = modelyard.run(project).report.read_text()
    modelyard.report(project, sets=["steps.model.with.power=4"])
    assert modelyard.run(project).report.read_text() == first


def test_the_report_lays_the_card_as_markdown_beside_the_page_and_says_where(tmp_path, capsys):
    project = write_toy(tmp_path)
    modelyard.run(project)
    written = modelyard.report(project, out=tmp_path / "out", lang="zh")
    english, chinese = written.cards
    assert (english.name, chinese.name) == (f"{written.page.stem}.md", f"{written.page.stem}.zh.md")
    assert "\n## Limits\n" in english.read_text(encoding="utf-8")
    assert "\n## 局限\n" in chinese.read_text(encoding="utf-8")
    command.main([str(project), "--out", str(tmp_path / "out")], standalone_mode=False)
    said = capsys.readouterr().out
    assert f"{english.name}, " in said
    assert chinese.name in said


def test_check_finds_a_data_file_that_is_not_there_and_a_bound_that_no_rate_has(tmp_path):
    path = tmp_path / "modelyard.yaml"
    path.write_text(
        "version: 1\nproject: p\nsteps:\n  rows: {uses: data.read, with: {path: gone.csv, text: a, label: b}}\n"
    )
    found = modelyard.check(path)
    assert len(found) == 1
    assert "gone.csv" in found[0].found
    assert found[0].where == "modelyard.yaml:4 (rows)"
    toy = write_toy(tmp_path / "toy", PROJECT.replace("min: 0.8", "min: 80"))
    assert "is a rate" in modelyard.check(toy)[0].found


def test_the_store_keeps_itself_out_of_version_control(tmp_path):
    modelyard.run(write_toy(tmp_path))
    assert (tmp_path / ".modelyard" / ".gitignore").read_text().splitlines()[-1] == "*"


def test_a_clock_that_goes_back_changes_no_order_and_no_cache(tmp_path, monkeypatch):
    from modelyard.base import clock

    project = write_toy(tmp_path)
    year = iter(range(2040, 1000, -1))
    monkeypatch.setattr(clock, "now_utc", lambda: f"{next(year)}-01-01T00:00:00Z")
    modelyard.run(project)
    modelyard.run(project, sets=["steps.data.with.test_rows=7"], release=True)
    runs = modelyard.runs(project=project)
    assert [run["id"] for run in runs] == sorted((run["id"] for run in runs), reverse=True)
    assert runs[0]["started"] < runs[-1]["started"]
    assert [info.release.version for info in modelyard.releases(project=project)] == [2, 1]
    assert all(states(modelyard.run(project)).values())
