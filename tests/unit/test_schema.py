"""The JSON Schema for editors: what it accepts and refuses, by an independent validator."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from support.fake_stages import PROJECT, write_stages

from modelyard.base.yaml import parse_yaml
from modelyard.engine.catalog import find
from modelyard.engine.schema import project_schema
from modelyard.engine.templates import render_template


@pytest.fixture(scope="module")
def validator(tmp_path_factory):
    folder = write_stages(tmp_path_factory.mktemp("stages"))
    names = ["read", "clean", "split", "train", "quantize", "evaluate/quality", "card"]
    stages = [find(f"./{name}.py", folder)[0] for name in names]
    schema = project_schema(stages)
    Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    return Draft202012Validator(schema)


@pytest.fixture
def project():
    return copy.deepcopy(parse_yaml(PROJECT, "p").value)


def test_a_good_project_passes(validator, project):
    project["steps"]["classifier"]["with"] |= {"block": {"rate": 0.1}, "layers": [1, 2], "token": {"secret": "T"}}
    project["steps"]["quality"]["in"] = {"model": "int8.model"}
    project["steps"]["mine"] = {"uses": "./somewhere/mine.py", "with": {"anything": 1}}
    validator.validate(project)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 2),
        (("project",), "My Reviews"),
        (("seed",), -1),
        (("nothing",), 1),
        (("steps",), {}),
        (("steps", "Clean"), {"uses": "./clean.py"}),
        (("steps", "clean", "uses"), "data.claen"),
        (("steps", "clean", "usse"), "x"),
        (("steps", "clean", "search"), {}),
        (("steps", "reviews", "with"), {}),
        (("steps", "reviews", "with"), None),
        (("steps", "classifier", "with", "epochs"), 0),
        (("steps", "classifier", "with", "epochs"), "fast"),
        (("steps", "classifier", "with", "epoch"), 1),
        (("steps", "classifier", "with", "block"), {"rate": 2}),
        (("steps", "classifier", "with", "block"), {"momentum": 2}),
        (("steps", "classifier", "with", "token"), {"secret": "not a name"}),
        (("steps", "quality", "in"), {"modle": "int8"}),
        (("steps", "card", "in"), {"record": "int8"}),
        (("steps", "quality", "in"), {"model": 3}),
        (("release", "modle"), "x"),
        (("release", "rules"), [{"claim": "a.b"}]),
        (("release", "rules"), [{"claim": "a.b", "min": 1, "max": 2}]),
        (("release", "rules"), [{"min": 1}]),
        (("release", "rules"), [{"claim": "a.b", "min": "x"}]),
        (("release", "rules"), [{"claim": "a.b", "min": 1, "on": "tests"}]),
    ],
)
def test_a_wrong_project_is_refused(validator, project, path, value):
    holder = project
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    assert list(validator.iter_errors(project))


def test_the_mistake_is_shown_in_the_settings_of_the_very_step(validator, project):
    project["steps"]["classifier"]["with"]["epochs"] = 0
    errors = [leaf for error in validator.iter_errors(project) for leaf in [error, *(error.context or [])]]
    assert any(list(error.absolute_path) == ["steps", "classifier", "with", "epochs"] for error in errors)


def test_the_schema_of_the_installed_stages_accepts_the_template(tmp_path):
    schema = project_schema()
    Draft202012Validator.check_schema(schema)
    text = render_template(tmp_path, "text-classification").text
    Draft202012Validator(schema).validate(parse_yaml(text, "t").value)


def test_the_schema_of_the_installed_stages_accepts_every_example():
    validator = Draft202012Validator(project_schema())
    for path in sorted((Path(__file__).parents[2] / "examples").rglob("modelyard.yaml")):
        validator.validate(parse_yaml(path.read_bytes(), path.name).value)


def test_every_installed_stage_is_in_the_schema():
    schema = project_schema()
    assert {"data.read", "report.card"} <= set(schema["$defs"])
    assert "path" in schema["$defs"]["data.read"]["properties"]
