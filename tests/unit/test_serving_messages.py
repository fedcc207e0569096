"""Every text of serving exists in Chinese with the same blanks, and no entry is left over."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import modelyard
from modelyard.serving import ModelSource, ServingSettings
from modelyard.serving.pages import docs_reply

ROOT = Path(modelyard.__file__).parent


def _templates() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "serving").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "t":
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}"
                found.add(str(node.args[0].value))
    return found


def test_every_text_has_a_chinese_entry_with_the_same_blanks() -> None:
    entries = json.loads((ROOT / "base" / "catalogue" / "zh" / "serving.json").read_text(encoding="utf-8"))
    assert _templates() == set(entries)
    for english, chinese in entries.items():
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", chinese)), english


def test_the_docs_page_is_in_the_users_language(monkeypatch) -> None:
    monkeypatch.setenv("MODELYARD_LANG", "zh")
    page = docs_reply({"reviews": ModelSource(Path("m"))}, ServingSettings()).body.decode()
    assert '<html lang="zh">' in page
    assert "本服务提供的模型" in page
    assert "Try it" not in page
