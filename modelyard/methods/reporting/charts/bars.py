"""Bars: intervals on a common scale, shares, histograms, and the small interval that stands in a table's cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelyard.methods.reporting.charts.frame import Frame, Scale, figure, nice_ticks, svg, tick_text
from modelyard.methods.reporting.markup import Markup, Node, clip, el


@dataclass(frozen=True)
class Whisker:
    """A value with its interval. `strong` marks the model among its rivals; `proof` holds attributes for the page."""

    name: str
    value: float
    low: float | None
    high: float | None
    text: str
    strong: bool = False
    proof: Mapping[str, Any] = field(default_factory=dict)


def interval(
    value: float | None,
    low: float | None,
    high: float | None,
    domain: tuple[float, float],
    title: str,
    bound: float | None = None,
    width: int = 132,
) -> Markup | None:
    """An interval as a small bar on `domain`, the value a line in it, a rule's bound a line of another colour."""
    if value is None:
        return None
    scale = Scale(*domain, 2, width - 2)
    low, high = (value if low is None else low), (value if high is None else high)
    left, right = scale(low), scale(high)
    wide = max(round(right - left, 2), 2.0)
    parts = [
        el("title", title),
        el("rect", class_="track", x=0, y=7, width=width, height=2, rx=1),
        el("rect", class_="span", x=round((left + right - wide) / 2, 2), y=4, width=wide, height=8, rx=1.5),
        el("rect", class_="point", x=round(scale(value) - 0.8, 2), y=2, width=1.6, height=12),
    ]
    if bound is not None:
        parts.append(el("rect", class_="bound", x=round(scale(bound) - 0.8, 2), y=0, width=1.6, height=16))
    shape = {"viewBox": f"0 0 {width} 16", "preserveAspectRatio": "none"}
    return el("svg", *parts, class_="spark", width=width, height=16, role="img", **shape)


def whiskers(
    title: str, rows: Sequence[Whisker], domain: tuple[float, float], note: Node = None, **attributes: str
) -> Markup | None:
    """Values with intervals below each other on one scale: what is better, and whether the data can tell."""
    if not rows:
        return None
    width, top, pitch = 340, 6, 40
    base = top + pitch * len(rows)
    scale = Scale(*domain, 8, width - 14)
    grid = []
    for tick in nice_ticks(*domain, 5):
        at = scale(tick)
        spans = [f"M{at:g} {top + pitch * index + 17:g}v16" for index in range(len(rows))]
        grid.append(el("path", class_="grid", d="".join(spans)))
        grid.append(el("text", tick_text(tick), class_="tick", x=at, y=base + 14, text_anchor="middle"))
    marks = [_whisker(row, scale, top + pitch * index, width) for index, row in enumerate(rows)]
    return figure(title, svg(width, base + 20, title, grid, marks), note=note, **attributes)


def _whisker(row: Whisker, scale: Scale, top: float, width: int) -> Markup:
    y, colour = top + 25, "s0" if row.strong else "s9"
    parts = [
        el("title", f"{clip(row.name, 120)}: {row.text}"),
        el("text", clip(row.name, 30), class_="row strong" if row.strong else "row", x=8, y=top + 13),
        el("text", row.text, class_="row value", x=width - 14, y=top + 13, text_anchor="end"),
    ]
    if row.low is not None and row.high is not None:
        left, right = scale(row.low), scale(row.high)
        parts.append(el("rect", class_=f"span {colour}", x=left, y=y - 4, width=max(right - left, 1.5), height=8, rx=4))
    parts.append(el("circle", class_=f"dot {colour}", cx=scale(row.value), cy=y, r=3.8))
    return el("g", *parts, **row.proof)


def shares(title: str, rows: Sequence[tuple[str, float, str]], note: Node = None, **attributes: str) -> Markup | None:
    """Horizontal bars: name, amount, the amount as text."""
    if not rows:
        return None
    width, pitch = 340, 26
    most = max(amount for _, amount, _ in rows) or 1
    marks = []
    for index, (name, amount, text) in enumerate(rows):
        y = pitch * index
        length = round((width - 16) * amount / most, 2)
        marks.append(
            el(
                "g",
                el("title", f"{clip(name, 120)}: {text}"),
                el("text", clip(name, 32), class_="row", x=8, y=y + 13),
                el("text", text, class_="row value", x=width - 8, y=y + 13, text_anchor="end"),
                el("rect", class_="rail", x=8, y=y + 17, width=width - 16, height=4, rx=2),
                el("rect", class_="fill", x=8, y=y + 17, width=max(length, 2 if amount else 0), height=4, rx=2),
            )
        )
    return figure(title, svg(width, pitch * len(rows) + 2, title, marks), note=note, **attributes)


def histogram(
    title: str,
    bins: Sequence[tuple[float, float, int]],
    x_label: str,
    y_label: str,
    note: Node = None,
    log_x: bool = False,
) -> Markup | None:
    """Counts over bins `(from, to, rows)`; `log_x` needs edges above 0."""
    if not bins or not any(rows for _, _, rows in bins):
        return None
    low, high = bins[0][0], bins[-1][1]
    top = 1.06 * max(rows for _, _, rows in bins)
    frame = Frame.of((low, high if high > low else low + 1), (0.0, top), log_x=log_x)
    marks = []
    for start, end, rows in bins:
        left, right, top = frame.x(start), frame.x(end), frame.y(rows)
        bar = el(
            "rect", class_="column", x=left + 0.5, y=top, width=max(right - left - 1, 0.8), height=frame.y.start - top
        )
        marks.append(el("g", el("title", f"{tick_text(start)} – {tick_text(end)}: {rows:,}"), bar))
    return figure(title, frame.svg(title, frame.axes(x_label, y_label), marks), note=note)


@dataclass(frozen=True)
class Box:
    """A distribution by its quantiles: `low..high` is drawn thin, `first..third` thick, the middle as a line."""

    name: str
    text: str
    low: float
    first: float
    middle: float
    third: float
    high: float


def boxes(title: str, rows: Sequence[Box], note: Node = None) -> Markup | None:
    """Distributions below each other on one scale from 0."""
    if not rows:
        return None
    width, top, pitch = 340, 6, 40
    base = top + pitch * len(rows)
    most = max(row.high for row in rows) or 1.0
    scale = Scale(0.0, 1.04 * most, 8, width - 14)
    ticks = [
        el("text", tick_text(tick), class_="tick", x=scale(tick), y=base + 14, text_anchor="middle")
        for tick in nice_ticks(0.0, 1.04 * most, 5)
    ]
    marks = [_box(row, scale, top + pitch * index, width) for index, row in enumerate(rows)]
    return figure(title, svg(width, base + 20, title, ticks, marks), note=note)


def _box(row: Box, scale: Scale, top: float, width: int) -> Markup:
    y = top + 25
    bars = [
        el("rect", class_="rail", x=8, y=y - 2, width=width - 22, height=4, rx=2),
        el("rect", class_="span", x=scale(row.low), y=y - 2, width=scale(row.high) - scale(row.low), height=4),
        el(
            "rect",
            class_="span",
            x=scale(row.first),
            y=y - 6,
            width=scale(row.third) - scale(row.first),
            height=12,
            rx=2,
        ),
        el("rect", class_="point", x=scale(row.middle) - 1, y=y - 7, width=2, height=14),
    ]
    return el(
        "g",
        el("title", f"{clip(row.name, 120)}: {row.text}"),
        el("text", clip(row.name, 24), class_="row", x=8, y=top + 13),
        el("text", row.text, class_="row value", x=width - 14, y=top + 13, text_anchor="end"),
        *bars,
    )
