"""Reads the parts of `quality.json` that belong to one family of tasks. A part of another shape is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.methods.reporting.charts.scatter import Band
from modelyard.methods.reporting.quality_report import is_number

Points = list[tuple[float, float]]
KEYS = ("residuals", "span_types", "samples", "ranked")


@dataclass(frozen=True)
class TaskReport:
    """What a report says beside metrics.

    Attributes:
        points: target and answer of rows.
        bands: mean residual of rows with like answers.
        largest: rows with the largest errors: row id, text, target, answer.
        span_mistakes: row id, text, spans missed, spans that are wrong.
        samples: row id, text, wanted, said.
    """

    points: Points
    bands: list[Band]
    largest: list[tuple[str, str, float, float]]
    span_mistakes: list[tuple[str, str, list[str], list[str]]]
    samples: list[tuple[str, str, str, str]]


def read(value: Mapping[str, Any]) -> TaskReport:
    residuals = value.get("residuals")
    drawn = residuals if isinstance(residuals, Mapping) else {}
    return TaskReport(
        points=[(float(p[0]), float(p[1])) for p in _pairs(drawn.get("points"))],
        bands=[band for band in map(_band, _objects(drawn.get("bands"))) if band],
        largest=[
            (str(one.get("row_id", "")), str(one.get("text", "")), float(one["actual"]), float(one["predicted"]))
            for one in _objects(value.get("largest_errors"))
            if is_number(one.get("actual")) and is_number(one.get("predicted"))
        ],
        span_mistakes=[
            (str(one.get("row_id", "")), str(one.get("text", "")), _texts(one.get("missed")), _texts(one.get("wrong")))
            for one in _objects(value.get("span_mistakes"))
        ],
        samples=[
            (str(one.get("row_id", "")), str(one.get("text", "")), str(one.get("wanted", "")), str(one.get("said", "")))
            for one in _objects(value.get("samples"))
        ],
    )


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _pairs(value: Any) -> list[list[float]]:
    found = value if isinstance(value, list) else []
    return [one for one in found if isinstance(one, list) and len(one) == 2 and all(is_number(part) for part in one)]


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _band(one: Mapping[str, Any]) -> Band | None:
    numbers = [one.get(name) for name in ("from", "to", "mean", "low", "high", "n")]
    found = [float(number) for number in numbers if is_number(number)]
    if len(found) < len(numbers):
        return None
    start, end, mean, low, high, n = found
    return Band(start, end, mean, low, high, int(n))
