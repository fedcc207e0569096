"""Models of several tasks: a table of all, then of each task the sections that a model of it alone would have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelyard.methods.reporting import quality_report
from modelyard.methods.reporting.markup import Node, clip, el, isolated
from modelyard.methods.reporting.record import Evidence, Record
from modelyard.methods.reporting.sections import blocks
from modelyard.methods.reporting.sections.classes import classes
from modelyard.methods.reporting.sections.mistakes import mistakes
from modelyard.methods.reporting.sections.quality import MAIN, quality
from modelyard.methods.reporting.view import Section, View, section, table
from modelyard.methods.reporting.words import DASH, count

KEY = "task"
"""Of a slice: the task it is about."""


def tasks(view: View) -> list[Section]:
    """Empty for a model of one task."""
    found = views(view)
    summary = section("tasks", view.t("Task by task"), _table(view, found))
    return [*([summary] if summary else []), *(part for at, one in enumerate(found) for part in _sections(at, *one))]


def views(view: View) -> list[tuple[str, View]]:
    """Each task with only what was measured of it, as if it were a model of its own."""
    step, report = _report(view)
    return [
        (name, replace(view, record=_record(view.record, step, name, part)))
        for name, part in quality_report.tasks(report).items()
    ]


def main(view: View) -> Evidence | None:
    """The figure a task is first judged by."""
    return next((item for name in MAIN if (item := view.find(f"quality.{name}"))), None)


def unmeasured(view: View) -> dict[str, str]:
    """Tasks without a test row, with the reason."""
    return quality_report.unmeasured(_report(view)[1])


def _report(view: View) -> tuple[str, Mapping[str, Any]]:
    """Step and content of the report of several tasks on test; empty if there is none."""
    found = view.report(quality_report.TASKS)
    return found if found and found[1].get("split") == "test" else ("", {})


def _record(record: Record, step: str, name: str, report: Mapping[str, Any]) -> Record:
    mine = [_stripped(item) for item in record.evidence if item.slice.get(KEY) == name]
    model = record.model
    if model:
        about = model.card.get("outputs", {}).get(name, {})
        labels = [str(one) for one in about.get("labels", [])] if isinstance(about, Mapping) else []
        model = model.model_copy(update={"labels": labels})
    return record.model_copy(update={"model": model, "evidence": mine, "reports": {step: dict(report)}})


def _stripped(item: Evidence) -> Evidence:
    """Evidence about a task as evidence about a model of it alone; its proof still names the task."""
    rest = {name: value for name, value in item.slice.items() if name != KEY}
    return item.model_copy(update={"slice": rest, "task": item.slice[KEY]})


def _sections(at: int, name: str, view: View) -> list[Section]:
    parts = [part for part in (build(view) for build in (quality, classes, mistakes)) if part]
    return [Section(f"task-{at + 1}-{part.name}", f"{clip(name, 60)}: {part.title}", part.content) for part in parts]


def _table(view: View, found: list[tuple[str, View]]) -> Node:
    rows: list[list[Node]] = []
    for name, one in found:
        kind, item = _kind(one), main(one)
        if item is None:
            rows.append([isolated(name, 60), kind, DASH, DASH, DASH, DASH])
            continue
        figure, ends = one.figure(item), one.uncertainty(item)
        rows.append([isolated(name, 60), kind, one.claim_name(item.claim), figure, ends, count(item.n)])
    for name, reason in unmeasured(view).items():
        said = view.t("not measured: {reason}", reason=clip(blocks.say(view, reason), 300))
        rows.append([isolated(name, 60), DASH, isolated(said), DASH, DASH, "0"])
    heads = [view.t("Task"), view.t("Kind"), view.t("Metric"), "#" + view.t("Value"), view.t("95 % interval"), "#n"]
    return table(heads, rows)


def _kind(view: View) -> Node:
    found = view.report(KEY)
    return el("code", clip(str(found[1][KEY]), 60)) if found else DASH
