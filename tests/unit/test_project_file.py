"""Reading the project file: what it means, and every mistake with its line, in one pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.core.project import Rule, SecretName
from modelyard.engine.project_file import read_project, read_project_dict

GOOD = """\
version: 1
project: reviews-zh
seed: 7
steps:
  data:
    uses: data.read
    with:
      path: a.csv
      url: {secret: CRM_DB}
      deep: {list: [1, {x: 2}]}
  fit: {uses: ./fit.py, in: {data: data, more: [data.rest, data]}}
release:
  model: fit
  rules:
    - {claim: quality.accuracy, min: 0.8}
    - {claim: a.b, max: 1, of: data, on: validation, slice: {lang: zh, age: 3, adult: true}}
"""


@pytest.fixture
def read(tmp_path):
    def _read(text, sets=()):
        path = tmp_path / "modelyard.yaml"
        path.write_text(text, encoding="utf-8")
        return read_project(path, sets)

    return _read


def told(result):
    """Line (or place) and words of each problem."""
    return [(problem.where.rpartition("modelyard.yaml:")[2], problem.found) for problem in result.problems]


def test_a_good_file_becomes_a_project(read, tmp_path):
    result = read(GOOD)
    project = result.project
    assert result.problems == []
    assert (project.name, project.seed, project.path) == ("reviews-zh", 7, tmp_path / "modelyard.yaml")
    data, fit = project.steps
    assert (data.name, data.uses, data.line) == ("data", "data.read", 5)
    assert data.settings == {"path": "a.csv", "url": SecretName("CRM_DB"), "deep": {"list": [1, {"x": 2}]}}
    assert data.setting_lines["path"] == 8
    assert data.setting_lines["deep.list.1.x"] == 10
    assert fit.inputs == {"data": ("data",), "more": ("data.rest", "data")}
    assert project.release.model == "fit"
    assert project.release.rules == (
        Rule("quality.accuracy", min=0.8, line=15),
        Rule("a.b", None, 1.0, "data", "validation", {"lang": "zh", "age": "3", "adult": "true"}, 16),
    )


def test_a_folder_stands_for_the_file_in_it(read, tmp_path):
    read(GOOD)
    assert read_project(tmp_path).project.name == "reviews-zh"


def test_seed_and_release_may_be_left_out(read):
    result = read("version: 1\nproject: a\nsteps: {s: {uses: x}}\n")
    assert result.problems == []
    assert (result.project.seed, result.project.release) == (0, None)


def test_every_mistake_is_told_in_one_pass_with_its_line(read):
    result = read(
        """\
version: 2
project: My Reviews!
sed: 1
seed: -1
steps:
  Data: {uses: data.read, wiht: {}}
  a: {with: {x: .nan}}
  b: {uses: 3, in: [x]}
  c: text
  d: {uses: x, in: {data: {}}, with: [1]}
  e: {uses: x, with: {url: {secret: "no name"}}}
  f: {search: 3}
  g: {folds: {k: 5}, uses: x}
release:
  modle: x
  rules:
    - {claim: q, min: 0.8, max: 1}
    - {claim: q}
    - {min: 1}
    - {claim: q, min: high, on: tests, slice: {a: [1]}}
    - q > 1
"""
    )
    found = told(result)
    lines = [int(line) for line, _ in found]
    assert set(lines) == {1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20, 21}
    words = "\n".join(text for _, text in found)
    for part in (
        "`version` is 2", '`project` is "My Reviews!"', "unknown key `sed`", "`seed` is -1", "`Data` is no name",
        "unknown key `wiht`", "`x` is not finite", "the step `a` has no `uses`", "`uses` is 3", "`in` is a list",
        "the step `c` is text", "`with` is a list", "`data` is {}", "no name of a secret", "`search` is a number",
        "has both `folds` and `uses`", "unknown key `modle`", "`release` has no `model`", "both `min` and `max`",
        "no bound", "names no `claim`", '`min` is "high"', '`on` is "tests"', "`a` is [1]", "rule 5 is text",
    ):  # fmt: skip
        assert part in words
    remedies = {problem.remedy for problem in result.problems}
    assert {
        "did you mean `seed`?",
        "did you mean `with`?",
        "did you mean `model`?",
        "for instance `my-reviews`",
    } <= remedies


def test_mistakes_of_yaml_and_of_the_project_come_together(read):
    assert [line for line, _ in told(read(GOOD.replace("seed: 7", "seed: &s x\nproject: b")))] == ["3", "4", "3"]


@pytest.mark.parametrize("version", ["2", "'1'", "1.0", "true", "[]", ""])
def test_only_the_whole_number_1_is_version_1(read, version):
    ((line, _),) = told(read(GOOD.replace("version: 1", f"version: {version}")))
    assert line == "1"


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "text\n", "a: [\n"])
def test_a_file_that_is_no_mapping_is_one_problem(read, text):
    result = read(text)
    assert result.project is None
    assert len(result.problems) == 1


def test_a_missing_file_says_how_to_make_one(tmp_path):
    (problem,) = read_project(tmp_path).problems
    assert "init" in problem.remedy


def test_no_steps_is_a_problem(read):
    assert told(read("version: 1\nproject: a\nsteps: {}\n"))[0][1] == "there are no steps"
    assert told(read("version: 1\nproject: a\n"))[0][1] == "there are no steps"


def test_a_rule_keeps_its_place_when_another_is_broken(read):
    result = read(GOOD.replace("{claim: quality.accuracy, min: 0.8}", "{claim: quality.accuracy}"))
    assert result.rule_positions == (1,)
    assert [rule.claim for rule in result.project.release.rules] == ["a.b"]


def test_a_step_may_have_a_seed_of_its_own(read):
    assert [step.seed for step in read(GOOD).project.steps] == [None, None]
    for own in (read(GOOD.replace("{uses: ./fit.py,", "{uses: ./fit.py, seed: 3,")), read(GOOD, ["steps.fit.seed=3"])):
        assert [own.project.seed_of(step) for step in own.project.steps] == [7, 3]
    wrong = read(GOOD.replace("{uses: ./fit.py,", "{uses: ./fit.py, seed: true,"))
    assert "`seed` is true" in told(wrong)[0][1]


def test_set_writes_settings_inputs_and_the_seed(read):
    sets = ["seed=3", "steps.fit.with.epochs=2", "steps.data.with.path=[a, 'b']", "steps.data.with.deep.list.1.x=1e-3",
            "steps.fit.in.data=data.rest", "steps.fit.with.o.rate=on", "seed=4"]  # fmt: skip
    result = read(GOOD, sets)
    data, fit = result.project.steps
    assert result.problems == []
    assert result.project.seed == 4
    assert fit.settings == {"epochs": 2, "o": {"rate": "on"}}
    assert data.settings["path"] == ["a", "b"]
    assert data.settings["deep"] == {"list": [1, {"x": 0.001}]}
    assert fit.inputs["data"] == ("data.rest",)


@pytest.mark.parametrize(
    ("option", "found", "remedy"),
    [
        ("steps.fti.with.x=1", "no step `fti`", "did you mean `fit`?"),
        ("steps.fit.wiht.x=1", "not the path", "did you mean `with`?"),
        ("steps.fit.uses=x", "not the path", ""),
        ("steps.fit=x", "not the path", ""),
        ("release.model=data", "`release` cannot be set", ""),
        ("sed=1", "`sed` cannot be set", "did you mean `seed`?"),
        ("seed", "not of the form", ""),
        ("steps..with.x=1", "not of the form", ""),
        ("steps.fit.with.x=[1", "not YAML", ""),
        ("steps.fit.with.x=&a 1", "an anchor", ""),
        ("steps.data.with.path.x=1", "`steps.data.with.path` holds no settings", ""),
        ("steps.data.with.deep.list.9=1", "holds no settings", ""),
        ("seed=x", '`seed` is "x"', ""),
    ],
)
def test_a_wrong_set_is_told_at_the_option(read, option, found, remedy):
    (problem,) = read(GOOD, [option]).problems
    assert problem.where == f"--set {option}"
    assert found in problem.found
    assert remedy in problem.remedy


def test_rules_cannot_be_set(read):
    assert read(GOOD, ["release.rules.0.min=0.1"]).project.release.rules[0].min == 0.8


def test_a_python_dict_reads_the_same_and_names_places_by_path(tmp_path):
    value = {
        "version": 1,
        "project": "a",
        "steps": {"s": {"uses": "x", "with": {"path": Path("d") / "f", "layers": (1, 2), "bad": object()}}},
        "release": {"model": "s", "rules": [{"claim": "c", "min": "x"}]},
    }
    result = read_project_dict(value, tmp_path)
    assert result.project.folder == tmp_path
    assert result.project.steps[0].settings["path"] == str(Path("d/f"))
    assert result.project.steps[0].settings["layers"] == [1, 2]
    assert [problem.where for problem in result.problems] == ["steps.s.with.bad", "release.rules.0.min"]


def test_secrets_are_kept_by_name(read):
    shown = repr(read(GOOD).project)
    assert "SecretName(secret='CRM_DB')" in shown


def test_the_settings_of_the_caller_are_not_changed(tmp_path):
    value = {"version": 1, "project": "a", "steps": {"s": {"uses": "x", "with": {"a": {"b": 1}}}}}
    read_project_dict(value, tmp_path, ["steps.s.with.a.b=2"])
    assert value["steps"]["s"]["with"]["a"]["b"] == 1


def test_problems_name_the_file_relative_to_the_current_folder_where_it_lies_below(read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read("version: 2\n").problems[0].where == "modelyard.yaml:1"
    monkeypatch.chdir("/")
    assert read_project(tmp_path / "modelyard.yaml").problems[0].where.endswith("/modelyard.yaml:1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert read_project(tmp_path).problems[0].where == f"{tmp_path}/modelyard.yaml:1"
