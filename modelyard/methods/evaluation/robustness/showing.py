"""What a report shows of robustness: figures by change, curves over severities, rows that a change turned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.methods.evaluation.blocks import Block, Cell, Figures, Lines, Phrase, Series, Table, Text
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.measuring.family import Shown, quote
from modelyard.methods.evaluation.robustness.judging import Example, Judged
from modelyard.methods.evaluation.robustness.summary import kinds_of

SUMMED = ("robustness.worst_accuracy", "robustness.mean_corruption_error", "robustness.mce", "robustness.relative_mce",
          "robustness.worst_rmse")  # fmt: skip
BESIDE = ("robustness.corruption_error", "robustness.relative_corruption_error")
SPANS = ("robustness.span_f1", "robustness.span_f1_drop")
SLICES = ("robustness.worst_slice_accuracy", "robustness.worst_slice_rmse")
CHANGED = ("robustness.accuracy", "robustness.accuracy_drop", "robustness.rmse", "robustness.mse_rise")


def blocks(judged: Judged, estimates: Sequence[Estimate], shown: Shown, left: Sequence[str]) -> list[Block]:
    """The whole section.

    Args:
        left: kinds of change that no row could be changed by.
    """
    found: list[Block] = [
        Text("Each row is changed as slips, faults and other sources change it, and the model is asked again."),
        Figures("Worst case and mean", SUMMED),
        Figures("Under each change", CHANGED),
    ]
    names = {one.name for one in estimates}
    if "span_f1" in names:
        found.append(Figures("Spans under each change", SPANS))
    if "corruption_error" in names:
        found.append(Figures("Beside the reference, by kind (1: as many errors)", BESIDE))
    curves = _curves(judged, estimates)
    if curves:
        found.append(curves)
    if judged.checks:
        found.append(Figures("Checks of meaning", ("robustness.check_failures",)))
    if any("by" in one.slice for one in estimates):
        found.append(Figures("Shift between slices", SLICES))
    if left:
        found.append(Text(Phrase("No row could be changed by: {kinds}", {"kinds": ", ".join(left)})))
    examples = [(kind, one) for kind, kept in judged.examples.items() for one in kept][: shown.limit]
    if examples and shown.texts:
        found.append(_table(examples))
    return found


def _curves(judged: Judged, estimates: Sequence[Estimate]) -> Lines | None:
    name = "accuracy" if judged.is_rate else "rmse"
    clean = next(one.value for one in estimates if one.name == name and one.slice.get("kind") == "clean")
    series = []
    for kind in kinds_of(judged):
        of_kind = [one for one in estimates if one.name == name and one.slice.get("kind") == kind]
        points = [(0.0, clean), *((float(one.slice["severity"]), one.value) for one in of_kind)]
        if len(points) > 2:
            series.append(Series(kind, tuple(points)))
    if not series:
        return None
    return Lines("By severity", "severity", name, tuple(series), note="Severity 0: the rows as they are.")


def _table(examples: Sequence[tuple[str, Example]]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for kind, one in examples:
        before, after = _texts(one)
        rows.append((kind, one.row_id, before, after, one.answer, one.changed_answer))
    heads = ("change", "row", "before", "after", "answer", "answer after")
    return Table("Rows whose answer a change made worse", heads, tuple(rows))


def _texts(one: Example) -> tuple[str, str]:
    """Both records in short; of a table only the cells that differ."""
    everything = Shown()
    if "text" in one.before:
        return quote(one.before, everything)["text"], quote(one.after, everything)["text"]
    names = [name for name in one.before if one.before[name] != one.after.get(name)]
    plain = [name for name in names if not isinstance(one.before[name], bytes)]
    pair: list[Mapping[str, Any]] = [
        {name: _cell(record.get(name)) for name in plain} for record in (one.before, one.after)
    ]
    return ", ".join(f"{k}={v}" for k, v in pair[0].items()), ", ".join(f"{k}={v}" for k, v in pair[1].items())


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
