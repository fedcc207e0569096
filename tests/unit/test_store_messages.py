"""Everything the store says to a user is there in Chinese too, with the same values in it."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import modelyard.store
from modelyard.base.messages import catalogue


def templates() -> Iterator[str]:
    for path in Path(modelyard.store.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "t":
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}"
                yield node.args[0].value


def names(template: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(template)}


def test_every_message_of_the_store_has_a_chinese_entry_with_the_same_values() -> None:
    chinese = catalogue("zh")
    found = set(templates())
    assert len(found) > 50
    assert sorted(found - set(chinese)) == []
    assert [template for template in found if names(template) - {None} != names(chinese[template]) - {None}] == []
