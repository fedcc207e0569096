"""What pushes an answer: a row's columns as steps from the base to the answer, and all rows as a swarm a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from modelyard.methods.reporting.charts.frame import Scale, figure, nice_ticks, svg, tick_text
from modelyard.methods.reporting.charts.lines import spread
from modelyard.methods.reporting.markup import Markup, Node, clip, el, isolated

WIDTH, TOP, PITCH = 340, 6, 34
CELL = 3.2
"""Pixels of the x axis in which dots are stacked."""
REACH = 9
FOR, AGAINST, PLAIN = "s0", "s1", "s9"


@dataclass(frozen=True)
class Spot:
    """A row's value of one column.

    Attributes:
        share: where the row's own number stands among all rows, 0 the least to 1; None for what is no number.
    """

    value: float
    share: float | None
    name: str


def forces(
    title: str, base: float, pushes: Sequence[tuple[str, float]], ends: tuple[str, str], note: Node = None
) -> Markup | None:
    """Each push a bar from where the one before ended; dashed lines at the base and at the answer.

    Args:
        ends: what the base and the answer are called.
    """
    if not pushes:
        return None
    steps = list(accumulate([base, *(value for _, value in pushes)]))
    scale = Scale(*spread(steps), 8, WIDTH - 14)
    bottom = TOP + PITCH * len(pushes)
    lines = [
        el("path", el("title", f"{name}: {at:.4g}"), class_="chance", d=_beside_names(scale(at), len(pushes)))
        for name, at in zip(ends, (base, steps[-1]), strict=True)
    ]
    marks = [_push(scale, TOP + PITCH * row, name, start, start + value)
             for row, ((name, value), start) in enumerate(zip(pushes, steps, strict=False))]  # fmt: skip
    said = el("p", f"{ends[0]} {base:.4g} → {ends[1]} {steps[-1]:.4g}", class_="note")
    return figure(title, svg(WIDTH, bottom + 20, title, _ticks(scale, bottom), lines, marks), said, note=note)


def _beside_names(x: float, rows: int) -> str:
    """Path data of an upright line that leaves out the rows' names."""
    return "".join(f"M{x:g} {TOP + PITCH * row + 16:g}v14" for row in range(rows))


def _push(scale: Scale, top: float, name: str, start: float, end: float) -> Markup:
    left, right = sorted((scale(start), scale(end)))
    amount = f"{end - start:+.3g}"
    return el(
        "g",
        el("title", f"{clip(name, 120)}: {amount}"),
        el("text", clip(name, 34), class_="row", x=8, y=top + 13),
        el("text", amount, class_="row value", x=WIDTH - 14, y=top + 13, text_anchor="end"),
        el("rect", class_=f"dot {FOR if end >= start else AGAINST}", x=left, y=top + 18, height=9, rx=2,
           width=max(right - left, 1.5)),
    )  # fmt: skip


def swarm(
    title: str, rows: Sequence[tuple[str, Sequence[Spot]]], keys: tuple[str, str, str], note: Node = None
) -> Markup | None:
    """A line a column, a dot a row; stacked where many stand, bluer for low numbers, redder for high ones.

    Args:
        keys: what the legend calls low numbers, high ones, and what is no number.
    """
    values = [spot.value for _, spots in rows for spot in spots]
    if not values:
        return None
    scale = Scale(*spread([*values, 0.0]), 8, WIDTH - 14)
    bottom = TOP + PITCH * len(rows)
    zero = el("path", class_="chance", d=_beside_names(scale(0.0), len(rows)))
    marks = [
        el("g", el("text", clip(name, 34), class_="row", x=8, y=TOP + PITCH * place + 8),
           _dots(scale, TOP + PITCH * place + 21, spots))
        for place, (name, spots) in enumerate(rows)
    ]  # fmt: skip
    shown = (FOR, AGAINST, PLAIN)
    kinds = {_colour(spot) for _, spots in rows for spot in spots}
    items = [el("li", el("i", class_=f"key {colour}"), isolated(name, 40))
             for colour, name in zip(shown, keys, strict=True) if colour in kinds]  # fmt: skip
    drawing = svg(WIDTH, bottom + 20, title, _ticks(scale, bottom), zero, marks)
    return figure(title, drawing, el("ul", *items, class_="legend"), note=note)


def _dots(scale: Scale, middle: float, spots: Sequence[Spot]) -> list[Markup]:
    """Dots of one pixel cell go up and down in turn, as far as the line is high."""
    stacked: dict[int, int] = {}
    found = []
    for spot in spots:
        x = scale(spot.value)
        place = stacked.setdefault(int(x / CELL), 0)
        stacked[int(x / CELL)] = place + 1
        off = ((place + 1) // 2 * 2.2 * (1 if place % 2 else -1)) % (2 * REACH)
        y = middle + (off if off <= REACH else off - 2 * REACH)
        strength = 0.6 if spot.share is None else 0.3 + 0.7 * abs(2 * spot.share - 1)
        found.append(el("circle", el("title", clip(spot.name, 120)), class_=f"dot {_colour(spot)}", cx=x,
                        cy=round(y, 2), r=2.1, opacity=round(strength, 2)))  # fmt: skip
    return found


def _colour(spot: Spot) -> str:
    if spot.share is None:
        return PLAIN
    return FOR if spot.share < 0.5 else AGAINST


def _ticks(scale: Scale, bottom: float) -> list[Markup]:
    return [
        el("text", tick_text(tick), class_="tick", x=scale(tick), y=bottom + 14, text_anchor="middle")
        for tick in nice_ticks(scale.low, scale.high, 5)
    ]
