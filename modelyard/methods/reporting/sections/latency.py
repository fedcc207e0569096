"""Speed: latency and throughput on the machine that measured, and what else the latency report says."""

from __future__ import annotations

from typing import Any

from modelyard.methods.reporting.charts import bars, lines
from modelyard.methods.reporting.markup import Markup, el
from modelyard.methods.reporting.quality_report import is_number
from modelyard.methods.reporting.view import Section, View, facts, section, table
from modelyard.methods.reporting.words import count, scalar, size

KEYS = ("percentiles", "by_batch", "by_length", "latency")


def latency(view: View) -> Section | None:
    """Percentiles with intervals; by batch size and by length if measured."""
    items = view.measured("latency.", split=None)
    top = max(
        (item.high if item.high is not None else item.value or 0.0 for item in items if item.unit == "ms"), default=0.0
    )
    rows = []
    for item in items:
        bar = view.spark(item, (0.0, 1.1 * top)) if item.unit == "ms" and top > 0 and not item.exact else None
        cell = el("span", bar, el("small", view.uncertainty(item)), class_="cell")
        rows.append([view.claim_name(item.claim), view.figure(item), cell, count(item.n)])
    measured = table([view.t("Claim"), "#" + view.t("Value"), view.t("95 % interval"), "#" + view.t("Timings")], rows)
    found = view.report(*KEYS)
    content = found[1] if found else {}
    charts = [_histogram(view, content), _chart(view, content, "by_length"), _chart(view, content, "by_batch")]
    shown = [chart for chart in charts if chart]
    grid = el("div", *shown, class_="charts") if shown else None
    lead = view.t("Holds for the machine that measured it; another machine has other figures.")
    return section("latency", view.t("Speed"), measured, grid, _machine(view, content), lead=lead)


def _chart(view: View, content: Any, key: str) -> Markup | None:
    """p50 and p95 over batch size or text length, from a list of objects."""
    items = (
        [item for item in content.get(key, []) if isinstance(item, dict)] if isinstance(content.get(key), list) else []
    )
    axis = "batch" if key == "by_batch" else "length"
    series = []
    for name in ("p50_ms", "p95_ms", "p99_ms"):
        points = [
            (float(item[axis]), float(item[name]))
            for item in items
            if is_number(item.get(axis)) and is_number(item.get(name))
        ]
        if len(points) > 1:
            series.append(lines.Series(name.removesuffix("_ms"), sorted(points)))
    title = view.t("Latency by batch size") if key == "by_batch" else view.t("Latency by text length")
    x_label = view.t("records in a batch") if key == "by_batch" else view.t("characters")
    return lines.line_chart(title, series, x_label, view.t("milliseconds"))


def _histogram(view: View, content: Any) -> Markup | None:
    """How the times of single records are spread; bins of equal ratio, as times have long tails."""
    found = content.get("histogram")
    edges, counts = (found.get("edges_ms"), found.get("counts")) if isinstance(found, dict) else (None, None)
    if not isinstance(edges, list) or not isinstance(counts, list) or len(edges) != len(counts) + 1:
        return None
    if not all(is_number(value) for value in [*edges, *counts]) or not 0 < edges[0] < edges[-1]:
        return None
    bins = [(float(low), float(high), int(n)) for low, high, n in zip(edges, edges[1:], counts, strict=False)]
    title = view.t("Time to answer one record")
    return bars.histogram(title, bins, view.t("milliseconds"), view.t("timings"), log_x=True)


def _machine(view: View, content: Any) -> Markup | None:
    machine = content.get("machine") if isinstance(content.get("machine"), dict) else {}
    pairs = [(str(name), scalar(value)) for name, value in machine.items()]
    if isinstance(content.get("runtime"), str):
        pairs.append((view.t("Runtime"), content["runtime"]))
    if is_number(content.get("threads")):
        pairs.append((view.t("Threads"), count(content["threads"])))
    memory = content.get("memory")
    if isinstance(memory, dict) and is_number(memory.get("increase_bytes")):
        pairs.append((view.t("Memory added, about"), size(memory["increase_bytes"])))
    return facts(pairs, class_="strip")
