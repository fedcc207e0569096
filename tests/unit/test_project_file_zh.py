"""Every text of the project's reader, binder, profiles and templates has its Chinese, with the same names in it."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

import modelyard
from modelyard.base.messages import catalogue, t
from modelyard.base.yaml import parse_yaml
from modelyard.engine import settings

PACKAGE = Path(modelyard.__file__).parent
FILES = ["base/yaml", "base/messages"] + [
    f"engine/{name}"
    for name in (
        "bind", "bound", "catalog", "fields", "guess", "overrides", "profiles", "project_file", "rules", "settings",
        "source", "stage_rules", "templates",
    )
]  # fmt: skip


def templates(file):
    for node in ast.walk(ast.parse((PACKAGE / f"{file}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("t", "say"):
            argument = node.args[0] if node.args else None
            if isinstance(argument, ast.Constant):
                yield argument.value, bool(node.keywords)


def names_in(template):
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


@pytest.mark.parametrize("file", FILES)
def test_every_text_has_a_chinese_entry(file):
    entries = catalogue("zh")
    for template, filled in templates(file):
        assert template in entries, template
        if filled:
            assert names_in(template) == names_in(entries[template])
        else:
            assert "{{" not in template, "braces are doubled only where values are filled in"


def test_the_words_for_types_are_there_too():
    assert set(settings._TYPES.values()) <= set(catalogue("zh"))


def test_problems_are_told_in_chinese(monkeypatch):
    monkeypatch.setenv("MODELYARD_LANG", "zh")
    (problem,) = parse_yaml("a: 1\na: 2\n", "f.yaml").problems
    assert problem.found == "键 `a` 重复出现（首次在第 1 行）"
    assert t("at least {limit}", limit=3) == "至少 3"
