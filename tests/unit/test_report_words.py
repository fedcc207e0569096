"""The report's words: complete in Chinese, and numbers that say no more than they know."""

from __future__ import annotations

import ast
import json
import string
from pathlib import Path

import pytest

import modelyard
from modelyard.methods.reporting.words import Words, seconds, size

PACKAGE = Path(modelyard.__file__).parent
PAGES = [path for path in sorted((PACKAGE / "methods" / "reporting").rglob("*.py")) if path.parent.name != "datasheet"]
SOURCES = [*PAGES, PACKAGE / "stages" / "report" / "card.py"]
CATALOGUE = json.loads((PACKAGE / "base" / "catalogue" / "zh" / "report.json").read_text(encoding="utf-8"))


def templates() -> set[str]:
    """Every literal first argument of a call to `t` or `mark`; a template that is no literal fails the test."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in ("t", "mark") and node.args and isinstance(node.args[0], ast.Constant):
                    found.add(node.args[0].value)
    return found


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_every_template_of_the_report_has_a_chinese_entry() -> None:
    found = templates()
    assert len(found) > 150
    assert sorted(found - set(CATALOGUE)) == []


def test_no_chinese_entry_of_the_report_is_left_without_its_template() -> None:
    assert sorted(set(CATALOGUE) - templates()) == []


def test_chinese_entries_name_exactly_the_values_of_their_templates() -> None:
    assert {key: fields(value) for key, value in CATALOGUE.items()} == {key: fields(key) for key in CATALOGUE}


@pytest.mark.parametrize(
    ("value", "unit", "claim", "shown"),
    [
        (0.8782, "", "quality.accuracy", "87.8 %"),
        (0.9471, "", "quality.roc_auc", "0.947"),
        (0.00004, "", "quality.brier", "4e-05"),
        (0.038, "", "quality.gain_over_linear", "+3.8 points"),
        (-0.012, "", "quality.gain_over_linear", "\u22121.2 points"),
        (3_311_842, "bytes", "size.bytes", "3.31 MB"),
        (2.0431, "ms", "latency.p95_ms", "2.04 ms"),
        (6807, "rows", "data.train_rows", "6,807 rows"),
        (None, "", "quality.accuracy", "—"),
        (float("nan"), "", "quality.accuracy", "—"),
        (float("inf"), "ms", "latency.p95_ms", "—"),
    ],
)
def test_values_are_shown_with_their_unit(value: float | None, unit: str, claim: str, shown: str) -> None:
    assert Words("en").value(value, unit, claim) == shown


def test_intervals_show_the_unit_once_and_do_not_break_over_lines() -> None:
    shown = Words("en").interval(0.863, 0.892, "", "quality.accuracy")
    assert shown.replace("\u00a0", " ") == "86.3 – 89.2 %"
    assert " " not in shown
    assert Words("en").interval(None, 0.9, "", "quality.accuracy") == "—"


def test_sizes_and_durations_are_in_the_unit_a_person_would_say() -> None:
    assert [size(number) for number in (12, 2_113, 1_400_000, 7.2e9)] == ["12 B", "2.11 kB", "1.4 MB", "7.2 GB"]
    assert [seconds(number) for number in (0.25, 12.34, 148.2, 9000)] == ["250 ms", "12.3 s", "2.47 min", "2.5 h"]
