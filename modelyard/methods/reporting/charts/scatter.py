"""Scatter plots: answers beside targets, residuals over answers, maps of rows by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.methods.reporting.charts.frame import Frame, figure
from modelyard.methods.reporting.charts.lines import spread
from modelyard.methods.reporting.markup import Markup, Node, clip, el, isolated

GROUPS = 6
"""As many as the palette tells apart."""


@dataclass(frozen=True)
class Band:
    """Mean of a group with its interval: `start` to `end` on the x axis."""

    start: float
    end: float
    mean: float
    low: float
    high: float
    n: int


def scatter(
    title: str,
    points: Sequence[tuple[float, float]],
    x_label: str,
    y_label: str,
    diagonal: bool = False,
    bands: Sequence[Band] = (),
    note: Node = None,
    **attributes: str,
) -> Markup | None:
    """Points as small dots, bands as bars with their intervals; a dashed diagonal, or a dashed zero if there are bands.

    None if there is no point.
    """
    if not points:
        return None
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    x, y = spread(xs), spread(ys)
    if diagonal:
        x = y = (min(x[0], y[0]), max(x[1], y[1]))
    frame = Frame.of(x, y)
    dots = [el("circle", class_="dot s0", cx=frame.x(a), cy=frame.y(b), r=1.6, opacity=0.45) for a, b in points]
    ends = ((x[0], x[0]), (x[1], x[1])) if diagonal else ((x[0], 0.0), (x[1], 0.0))
    (x1, y1), (x2, y2) = ends
    line = el("line", class_="chance", x1=frame.x(x1), y1=frame.y(y1), x2=frame.x(x2), y2=frame.y(y2))
    drawn = [_band(frame, one) for one in bands]
    return figure(title, frame.svg(title, frame.axes(x_label, y_label), dots, line, drawn), note=note, **attributes)


def grouped(
    title: str,
    points: Sequence[tuple[float, float, str, str]],
    x_label: str,
    y_label: str,
    others: str,
    note: Node = None,
    **attributes: str,
) -> Markup | None:
    """Points (x, y, group, name), coloured by group: the commonest have colours of their own; None without a point.

    Args:
        others: what the legend calls the groups that share the last colour.
    """
    if not points:
        return None
    frame = Frame.of(spread([point[0] for point in points]), spread([point[1] for point in points]), height=300)
    sizes = Counter(point[2] for point in points)
    order = sorted(sizes, key=lambda name: (-sizes[name], name))
    shown = order if len(order) <= GROUPS else order[: GROUPS - 1]
    colours = {name: f"s{index}" for index, name in enumerate(shown)}
    dots = [_dot(frame, point, colours.get(point[2], "s9")) for point in points]
    keys = [el("li", el("i", class_=f"key {colours[name]}"), isolated(name, 40)) for name in shown if name]
    keys += [el("li", el("i", class_="key s9"), others)] if len(order) > len(shown) else []
    drawing = frame.svg(title, frame.axes(x_label, y_label), dots)
    return figure(title, drawing, el("ul", *keys, class_="legend") if keys else None, note=note, **attributes)


def _dot(frame: Frame, point: tuple[float, float, str, str], colour: str) -> Markup:
    x, y, _, name = point
    behind = el("title", clip(name, 120)) if name else None
    return el("circle", behind, class_=f"dot {colour}", cx=frame.x(x), cy=frame.y(y), r=2, opacity=0.6)


def _band(frame: Frame, one: Band) -> Markup:
    middle, height = frame.x((one.start + one.end) / 2), frame.y(one.mean)
    text = f"{one.start:.4g} – {one.end:.4g}: {one.mean:.3g} ({one.low:.3g} – {one.high:.3g}), n = {one.n:,}"
    upright = el("line", class_="whisker s1", x1=middle, x2=middle, y1=frame.y(one.low), y2=frame.y(one.high))
    return el("g", el("title", text), upright, el("circle", class_="dot s1", cx=middle, cy=height, r=3.2))
