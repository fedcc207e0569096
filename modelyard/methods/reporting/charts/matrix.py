"""The confusion matrix: a table with shaded cells while one can read it, a map of shaded squares beyond."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.methods.reporting.charts.frame import figure, svg
from modelyard.methods.reporting.markup import Markup, Node, clip, el, isolated

READABLE = 10
"""Up to so many classes the cells hold their numbers."""


def confusion(
    title: str,
    matrix: Sequence[Sequence[int]],
    labels: Sequence[str],
    actual: str,
    predicted: str,
    note: Node = None,
    **attributes: str,
) -> Markup | None:
    """Rows are true classes, columns predicted ones; shade is the share of the row."""
    if not matrix or len(matrix) != len(labels) or any(len(row) != len(labels) for row in matrix):
        return None
    if len(labels) <= READABLE:
        drawn = el("div", _table(matrix, labels, actual, predicted), class_="scroll")
    else:
        drawn = _map(title, matrix, labels, actual, predicted)
    return figure(title, drawn, note=note, **attributes)


def _shade(number: int, total: int) -> float:
    """Opacity 0..1; the root makes rare confusions visible beside a full diagonal."""
    return round((number / total) ** 0.6, 3) if total else 0.0


def _table(matrix: Sequence[Sequence[int]], labels: Sequence[str], actual: str, predicted: str) -> Markup:
    heads = [el("th", isolated(label, 18), scope="col", title=label) for label in labels]
    corner = el("td", el("span", f"{actual} ↓"), el("span", f"{predicted} →"), class_="corner")
    rows = [el("tr", corner, *heads)]
    for label, counts in zip(labels, matrix, strict=True):
        total = sum(counts)
        cells = [_cell(number, total) for number in counts]
        rows.append(el("tr", el("th", isolated(label, 18), scope="row", title=label), *cells))
    return el("table", *rows, class_="heat large" if len(labels) <= 4 else "heat")


def _cell(number: int, total: int) -> Markup:
    shade = _shade(number, total)
    share = f"{100 * number / total:.1f} %" if total else ""
    text = [el("b", f"{number:,}"), el("small", share)]
    return el("td", *text, style=f"--shade:{shade:g}", class_="deep" if shade > 0.55 else None)


def _map(title: str, matrix: Sequence[Sequence[int]], labels: Sequence[str], actual: str, predicted: str) -> Markup:
    num, edge = len(labels), 18
    size = max(3.0, 312 / num)
    cells = []
    for row, counts in enumerate(matrix):
        total = sum(counts)
        for column, number in enumerate(counts):
            if number:
                text = f"{clip(labels[row], 60)} → {clip(labels[column], 60)}: {number:,} / {total:,}"
                place = {"x": edge + column * size, "y": edge + row * size, "width": size, "height": size}
                kind = "right" if row == column else "wrong"
                cells.append(el("rect", el("title", text), class_=kind, fill_opacity=_shade(number, total), **place))
    side = num * size
    middle = edge + side / 2
    frame = el("rect", class_="frame", x=edge, y=edge, width=side, height=side)
    names = [
        el("text", predicted, class_="name", x=middle, y=12, text_anchor="middle"),
        el(
            "text",
            actual,
            class_="name",
            x=12,
            y=middle,
            text_anchor="middle",
            transform=f"rotate(-90 12 {middle:g})",
        ),
    ]
    return svg(edge + side + 2, edge + side + 2, title, frame, cells, names, class_="plot map")
