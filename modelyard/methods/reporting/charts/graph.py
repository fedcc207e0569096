"""The lineage as a graph: steps below each other, edges on a rail at the left, so that it fits a phone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.methods.reporting.charts.frame import svg
from modelyard.methods.reporting.markup import Markup, clip, el

PITCH = 46
LANE = 13


@dataclass(frozen=True)
class Stop:
    """A step on the graph.

    Attributes:
        name, detail: two lines of text.
        right: short text at the right end (a digest).
        parents: positions of the steps it read from, all above it.
        strong: the step that made the released model.
        title: what a pointer shows.
    """

    name: str
    detail: str
    right: str
    parents: tuple[int, ...]
    strong: bool = False
    title: str = ""


def lanes(stops: Sequence[Stop]) -> dict[tuple[int, int], int]:
    """A lane for each edge `(from, to)`: 0 for a step's next neighbour, else the first that is free all the way."""
    busy: list[list[tuple[int, int]]] = []
    chosen: dict[tuple[int, int], int] = {}
    edges = sorted((parent, child) for child, stop in enumerate(stops) for parent in set(stop.parents))
    for parent, child in sorted(edges, key=lambda edge: (edge[1] - edge[0], edge)):
        if child == parent + 1:
            chosen[parent, child] = 0
            continue
        lane = next(
            (index for index, taken in enumerate(busy) if all(child <= a or parent >= b for a, b in taken)), len(busy)
        )
        if lane == len(busy):
            busy.append([])
        busy[lane].append((parent, child))
        chosen[parent, child] = lane + 1
    return chosen


def lineage(title: str, stops: Sequence[Stop], width: int = 340) -> Markup | None:
    """Steps top to bottom with the edges between them."""
    if not stops:
        return None
    chosen = lanes(stops)
    rail = 16 + LANE * max(chosen.values(), default=0)
    edges = [_edge(rail, parent, child, lane) for (parent, child), lane in chosen.items()]
    nodes = [_stop(rail, index, stop, width) for index, stop in enumerate(stops)]
    return svg(width, PITCH * len(stops), title, edges, nodes, class_="plot graph")


def _y(index: int) -> float:
    return PITCH * index + 18


def _edge(rail: float, parent: int, child: int, lane: int) -> Markup:
    top, base, x = _y(parent), _y(child), rail - LANE * lane
    if lane == 0:
        return el("path", class_="edge", d=f"M{rail:g} {top:g}V{base:g}")
    bend = min(16.0, (base - top) / 2)
    down = f"M{rail:g} {top:g}Q{x:g} {top:g} {x:g} {top + bend:g}"
    return el("path", class_="edge", d=f"{down}V{base - bend:g}Q{x:g} {base:g} {rail:g} {base:g}")


def _stop(rail: float, index: int, stop: Stop, width: int) -> Markup:
    y, x = _y(index), rail + 15
    return el(
        "g",
        el("title", stop.title) if stop.title else None,
        el("circle", class_="stop strong" if stop.strong else "stop", cx=rail, cy=y, r=5.5),
        el("text", clip(stop.name, 24), class_="row strong" if stop.strong else "row", x=x, y=y),
        el("text", clip(stop.detail, 42), class_="tick", x=x, y=y + 15),
        el("text", stop.right, class_="code", x=width - 4, y=y, text_anchor="end"),
    )
