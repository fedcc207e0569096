"""What evaluations show in blocks: each document a fold, its figures taken from the record's evidence."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

from modelyard.base.canonical import short
from modelyard.base.messages import catalogue
from modelyard.methods.evaluation.blocks import (
    Bars,
    Cell,
    Figures,
    Forces,
    Lines,
    Marked,
    Phrase,
    Pictures,
    Scatter,
    Swarm,
    Table,
    Text,
    Tokens,
)
from modelyard.methods.evaluation.blocks import Words as Said
from modelyard.methods.reporting.charts import bars, forces, lines, scatter
from modelyard.methods.reporting.documents.reading import Document, read
from modelyard.methods.reporting.markup import Markup, Node, clip, el, isolated
from modelyard.methods.reporting.record import Evidence
from modelyard.methods.reporting.view import Section, View, digest_code, fold, section, table
from modelyard.methods.reporting.words import DASH, count

NAME = "evaluations"
MAX_FIGURES = 120
"""Of one block; all are in the table of all evidence and in the JSON."""
Charts = (Lines, Bars, Scatter, Forces, Swarm)
_BRACES = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
_FORMAT = re.compile(r"[+,]?,?(\.\d{1,2})?[defg%]?")
"""Formats without a width: one of a billion characters would fill the page."""


def evaluations(view: View) -> Section | None:
    """One fold a document, in the order of the steps."""
    found = documents(view)
    folds = [_fold(view, one, index) for index, one in enumerate(found)]
    lead = view.t("Each figure is a measurement in the record; drawings and tables show what lies behind it.")
    return section(NAME, view.t("Evaluations"), *folds, lead=lead if folds else None)


def documents(view: View) -> list[Document]:
    """All documents of the record, read."""
    return [read(raw) for raw in view.record.documents]


def anchor(view: View, index: int) -> str:
    """Stands inside the fold: browsers open a fold for a link to what it holds."""
    return f"{view.words.lang}-{NAME}-{index + 1}"


def heading(view: View, document: Document) -> Node:
    """The document's title; the step too, since two steps may write the same family."""
    return isolated(f"{say(view, document.title)} · {document.step}", 160)


def say(view: View, words: Said) -> str:
    """A phrase in the page's language. A template that is not in the catalogue is filled in by plain replacement."""
    if not isinstance(words, Phrase):
        return view.t(words) if words in catalogue("zh") else words
    template = words.template
    if view.words.lang != "en":
        template = catalogue(view.words.lang).get(template, template)

    def fill(match: re.Match[str]) -> str:
        value = words.values.get(match[1])
        if value is None:
            return match[0]
        try:
            return format(value, match[2]) if match[2] and _FORMAT.fullmatch(match[2]) else str(value)
        except ValueError:
            return str(value)

    return _BRACES.sub(fill, template)


def _fold(view: View, document: Document, index: int) -> Markup:
    drawn = _drawn(view, document)
    if document.problem:
        drawn = [el("p", view.t("Left out: {reason}.", reason=say(view, document.problem)), class_="note")]
    elif not drawn:
        drawn = [el("p", view.t("This document holds nothing that can be shown."), class_="note")]
    body = el("div", _about(view, document), drawn, _losses(view, document), class_="document", id=anchor(view, index))
    return fold(heading(view, document), body)


def _drawn(view: View, document: Document) -> list[Markup]:
    """The blocks as nodes; charts that follow each other stand side by side where there is room."""
    found: list[Markup] = []
    charts: list[Markup] = []
    for block in document.blocks:
        chart = _chart(view, block) if isinstance(block, Charts) else None
        if chart:
            charts.append(chart)
            continue
        found += [el("div", *charts, class_="charts")] if charts else []
        charts = []
        found += [] if isinstance(block, Charts) else _draw(view, document, block)
    return [*found, el("div", *charts, class_="charts")] if charts else found


def _about(view: View, document: Document) -> Markup | None:
    """Said only where the document speaks of another model than the card."""
    run = view.run_of(document.step)
    models = [item for item in run.inputs if item.port == "model"] if run else []
    if not models or any(item.digest == view.digest for item in models):
        return None
    names = ", ".join(dict.fromkeys(item.from_step or short(item.digest) for item in models))
    return el("p", view.t("About another model than this card: {name}.", name=names), class_="note")


def _losses(view: View, document: Document) -> Markup | None:
    said = [say(view, one) for one in document.losses]
    if not said:
        return None
    return el("ul", el("li", view.t("Not shown on this page:")), *(el("li", one) for one in said), class_="lost")


def _draw(view: View, document: Document, block: Text | Figures | Table | Tokens | Pictures) -> list[Markup]:
    """A block that is no chart, as nodes; the kinds are a closed list."""
    if isinstance(block, Text):
        return [el("p", say(view, block.text))]
    if isinstance(block, Figures):
        return _figures(view, document, block)
    if isinstance(block, Table):
        return _table(view, block)
    if isinstance(block, Tokens):
        return _tokens(view, block)
    return _pictures(view, block)


def _chart(view: View, block: Lines | Bars | Scatter | Forces | Swarm) -> Markup | None:
    title, note = say(view, block.title), say(view, block.note) or None
    if isinstance(block, Lines):
        series = [
            lines.Series(isolated(say(view, one.name), 60), sorted(one.points), sorted(one.band))
            for one in block.series
        ]
        return lines.line_chart(
            title, series, say(view, block.x), say(view, block.y), diagonal=block.diagonal, note=note
        )
    if isinstance(block, Scatter):
        points = [(point.x, point.y, point.group, point.name) for point in block.points]
        others = view.t("other groups")
        return scatter.grouped(title, points, say(view, block.x), say(view, block.y), others, note=note)
    if isinstance(block, Forces):
        pushes = [(say(view, one.name), one.value) for one in block.pushes]
        return forces.forces(title, block.base, pushes, (view.t("base"), view.t("answer")), note=note)
    if isinstance(block, Swarm):
        swarms = [
            (say(view, one.name), [forces.Spot(spot.value, spot.share, spot.name) for spot in one.spots])
            for one in block.lines
        ]
        keys = (view.t("low numbers"), view.t("high numbers"), view.t("no number"))
        return forces.swarm(title, swarms, keys, note=note)
    rows = [
        bars.Whisker(say(view, one.name), one.value, one.low, one.high, f"{one.value:.4g}", strong=True)
        for one in block.bars
    ]
    ends = [end for one in block.bars for end in (one.value, one.low, one.high) if end is not None]
    return bars.whiskers(title, rows, lines.spread(ends, from_zero=True), note=note)


# -- figures -----------------------------------------------------------------------------------------------------------


def figures_of(view: View, document: Document, block: Figures) -> list[Evidence]:
    """The standing evidence a block names, about what its step measured; the worst of several about the same."""
    stand = [item for item in view.record.evidence if not item.withdrawn and _named(item.claim, block.claims)]
    own = [item for item in stand if item.measured_by == document.step]
    subjects = {(item.subject, item.dataset) for item in own} or {(view.digest, item.dataset) for item in stand}
    chosen: dict[tuple[object, ...], Evidence] = {}
    for item in stand:
        if (item.subject, item.dataset) not in subjects or (item.slice and not block.slices):
            continue
        key = (item.claim, tuple(sorted(item.slice.items())), item.subject, item.dataset, item.split, item.against)
        chosen[key] = view.worse(chosen[key], item) if key in chosen else item
    return list(chosen.values())


def _named(claim: str, names: Sequence[str]) -> bool:
    return any(claim.startswith(name) if name.endswith(".") else claim == name for name in names)


def _figures(view: View, document: Document, block: Figures) -> list[Markup]:
    title = el("h3", say(view, block.title)) if block.title else None
    found = figures_of(view, document, block)
    if not found:
        names = ", ".join(block.claims)[:300]
        said = el("p", view.t("Not measured: {claims}.", claims=names), class_="note")
        return [one for one in (title, said) if one]
    heads = [view.t("Claim"), view.t("Part"), "#" + view.t("Value"), view.t("95 % interval"), "#n", view.t("Run")]
    shown = table(heads, [_row(view, item) for item in found[:MAX_FIGURES]])
    left = len(found) - MAX_FIGURES
    more = el("p", view.t("{num} more are in the JSON.", num=count(left)), class_="note") if left > 0 else None
    return [one for one in (title, shown, more) if one]


def _row(view: View, item: Evidence) -> list[Node]:
    part = ", ".join(f"{name} = {clip(value, 60)}" for name, value in sorted(item.slice.items()))
    return [
        view.claim_name(item.claim),
        isolated(part) if part else DASH,
        view.figure(item),
        view.uncertainty(item),
        count(item.n),
        run_of(view, item),
    ]


def run_of(view: View, item: Evidence) -> Node:
    """The step and the key of the run that measured, or that the record does not hold it."""
    if item.run is None:
        return view.t("an earlier run")
    return el("span", item.measured_by, " ", digest_code(str(item.run)))


# -- the others --------------------------------------------------------------------------------------------------------


def _table(view: View, block: Table) -> list[Markup]:
    columns = [say(view, one) for one in block.columns]
    numeric = [_is_numeric([row[place] for row in block.rows]) for place in range(len(columns))]
    # Isolated, a head that begins with `#` (the mark of a column of numbers) stays text.
    heads: list[Node] = [f"#{one}" if number else isolated(one) for one, number in zip(columns, numeric, strict=True)]
    rows = [[_cell(cell) for cell in row] for row in block.rows]
    shown = table(heads, rows)
    title = el("h3", say(view, block.title)) if block.title else None
    note = el("p", say(view, block.note), class_="note") if block.note else None
    return [one for one in (title, shown or el("p", view.t("No rows."), class_="note"), note) if one]


def _is_numeric(cells: Sequence[Cell]) -> bool:
    there = [cell for cell in cells if cell is not None]
    return bool(there) and not any(isinstance(cell, str) for cell in there)


def _cell(cell: Cell) -> Node:
    if cell is None:
        return DASH
    if isinstance(cell, str):
        return isolated(cell)
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:,.0f}" if cell.is_integer() and 1000 <= abs(cell) < 1e15 else f"{cell:.4g}"


def _tokens(view: View, block: Tokens) -> list[Markup]:
    title = el("h3", say(view, block.title)) if block.title else None
    note = el("p", say(view, block.note), class_="note") if block.note else None
    texts = el("div", *(_marked(view, one) for one in block.texts), class_="tokens")
    return [one for one in (title, texts, note) if one]


def _marked(view: View, text: Marked) -> Markup:
    most = max((abs(weight) for _, weight in text.pieces), default=0.0) or 1.0
    pieces = [
        el("span", piece, class_="against" if weight < 0 else None, style=f"--w:{abs(weight) / most:.2f}",
           title=f"{weight:+.3g}")
        for piece, weight in text.pieces
    ]  # fmt: skip
    note = el("small", say(view, text.note)) if text.note else None
    return el("p", el("b", isolated(text.label)) if text.label else None, el("bdi", *pieces), note)


def _pictures(view: View, block: Pictures) -> list[Markup]:
    title = el("h3", say(view, block.title)) if block.title else None
    note = el("p", say(view, block.note), class_="note") if block.note else None
    shown = []
    for one in block.pictures:
        caption = say(view, one.caption)
        source = "data:image/png;base64," + base64.b64encode(one.png).decode("ascii")
        shown.append(el("figure", el("img", src=source, alt=caption), el("figcaption", caption) if caption else None))
    return [one for one in (title, el("div", *shown, class_="pictures"), note) if one]
