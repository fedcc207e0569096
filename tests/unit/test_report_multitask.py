"""The page of a model of several tasks: each task's figures under its name, each tied to its evidence."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from support import sample_record

from modelyard.methods.reporting.model_card.card import markdown
from modelyard.methods.reporting.page import language_of, render
from modelyard.methods.reporting.record import parse

MINE = {"mood": 0.9, "topic": 0.7}


def several(record: dict[str, Any]) -> dict[str, Any]:
    """The sample's evidence and report twice over, as of two tasks; a third has no row."""
    made = copy.deepcopy(record)
    step, report = next((step, one) for step, one in made["reports"].items() if "confusion" in one)
    old = [one for one in made["evidence"] if one["claim"].startswith("quality.")]
    made["evidence"] = [one for one in made["evidence"] if one not in old]
    for name, value in MINE.items():
        for one in copy.deepcopy(old):
            if one["claim"] == "quality.accuracy" and not one["slice"]:
                one |= {"value": value, "low": value - 0.01, "high": value + 0.01}
            one["slice"] = {"task": name, **one["slice"]}
            made["evidence"].append(one)
    parts = {name: {**report, "task": "text-classification"} for name in MINE}
    made["reports"] = {
        "chosen": {"task": "multitask", "split": "validation", "tasks": {"mood": {"rows": 3}}},
        step: {"task": "multitask", "split": "test", "tasks": parts, "unmeasured": {"names": "no row {of} it"}},
    }
    return made


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return several(sample_record.sample_record())


def test_every_task_has_its_sections_and_figures(made: dict[str, Any]) -> None:
    page = render(made)
    for lang in ("en", "zh"):
        for place in (1, 2):
            for part in ("quality", "classes", "mistakes"):
                assert f'id="{lang}-task-{place}-{part}"' in page
        assert f'id="{lang}-quality"' not in page
    assert "mood: Quality" in page
    assert "not measured: no row {of} it" in page
    tags = [dict(re.findall(r'data-(\w+)="([^"]*)"', tag)) for tag in re.findall(r"<[^>]*data-claim=[^>]*>", page)]
    found = {one["slice"]: one["value"] for one in tags if one["claim"] == "quality.accuracy" and "slice" in one}
    assert {name: float(found[f"task={name}"]) for name in MINE} == MINE
    known = {
        (one["claim"], repr(float(one["value"])), "; ".join(f"{k}={v}" for k, v in sorted(one["slice"].items())))
        for one in made["evidence"]
    }
    assert {(one["claim"], one["value"], one.get("slice", "")) for one in tags} <= known
    assert page.count('data-chart="confusion"') == 4


def test_limits_name_the_task_and_what_was_not_measured(made: dict[str, Any]) -> None:
    page = render(made)
    limits = page.split('id="en-limits"', 1)[1].split("</section>", 1)[0]
    assert "Its quality was not measured" not in limits
    assert "Tasks without any test row" in limits
    assert limits.count("accuracy is known to about") == 2


def test_card_and_language_follow_the_tasks(made: dict[str, Any]) -> None:
    card = markdown(made)
    assert "## mood: " in card
    assert '"name": "topic: Accuracy"' in card
    assert language_of(parse(made)) == language_of(parse(sample_record.sample_record()))


def test_parts_of_another_shape_are_left_out(made: dict[str, Any]) -> None:
    for tasks in (3, [], {"mood": 1}, {}):
        odd = copy.deepcopy(made)
        for report in odd["reports"].values():
            report["tasks"], report["unmeasured"] = tasks, tasks
        render(odd)
