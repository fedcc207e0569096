"""Every text that the data room shows has its Chinese entry, with the same values in it."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import modelyard
from modelyard.base.messages import catalogue

ROOT = Path(modelyard.__file__).parent
CALLS = {"t": 0, "Bad": 0, "Fault": 0}


def shown() -> set[str]:
    """First arguments of `t`, and the kinds of faults, in the data room's code."""
    found = set()
    for folder in (ROOT / "methods" / "data", ROOT / "stages" / "data"):
        for path in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
                    values = ast.walk(node.args[0])
                    found |= {
                        v.value
                        for v in values
                        if isinstance(v, ast.Constant) and isinstance(v.value, str) and v.value.strip("\0")
                    }
    return found


def fields(template: str) -> list[tuple[str | None, str | None]]:
    return sorted((name, spec) for _, name, spec, _ in string.Formatter().parse(template) if name is not None)


def test_nothing_is_shown_in_english_only() -> None:
    missing = shown() - set(catalogue("zh"))
    assert not missing
    assert len(shown()) > 90


def test_translations_name_the_same_values() -> None:
    entries = catalogue("zh")
    wrong = {english for english in shown() & set(entries) if fields(english) != fields(entries[english])}
    assert not wrong
