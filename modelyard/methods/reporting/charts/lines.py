"""Line charts: learning curves, ROC, precision–recall, and the reliability diagram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.methods.reporting.charts.frame import Frame, figure, legend, path
from modelyard.methods.reporting.markup import Markup, Node, el

MAX_POINTS = 240
"""More are not seen at this size, and only make the page heavy."""

MAX_SERIES = 6
"""As many as the palette tells apart."""


@dataclass(frozen=True)
class Series:
    """Points in order of x; `name` may be markup. `band`: x, low and high of what lies around the line."""

    name: Node
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float, float]] = ()


@dataclass(frozen=True)
class Bin:
    """A bin of a reliability diagram: mean confidence, share that was right with its interval, rows."""

    confidence: float
    accuracy: float
    low: float | None
    high: float | None
    n: int


def thin(points: Sequence[tuple[float, float]], limit: int = MAX_POINTS) -> list[tuple[float, float]]:
    """At most about `limit` points that keep the first, the last, and each stretch's extremes."""
    if len(points) <= limit:
        return list(points)
    size = math.ceil(len(points) / (limit // 2))
    kept = {0, len(points) - 1}
    for start in range(0, len(points), size):
        stretch = range(start, min(start + size, len(points)))
        kept.add(min(stretch, key=lambda index: points[index][1]))
        kept.add(max(stretch, key=lambda index: points[index][1]))
    return [points[index] for index in sorted(kept)]


def few(band: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """At most about MAX_POINTS parts of a band, evenly chosen, the last kept."""
    stride = max(1, math.ceil(len(band) / MAX_POINTS))
    kept = list(band[::stride])
    return kept if not band or kept[-1] == band[-1] else [*kept, band[-1]]


def spread(values: Sequence[float], from_zero: bool = False) -> tuple[float, float]:
    """A domain that holds `values` with some air; from 0 if asked and nothing is below."""
    low, high = min(values), max(values)
    if from_zero and low >= 0:
        low = 0.0
    air = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    return (low if low == 0 and from_zero else low - air, high + air)


def line_chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
    diagonal: bool = False,
    note: Node = None,
    **attributes: str,
) -> Markup | None:
    """Up to MAX_SERIES lines on common axes; None if there is no point to draw."""
    drawn = [Series(one.name, thin(one.points), few(one.band)) for one in series if one.points][:MAX_SERIES]
    if not drawn:
        return None
    xs = [point[0] for one in drawn for point in (*one.points, *one.band)]
    ys = [point[1] for one in drawn for point in one.points]
    ys += [end for one in drawn for point in one.band for end in point[1:]]
    frame = Frame.of(x or (min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1), y or spread(ys, from_zero=True))
    lines = [_band(frame, one, index) for index, one in enumerate(drawn) if one.band]
    lines += [_line(frame, one, index) for index, one in enumerate(drawn)]
    chance = _diagonal(frame) if diagonal else None
    drawing = frame.svg(title, frame.axes(x_label, y_label), chance, lines)
    keys = legend([one.name for one in drawn]) if len(drawn) > 1 or isinstance(drawn[0].name, Markup) else None
    return figure(title, drawing, keys, note=note, **attributes)


def _line(frame: Frame, one: Series, index: int) -> Markup:
    at = [(frame.x(x), frame.y(y)) for x, y in one.points]
    if len(at) == 1:
        return el("circle", class_=f"dot s{index}", cx=at[0][0], cy=at[0][1], r=3)
    return el("path", class_=f"line s{index}", d=path(at))


def _band(frame: Frame, one: Series, index: int) -> Markup:
    above = [(frame.x(x), frame.y(high)) for x, _, high in one.band]
    below = [(frame.x(x), frame.y(low)) for x, low, _ in reversed(one.band)]
    return el("path", class_=f"band s{index}", d=path([*above, *below]) + "Z")


def _diagonal(frame: Frame) -> Markup:
    low, high = max(frame.x.low, frame.y.low), min(frame.x.high, frame.y.high)
    return el("line", class_="chance", x1=frame.x(low), y1=frame.y(low), x2=frame.x(high), y2=frame.y(high))


def reliability(
    title: str, bins: Sequence[Bin], x_label: str, y_label: str, rows: str, note: Node = None, **attributes: str
) -> Markup | None:
    """Confidence against the share that was right, each bin with its interval; below, how many rows it holds."""
    if not bins:
        return None
    frame = Frame.of((0.0, 1.0), (0.0, 1.0))
    most = max(one.n for one in bins) or 1
    marks = [_bin(frame, one, most, rows) for one in bins]
    return figure(
        title, frame.svg(title, frame.axes(x_label, y_label), _diagonal(frame), marks), note=note, **attributes
    )


def _bin(frame: Frame, one: Bin, most: int, rows: str) -> Markup:
    x, y = frame.x(one.confidence), frame.y(one.accuracy)
    floor = frame.y.start
    depth = round(26 * one.n / most, 2)
    text = f"{one.confidence:.3f} → {one.accuracy:.3f} (n = {one.n:,}, {rows})"
    parts = [el("title", text), el("rect", class_="amount", x=x - 4, y=floor - depth, width=8, height=depth)]
    if one.low is not None and one.high is not None:
        parts.append(el("line", class_="whisker s0", x1=x, x2=x, y1=frame.y(one.low), y2=frame.y(one.high)))
    parts.append(el("circle", class_="dot s0", cx=x, cy=y, r=3.6))
    return el("g", *parts)
