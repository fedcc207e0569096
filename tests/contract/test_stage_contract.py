"""What every stage must hold to. Stages are found by listing; a new one is tested without editing this file."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.base.lookup import version_of
from modelyard.core.artifact import KINDS, SPLITS
from modelyard.engine.catalog import find, names
from modelyard.engine.identity import CodeMemo, code_digest
from modelyard.methods.data.settings import Refresh

HEAVY = ("numpy", "torch", "transformers", "pyarrow", "sklearn", "scipy", "onnx", "onnxruntime", "openvino", "fastapi")
STAGES = names()


def stage(name):
    found, problems = find(name, Path())
    assert found is not None, problems
    return found


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_explains_itself(name):
    found = stage(name)
    doc = inspect.getmodule(found.stage.run).__doc__
    assert doc
    assert len(doc.strip().splitlines()[0]) > 10


@pytest.mark.parametrize("name", STAGES)
def test_settings_are_frozen_strict_and_each_is_described(name):
    config = stage(name).stage.config
    assert config.model_config.get("frozen")
    assert config.model_config.get("extra") == "forbid"
    assert [field for field, info in config.model_fields.items() if not info.description] == []


@pytest.mark.parametrize("name", STAGES)
def test_numbers_in_settings_have_limits(name):
    schema = stage(name).stage.config.model_json_schema()
    blocks = [schema, *schema.get("$defs", {}).values()]
    unbounded = []
    for block in blocks:
        for field, value in block.get("properties", {}).items():
            for kind in value.get("anyOf", [value]):
                if kind.get("type") not in ("integer", "number") or {"const", "enum"} & set(kind):
                    continue
                low = {"minimum", "exclusiveMinimum"} & set(kind)
                high = {"maximum", "exclusiveMaximum"} & set(kind)
                if not (low and high):
                    unbounded.append(field)
    assert unbounded == []


@pytest.mark.parametrize("name", STAGES)
def test_ports_are_of_known_kinds_and_splits(name):
    declared = stage(name).stage
    for port in (*declared.inputs.values(), *declared.outputs.values()):
        assert port.kind in (*KINDS, "record")
        assert set(port.splits) <= set(SPLITS)
        assert port.kind == "dataset" or not port.splits


@pytest.mark.parametrize("name", STAGES)
def test_only_evaluation_may_see_test(name):
    declared = stage(name).stage
    sees = any("test" in port.splits for port in declared.inputs.values())
    assert not sees or name.startswith("evaluate.")


@pytest.mark.parametrize("name", STAGES)
def test_claims_are_named_and_defined(name):
    for claim in stage(name).stage.claims:
        assert re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", claim.name)
        assert len(claim.description) > 5


@pytest.mark.parametrize("name", STAGES)
def test_libraries_are_installed_distributions(name):
    assert [library for library in stage(name).stage.libraries if version_of(library) is None] == []


@pytest.mark.parametrize("name", STAGES)
def test_what_lies_outside_is_fingerprinted(name):
    declared = stage(name).stage
    assert set(declared.external) <= set(declared.config.model_fields)
    assert bool(declared.external) == (declared.fingerprint is not None)


@pytest.mark.parametrize("name", STAGES)
def test_what_is_fetched_without_a_fingerprint_says_when_it_is_fetched_again(name):
    declared = stage(name).stage
    fields = declared.config.model_fields
    assert ("refresh" in fields) == bool(declared.refresh)
    if declared.refresh:
        assert fields[declared.refresh].annotation == Refresh
        assert fields[declared.refresh].default == "never"
        assert declared.fingerprint is None


@pytest.mark.parametrize("name", STAGES)
def test_the_code_that_counts_is_more_than_the_stage_file_if_it_imports_methods(name):
    found = stage(name)
    alone = code_digest(found.path, (), CodeMemo())
    assert alone.startswith("sha256:")
    if "modelyard.methods" in found.path.read_text(encoding="utf-8"):
        memo = CodeMemo()
        code_digest(found.path, found.stage.loads, memo)
        assert any("methods" in path for path in memo.entries)


def test_reading_every_stage_declaration_imports_no_heavy_library():
    code = (
        "import sys\nfrom pathlib import Path\nfrom modelyard.engine.catalog import find, names\n"
        "[find(name, Path()) for name in names()]\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
