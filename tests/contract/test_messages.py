"""Every text a user reads is in the catalogue, in Chinese too, with the same names to fill in."""

from __future__ import annotations

import ast
import json
import string
from functools import cache
from pathlib import Path

import pytest

import modelyard
from modelyard.base.messages import catalogue, t
from modelyard.cli.click_words import TEXTS
from modelyard.engine.catalog import find
from modelyard.engine.catalog import names as stage_names
from modelyard.engine.schema import project_schema
from modelyard.engine.stage_help import descriptions, docstring, keys_of

PACKAGE = Path(modelyard.__file__).parent
CATALOGUE = PACKAGE / "base" / "catalogue" / "zh"


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


@cache
def stage_texts():
    """By key what every stage says of itself, and the project file of itself: who says it."""
    found = {}
    for name in stage_names():
        stage = find(name, Path())[0]
        texts = [docstring(stage), *descriptions(stage.stage.config.model_json_schema().get("properties", {}))]
        texts += [port.description for port in (*stage.stage.inputs.values(), *stage.stage.outputs.values())]
        texts += [claim.description for claim in stage.stage.claims]
        found |= {key: name for text in texts for key in keys_of(text)}
    return {key: "the project file" for text in descriptions(project_schema()) for key in keys_of(text)} | found


@cache
def constants():
    """Every text in the code, joined as Python joins it."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]
    nodes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {node.value for node in nodes if isinstance(node.value, str)}


def in_code(text):
    """Whether a text is in the code: by itself, as part of another (SQL), or in pieces that are put together."""
    known = constants()
    return text in known or any(text in other or (len(other) > 40 and other in text) for other in known)


def entries(path):
    return json.loads(path.read_text(encoding="utf-8"))


def names(template):
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_every_message_has_a_chinese_entry():
    missing = sorted({(path, text) for path, text in templates() if text not in catalogue("zh")})
    assert missing == []


def test_every_stage_setting_port_and_claim_has_a_chinese_entry():
    assert len(stage_texts()) > 1_000
    assert sorted((who, text) for text, who in stage_texts().items() if text not in catalogue("zh")) == []


def test_translations_fill_in_the_same_names():
    filled = [(text, chinese) for text, chinese in catalogue("zh").items() if text not in stage_texts()]
    assert [text for text, chinese in filled if names(text) != names(chinese)] == []


def test_translations_of_stages_name_the_same_settings_and_values():
    """What stands between backticks is typed by the user: names, values, examples. No name is filled in here."""
    both = [(text, catalogue("zh")[text]) for text in stage_texts() if text in catalogue("zh")]
    assert [text for text, chinese in both if sorted(text.split("`")[1::2]) != sorted(chinese.split("`")[1::2])] == []


def test_no_entry_is_of_a_text_that_is_gone():
    used = {*stage_texts(), *TEXTS, *rules()}
    gone = [
        (path.name, text)
        for path in sorted(CATALOGUE.glob("*.json"))
        for text in entries(path)
        if text not in used and (path.name.startswith("settings_") or not in_code(text))
    ]
    assert gone == []


def test_no_entry_is_left_over_twice():
    seen: dict[str, str] = {}
    for path in sorted(CATALOGUE.glob("*.json")):
        for text, chinese in entries(path).items():
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


@cache
def rules():
    """What a Config finds wrong with settings that do not go together: `raise ValueError("…")` where there are models.

    They are looked up when they are shown. What is filled in is not among them: it comes as `ValueError(t("…"))`.
    """
    found = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "model_validator" not in source and "field_validator" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            call = node.exc if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) else None
            if call is not None and call.args and getattr(call.func, "id", "") == "ValueError":
                found |= set(literals(call.args[0]))
    return found


def test_every_rule_of_settings_has_a_chinese_entry():
    assert len(rules()) > 40
    assert sorted(rules() - set(catalogue("zh"))) == []
