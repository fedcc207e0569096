"""Reads the quality report of an evaluation step. A part that is missing or of another shape is left out, not guessed.

The one place that knows the keys of `quality.json`; the sections see the values below.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from modelyard.methods.reporting.charts.lines import Bin

Points = list[tuple[float, float]]
TASKS = "tasks"
"""Where the reports of a model of several tasks stand, by the name of the task."""


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, where there is one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ClassRow:
    """One class: test rows, and what was measured on them."""

    label: str
    n: int
    precision: Estimate | None = None
    recall: Estimate | None = None
    f1: Estimate | None = None


@dataclass(frozen=True)
class Mistake:
    """A test row the model got wrong, with its confidence in the wrong answer."""

    text: str
    label: str
    predicted: str
    confidence: float | None
    row_id: str = ""


@dataclass(frozen=True)
class Quality:
    """What a quality report says.

    Attributes:
        n: test rows.
        confusion: rows are true classes, columns predicted ones, in the order of `labels`.
        roc, pr: curve name (a class, `macro`, `micro`) to points.
        areas: of the curves, `roc` and `pr`, by curve name.
        null_ece: the calibration error that a calibrated model stays below 95 times in 100 on these rows.
        baselines: name to metric name to estimate.
        left_out: test rows without a text or a label.
    """

    n: int | None = None
    labels: tuple[str, ...] = ()
    confusion: list[list[int]] = field(default_factory=list)
    classes: list[ClassRow] = field(default_factory=list)
    roc: dict[str, Points] = field(default_factory=dict)
    pr: dict[str, Points] = field(default_factory=dict)
    areas: dict[str, dict[str, float]] = field(default_factory=dict)
    bins: list[Bin] = field(default_factory=list)
    null_ece: float | None = None
    baselines: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    left_out: int = 0


def read(value: Mapping[str, Any]) -> Quality:
    """A quality report's content as a Quality."""
    labels = tuple(str(label) for label in _list(value.get("labels")))
    confusion = value.get("confusion")
    matrix = confusion.get("matrix") if isinstance(confusion, Mapping) else confusion
    return Quality(
        n=int(value["n"]) if is_number(value.get("n")) else None,
        labels=labels,
        confusion=_matrix(matrix, len(labels)),
        classes=_classes(value.get("per_class")),
        roc=_curves(value.get("roc"), "fpr", "tpr"),
        pr=_curves(value.get("pr"), "recall", "precision"),
        areas={kind: _areas(value.get(kind)) for kind in ("roc", "pr")},
        bins=_bins(value.get("reliability")),
        null_ece=_null(value.get("reliability")),
        baselines=_baselines(value.get("baselines")),
        mistakes=_mistakes(value.get("mistakes")),
        left_out=len(_list(value.get("left_out"))),
    )


def tasks(value: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The reports of each task of a model of several, by its name."""
    found = value.get(TASKS)
    pairs = found.items() if isinstance(found, Mapping) else ()
    return {str(name): report for name, report in pairs if isinstance(report, Mapping)}


def unmeasured(value: Mapping[str, Any]) -> dict[str, str]:
    """Tasks of a model of several that were not measured, with the reason."""
    found = value.get("unmeasured")
    return {str(name): str(reason) for name, reason in found.items()} if isinstance(found, Mapping) else {}


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def estimate(value: Any) -> Estimate | None:
    """A number, `{value, low, high}` or `{value, interval: [low, high]}`."""
    if is_number(value):
        return Estimate(float(value))
    if not isinstance(value, Mapping) or not is_number(value.get("value")):
        return None
    low, high = value.get("low"), value.get("high")
    ends = value.get("interval")
    if isinstance(ends, Sequence) and not isinstance(ends, str) and len(ends) == 2:
        low, high = ends
    both = is_number(low) and is_number(high)
    return Estimate(
        float(value["value"]),
        float(low) if both and low is not None else None,
        float(high) if both and high is not None else None,
    )


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _matrix(value: Any, num: int) -> list[list[int]]:
    rows = [_list(row) for row in _list(value)]
    whole = len(rows) == num and all(len(row) == num and all(is_number(item) for item in row) for row in rows)
    return [[int(item) for item in row] for row in rows] if whole and num else []


def _named(value: Any, key: str) -> list[Mapping[str, Any]]:
    """A list of objects, or a map from name to object as a list with the name under `key`."""
    if isinstance(value, Mapping):
        return [{key: name, **item} for name, item in value.items() if isinstance(item, Mapping)]
    return [item for item in _list(value) if isinstance(item, Mapping)]


def _classes(value: Any) -> list[ClassRow]:
    rows = []
    for item in _named(value, "label"):
        n = item.get("n", item.get("support"))
        if is_number(n):
            parts = {name: estimate(item.get(name)) for name in ("precision", "recall", "f1")}
            rows.append(ClassRow(str(item.get("label", "")), int(n), **parts))
    return rows


def _curves(value: Any, x: str, y: str) -> dict[str, Points]:
    curves = {}
    for item in _named(value, "label"):
        xs, ys = _list(item.get(x)), _list(item.get(y))
        points = [(float(a), float(b)) for a, b in zip(xs, ys, strict=False) if is_number(a) and is_number(b)]
        points = points or [(float(p[0]), float(p[1])) for p in _list(item.get("points")) if all(map(is_number, p[:2]))]
        if points:
            curves[str(item.get("label", ""))] = points if points[0][0] <= points[-1][0] else points[::-1]
    return curves


def _areas(value: Any) -> dict[str, float]:
    found = {str(item.get("label", "")): item.get("auc", item.get("area")) for item in _named(value, "label")}
    return {name: float(area) for name, area in found.items() if is_number(area)}


def _bins(value: Any) -> list[Bin]:
    items = value.get("bins") if isinstance(value, Mapping) else value
    bins = []
    for item in _named(items, "bin"):
        accuracy = estimate(item.get("accuracy"))
        confidence, n = item.get("confidence"), item.get("n")
        if accuracy and is_number(confidence) and is_number(n) and n > 0:
            low, high = item.get("low", accuracy.low), item.get("high", accuracy.high)
            known = is_number(low) and is_number(high)
            bins.append(Bin(float(confidence), accuracy.value, low if known else None, high if known else None, int(n)))
    return bins


def _null(value: Any) -> float | None:
    found = value.get("null_95") if isinstance(value, Mapping) else None
    return float(found) if is_number(found) else None


def _baselines(value: Any) -> dict[str, dict[str, Estimate]]:
    found = {}
    for item in _named(value, "name"):
        metrics = item.get("metrics", item)
        kept = {name: each for name, each in ((name, estimate(one)) for name, one in metrics.items()) if each}
        if kept:
            found[str(item.get("name", ""))] = kept
    return found


def _mistakes(value: Any) -> list[Mistake]:
    rows = []
    for item in _named(value, "row_id"):
        confidence = item.get("confidence", item.get("score"))
        rows.append(
            Mistake(
                str(item.get("text", "")),
                str(item.get("label", item.get("true", ""))),
                str(item.get("predicted", "")),
                float(confidence) if is_number(confidence) else None,
                str(item.get("row_id", "")),
            )
        )
    return rows
