"""The lineage: which step read what of which, down to exact bytes."""

from __future__ import annotations

from modelyard.base.canonical import short
from modelyard.methods.reporting.charts.graph import Stop
from modelyard.methods.reporting.charts.graph import lineage as draw
from modelyard.methods.reporting.markup import el, join
from modelyard.methods.reporting.record import Run
from modelyard.methods.reporting.view import Section, View, digest_code, section, table
from modelyard.methods.reporting.words import DASH, size


def lineage(view: View) -> Section | None:
    """The graph of steps, and every artifact with its digest."""
    runs = view.record.runs
    place = {run.step: index for index, run in enumerate(runs)}
    stops = [_stop(view, run, index, place) for index, run in enumerate(runs)]
    graph = draw(view.t("Steps from data to model"), stops)
    heads = [view.t("Step"), view.t("Port"), view.t("Kind"), view.t("Digest"), "#" + view.t("Size")]
    rows = [
        [
            run.step,
            output.port,
            output.kind or DASH,
            digest_code(output.digest),
            size(output.size) if output.size else DASH,
        ]
        for run in runs
        for output in run.outputs
    ]
    listed = table(heads, rows)
    lead = view.t("Each digest names exact bytes: the same digest is the same file everywhere.")
    return section(
        "lineage", view.t("Lineage"), el("div", graph, listed, class_="halves") if graph else None, lead=lead
    )


def _stop(view: View, run: Run, index: int, place: dict[str, int]) -> Stop:
    parents = sorted({place[item.from_step] for item in run.inputs if place.get(item.from_step, index) < index})
    digest = next((item.digest for item in run.outputs), "")
    strong = any(item.digest == view.digest for item in run.outputs) and run.step == (
        view.record.model.step if view.record.model else ""
    )
    reads = ", ".join(f"{item.port} {short(item.digest)}" for item in run.inputs)
    title = join(run.step, ": ", run.uses, f" ← {reads}" if reads else "")
    return Stop(run.step, run.uses, short(digest), tuple(parents), strong, title)
