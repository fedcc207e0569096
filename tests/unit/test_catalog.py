"""Stages by name: listed without importing, imported one by one, and refused with the line that is wrong."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest
from support.fake_stages import source, write_stages

from modelyard.engine import catalog, stage_help


def test_names_are_the_files_of_the_stages_folder():
    assert "report.card" in catalog.names()
    assert not [name for name in catalog.names() if "__init__" in name]


def test_listing_and_finding_import_nothing_but_the_stage_asked_for():
    code = (
        "import sys\nfrom pathlib import Path\nfrom modelyard.engine import catalog\ncatalog.names()\n"
        "stages = lambda: sorted(m for m in sys.modules if m.startswith('modelyard.stages.') and m.count('.') == 3)\n"
        "assert stages() == [], stages()\nfound, problems = catalog.find('report.card', Path())\n"
        "assert found, problems\nassert stages() == ['modelyard.stages.report.card'], stages()\n"
        "heavy = {'numpy', 'torch', 'pyarrow', 'scipy'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_file_beside_the_project_is_a_stage(tmp_path):
    write_stages(tmp_path)
    found, problems = catalog.find("./evaluate/quality.py", tmp_path)
    assert problems == []
    assert (found.name, found.uses) == ("evaluate.quality", "./evaluate/quality.py")
    assert found.path == tmp_path / "evaluate" / "quality.py"
    assert not list(tmp_path.rglob("__pycache__"))


def test_an_edited_file_is_read_anew_even_within_the_same_second(tmp_path):
    path = tmp_path / "s.py"
    path.write_text(source(doc="One."))
    first, _ = catalog.find("./s.py", tmp_path)
    path.write_text(source(doc="Two."))
    second, _ = catalog.find("./s.py", tmp_path)
    again, _ = catalog.find("./s.py", tmp_path)
    assert (stage_help.describe(first).docstring, stage_help.describe(second).docstring) == ("One.", "Two.")
    assert second.stage is again.stage


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        ("x = 1\n", "./s.py:1", "no `STAGE`"),
        ("STAGE = 3\n", "./s.py:1", "is no Stage"),
        ("import os\n\ndef f(:\n", "./s.py:3", "not Python"),
        ("import os\n\n\nimport nothing_of_the_kind\n", "./s.py:4", "ModuleNotFoundError"),
        ("def f():\n    raise ValueError('no')\n\nf()\n", "./s.py:2", "ValueError: no"),
        ("import json\n\njson.loads('{')\n", "./s.py:3", "JSONDecodeError"),
        ("x = '\0'\n", "./s.py:1", ""),
    ],
)
def test_a_broken_file_is_told_at_its_own_line(tmp_path, text, where, found):
    (tmp_path / "s.py").write_text(text)
    stage, (problem,) = catalog.find("./s.py", tmp_path, "modelyard.yaml:4")
    assert stage is None
    assert problem.where == where
    assert found in problem.found


@pytest.mark.parametrize(
    ("uses", "remedy"),
    [("report.crad", "did you mean `report.card`?"), ("s.py", "./s.py"), ("./sx.py", "did you mean `s.py`?"), ("", "")],
)
def test_an_unknown_stage_is_told_where_it_is_used(tmp_path, uses, remedy):
    (tmp_path / "s.py").write_text(source())
    stage, (problem,) = catalog.find(uses, tmp_path, "modelyard.yaml:4")
    assert stage is None
    assert problem.where == "modelyard.yaml:4"
    assert remedy in problem.remedy


DATASET = 'Port("dataset", ("{}",))'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (source().replace(', extra="forbid"', ""), "not frozen and closed"),
        (source().replace("frozen=True, ", ""), "not frozen and closed"),
        (source().replace("config=Config", "config=int"), "no pydantic model"),
        (source().replace("run=run", "run=None"), "cannot be called"),
        (source(inputs='{"data": Port("data")}'), "of kind `data`"),
        (source(inputs=f'{{"data": {DATASET.format("dev")}}}'), "the split `dev`"),
        (source(outputs='{"r": Port("record")}'), "of kind `record`"),
        (source(claims='(Claim("a.b", ""), Claim("a.b", ""))'), "declared 2 times"),
        (source(claims='(Claim("accuracy", ""),)'), "has no family"),
        (source(inputs=f'{{"data": {DATASET.format("test")}}}'), "asks for the split test"),
    ],
)
def test_a_declaration_that_breaks_a_rule_is_told_at_the_STAGE_line(tmp_path, text, found):
    (tmp_path / "s.py").write_text(text)
    stage, (problem,) = catalog.find("./s.py", tmp_path)
    line = next(number for number, item in enumerate(text.splitlines(), 1) if item.startswith("STAGE"))
    assert stage is None
    assert found in problem.found
    assert problem.where == f"./s.py:{line}"


@pytest.mark.parametrize(
    ("outputs", "good"),
    [
        ('{"report": Port("report")}', True),
        (f'{{"predictions": {DATASET.format("test")}}}', True),
        ('{"model": Port("model")}', False),
        (f'{{"data": {DATASET.format("train")}}}', False),
    ],
)
def test_what_sees_test_data_makes_no_model_and_no_training_data(tmp_path, outputs, good):
    (tmp_path / "evaluate").mkdir()
    text = source(inputs=f'{{"data": {DATASET.format("test")}}}', outputs=outputs)
    (tmp_path / "evaluate" / "s.py").write_text(text)
    stage, _ = catalog.find("./evaluate/s.py", tmp_path)
    assert (stage is not None) is good


def test_an_installed_package_brings_stages_through_its_entry_point(tmp_path, monkeypatch):
    (tmp_path / "acme_stages.py").write_text(source(doc="From Acme."))
    monkeypatch.syspath_prepend(str(tmp_path))
    points = {
        "acme.clean": metadata.EntryPoint("acme.clean", "acme_stages", catalog.GROUP),
        "acme.same": metadata.EntryPoint("acme.same", "acme_stages:STAGE", catalog.GROUP),
        "acme.gone": metadata.EntryPoint("acme.gone", "acme_gone", catalog.GROUP),
    }
    monkeypatch.setattr(catalog, "_entry_points", lambda: points)
    assert set(points) <= set(catalog.names())
    for name in ("acme.clean", "acme.same"):
        found, problems = catalog.find(name, tmp_path)
        assert problems == []
        assert stage_help.describe(found).docstring == "From Acme."
    found, (problem,) = catalog.find("acme.gone", tmp_path)
    assert found is None
    assert "acme_gone" in problem.found


def test_a_description_is_plain_json_with_settings_ports_and_claims(tmp_path):
    import json

    write_stages(tmp_path)
    found, _ = catalog.find("./clean.py", tmp_path)
    value = json.loads(json.dumps(stage_help.describe(found).to_json()))
    assert value["docstring"] == "Stage clean."
    assert value["outputs"]["removed"]["side"] is True
    assert value["claims"][0]["name"] == "data.duplicate_rate"
    assert value["settings"]["additionalProperties"] is False


def test_every_installed_stage_keeps_the_rules_and_has_help():
    for name, line in stage_help.summaries().items():
        found, problems = catalog.find(name, catalog.FOLDER)
        assert found, problems
        assert line


def test_stages_that_measure_a_claim_are_found_by_it():
    assert "data.read" in catalog.stages_measuring("data.rows")
    assert catalog.stages_measuring("nobody.measures") == []
