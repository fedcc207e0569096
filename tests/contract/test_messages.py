"""Every text a user reads is in the catalogue, in Chinese too, with the same names to fill in."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

import modelyard
from modelyard.base.messages import catalogue, t

PACKAGE = Path(modelyard.__file__).parent


def literals(node):
    """String constants an expression may come to: constants, both sides of a conditional."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)


def templates():
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "t" and node.args:
                for text in literals(node.args[0]):
                    yield path.relative_to(PACKAGE).as_posix(), text


def names(template):
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_every_message_has_a_chinese_entry():
    missing = sorted({(path, text) for path, text in templates() if text not in catalogue("zh")})
    assert missing == []


def test_translations_fill_in_the_same_names():
    wrong = [text for text, chinese in catalogue("zh").items() if names(text) != names(chinese)]
    assert wrong == []


def test_no_entry_is_left_over_twice():
    seen: dict[str, str] = {}
    import json

    for path in sorted((PACKAGE / "base" / "catalogue" / "zh").glob("*.json")):
        for text, chinese in json.loads(path.read_text(encoding="utf-8")).items():
            assert seen.setdefault(text, chinese) == chinese, f"{text!r} is translated in two ways"


def test_the_language_follows_the_environment(monkeypatch):
    monkeypatch.setenv("MODELYARD_LANG", "zh")
    assert t("error") == catalogue("zh")["error"]
    monkeypatch.setenv("MODELYARD_LANG", "en")
    assert t("error") == "error"


@pytest.mark.parametrize("name", ["{value}", "{a} and {b}"])
def test_values_are_filled_in(name):
    assert "1" in t(name, value=1, a=1, b=2)


def counted():
    """What a call of `progress` counts: its last argument."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "progress" and node.args:
                yield from literals(node.args[-1])


def test_what_progress_counts_has_a_chinese_entry():
    names_of_units = set(counted())
    assert {"rows", "steps"} <= names_of_units
    assert sorted(names_of_units - set(catalogue("zh"))) == []
