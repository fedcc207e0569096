"""Training: learning curves, what the steps said, and every setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelyard.methods.reporting.charts.lines import Series, line_chart
from modelyard.methods.reporting.markup import Markup, el, isolated, join
from modelyard.methods.reporting.record import Curve, Run
from modelyard.methods.reporting.view import Section, View, fold, section, table
from modelyard.methods.reporting.words import scalar, seconds

GROUPS = (
    ("loss", ("loss",)),
    ("rate", ("learning_rate", "lr")),
    ("score", ("accuracy", "f1", "score", "auc")),
)
MAX_NOTES = 40


def training(view: View) -> Section | None:
    """Curves of each step that logged any; notes and settings of each step."""
    charts = [chart for step, curves in view.record.curves.items() for chart in _charts(view, step, curves)]
    grid = el("div", *charts, class_="charts") if charts else None
    notes = [_notes(view, run) for run in view.record.runs if run.notes]
    settings = [_settings(view, run) for run in view.record.runs if run.settings]
    said = el("div", el("h3", view.t("What the steps said")), *notes) if notes else None
    chosen = el("div", el("h3", view.t("Settings")), *settings) if settings else None
    return section("training", view.t("Training"), grid, said, chosen)


def _charts(view: View, step: str, curves: Mapping[str, Curve]) -> Iterator[Markup]:
    titles = {
        "loss": view.t("Loss"),
        "rate": view.t("Learning rate"),
        "score": view.t("Score on validation"),
    }
    several = len(view.record.curves) > 1
    left = dict(curves)
    for group, words in GROUPS:
        names = [name for name in left if any(word in name for word in words)]
        series = [Series(el("span", isolated(name.replace("_", " "), 28)), _points(left.pop(name))) for name in names]
        yield from _drawn(view, titles[group], step if several else "", series)
    for name, points in left.items():
        known = {"gradient_norm": view.t("Gradient norm"), "tokens_per_second": view.t("Tokens per second")}
        yield from _drawn(
            view, known.get(name, name.replace("_", " ")), step if several else "", [Series("", _points(points))]
        )


def _drawn(view: View, title: str, step: str, series: list[Series]) -> Iterator[Markup]:
    full = f"{title} · {step}" if step else title
    chart = line_chart(full, series, view.t("training step"), title, data_chart="curve")
    if chart:
        yield chart


def _points(points: Curve) -> list[tuple[float, float]]:
    return sorted((step, value) for step, value in points if value is not None)


def _notes(view: View, run: Run) -> Markup:
    lines = [el("li", isolated(note, 400)) for note in run.notes[:MAX_NOTES]]
    left = len(run.notes) - len(lines)
    more = el("li", view.t("{num} more are in the JSON.", num=left)) if left > 0 else None
    return el("div", el("h4", run.step, " ", el("code", run.uses)), el("ul", *lines, more, class_="notes"))


def _settings(view: View, run: Run) -> Markup:
    rows = [[el("code", name), el("code", isolated(scalar(value), 300))] for name, value in _flat(run.settings)]
    took = view.t("took {time}", time=seconds(run.seconds)) if run.seconds is not None else ""
    seed = view.t("seed {seed}", seed=run.seed) if run.seed is not None else ""
    head = join(
        el("b", run.step),
        " ",
        el("code", run.uses),
        " ",
        el("small", " · ".join(part for part in (seed, took) if part)),
    )
    return fold(head, table([view.t("Setting"), view.t("Value")], rows, class_="settings"))


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
