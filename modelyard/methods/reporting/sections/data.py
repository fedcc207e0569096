"""The data: where it came from, how many rows were kept, what they look like, what could leak."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelyard.methods.reporting.charts import bars
from modelyard.methods.reporting.markup import Markup, clip, el, isolated, join
from modelyard.methods.reporting.quality_report import is_number
from modelyard.methods.reporting.record import Evidence, Split
from modelyard.methods.reporting.view import Section, View, facts, label, section, table
from modelyard.methods.reporting.words import DASH, count, scalar

MAX_BARS = 12
QUANTILES = ("0.05", "0.25", "0.5", "0.75", "0.95")
ORDER = ("all", "train", "validation", "calibration", "test")


def data(view: View) -> Section | None:
    """Source, splits, removed rows, label distribution, lengths, and the claims about the data."""
    given = view.record.data
    charts = [_labels(view), _lengths(view) or _quantiles(view), _scripts(view)]
    shown = [chart for chart in charts if chart]
    tables = [part for part in (_removed(view), _columns(view) if given.columns else None) if part]
    return section(
        "data",
        view.t("Data"),
        _source(view),
        _splits(view),
        _openings(view),
        el("div", *shown, class_="charts" if len(shown) > 2 else "charts two") if shown else None,
        _claims(view),
        el("div", *tables, class_="halves") if tables else None,
    )


def splits(view: View) -> list[tuple[str, Split]]:
    """Splits in the order a reader expects, the test split last."""
    given = view.record.data.splits
    names = [name for name in ORDER if name in given] + [name for name in given if name not in ORDER]
    return [(name, given[name]) for name in names]


def _source(view: View) -> Markup | None:
    source = view.record.data.source
    if isinstance(source, Mapping):
        pairs = [(str(name).replace("_", " "), isolated(scalar(value), 200)) for name, value in source.items() if value]
        return facts(pairs, class_="strip")
    shown = isolated(str(source), 200) if source else view.record.data.step
    return facts([(view.t("Source") if source else view.t("From step"), shown)], class_="strip")


def _splits(view: View) -> Markup | None:
    counted = [(name, split.rows) for name, split in splits(view) if split.rows]
    total = sum(rows for _, rows in counted)
    if not total:
        return None
    parts = []
    for index, (name, rows) in enumerate(counted):
        share = 100 * rows / total
        name = view.words.split(name)
        shown = view.t("{count} rows", count=count(rows))
        text = join(el("b", name), el("span", f"{shown} · {share:.1f} %"))
        parts.append(
            el("li", el("i", class_=f"key s{index}"), text, style=f"--share:{share:.3f}", class_=f"part s{index}")
        )
    return el("ul", *parts, class_="stacked")


def _openings(view: View) -> Markup | None:
    openings = view.record.openings
    if openings is None:
        return None
    once = view.t("The test split was opened once.")
    models = view.record.opened_models
    often = (
        view.t("The test split was opened {num} times.", num=openings)
        if models is None
        else view.t("The test split was opened {num} times, for {models} models.", num=openings, models=models)
    )
    never = view.t("The test split was never opened.")
    return el("p", never if openings == 0 else once if openings == 1 else often, class_="fact")


def flat(removed: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Reason and rows, from a map that may be nested by step."""
    for name, value in removed.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}: ")
        elif is_number(value):
            yield f"{before}{name}", value


def _removed(view: View) -> Markup | None:
    rows = sorted(flat(view.record.data.removed), key=lambda pair: -pair[1])
    shown = table(
        [view.t("Reason"), "#" + view.t("Rows taken out")], [[isolated(name, 120), count(rows)] for name, rows in rows]
    )
    return el("div", el("h3", view.t("Taken out before the split")), shown) if shown else None


def label_counts(split: Split) -> dict[str, int]:
    """Rows by label from a split's profile."""
    for key in ("labels", "label_counts", "classes"):
        value = split.profile.get(key)
        if isinstance(value, Mapping):
            value = value.get("counts", value)
        if isinstance(value, Mapping):
            return {str(name): int(rows) for name, rows in value.items() if is_number(rows)}
        if isinstance(value, list):
            pairs = [
                (item.get("label", item.get("value")), item.get("rows", item.get("count")))
                for item in value
                if isinstance(item, Mapping)
            ]
            return {str(name): int(rows) for name, rows in pairs if is_number(rows)}
    return {}


def _labels(view: View) -> Markup | None:
    name, split = _main(view)
    counts = label_counts(split)
    total = sum(counts.values())
    if not total:
        return None
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    rows = [(name, float(rows), f"{count(rows)} · {100 * rows / total:.1f} %") for name, rows in ordered[:MAX_BARS]]
    left = len(ordered) - len(rows)
    least = ordered[-1]
    note = view.t(
        "{num} more classes; the rarest, “{label}”, has {rows} rows.",
        num=left,
        label=least[0][:40],
        rows=count(least[1]),
    )
    return bars.shares(
        view.t("Classes in the {split} split", split=view.words.split(name)), rows, note=note if left else None
    )


def _main(view: View) -> tuple[str, Split]:
    given = view.record.data.splits
    name = next((name for name in ("train", "all") if name in given), next(iter(given), "train"))
    return name, given.get(name, Split())


def length_bins(split: Split) -> list[tuple[float, float, int]]:
    """Bins of text lengths `(from, to, rows)` from a split's profile."""
    for key in ("lengths", "length", "text_length", "characters"):
        value = split.profile.get(key)
        if not isinstance(value, Mapping):
            continue
        edges, counts = value.get("edges"), value.get("counts")
        if isinstance(edges, list) and isinstance(counts, list) and len(edges) == len(counts) + 1:
            return [(float(a), float(b), int(n)) for a, b, n in zip(edges, edges[1:], counts, strict=False)]
        bins = value.get("bins", value.get("histogram"))
        if isinstance(bins, list):
            return [
                _bin(item) for item in bins if isinstance(item, Mapping) and is_number(item.get("rows", item.get("n")))
            ]
    return []


def _bin(item: Mapping[str, Any]) -> tuple[float, float, int]:
    return (
        float(item.get("from", item.get("low", 0))),
        float(item.get("to", item.get("high", 0))),
        int(item.get("rows", item.get("n", 0))),
    )


def _lengths(view: View) -> Markup | None:
    name, split = _main(view)
    title = view.t("Length of texts in the {split} split", split=view.words.split(name))
    return bars.histogram(title, length_bins(split), view.t("characters"), view.t("rows"))


def _quantiles(view: View) -> Markup | None:
    """Lengths of each split as boxes, where the profile has quantiles and no histogram."""
    rows = []
    for name, split in splits(view):
        lengths = split.profile.get("text_length")
        found = lengths.get("quantiles") if isinstance(lengths, Mapping) else None
        values = [found.get(share) for share in QUANTILES] if isinstance(found, Mapping) else []
        known = [float(value) for value in values if is_number(value)]
        if len(known) == len(QUANTILES):
            text = view.t("median {middle}, 95 % up to {high}", middle=count(known[2]), high=count(known[4]))
            rows.append(bars.Box(view.words.split(name), text, *known))
    note = view.t("Thick: the middle half of the texts; thin: nine in ten.")
    return bars.boxes(view.t("Length of texts in characters"), rows, note=note)


def _scripts(view: View) -> Markup | None:
    name, split = _main(view)
    found = split.profile.get("scripts")
    shares = found.items() if isinstance(found, Mapping) else ()
    rows = [(str(script), float(share), f"{100 * share:.1f} %") for script, share in shares if is_number(share)]
    title = view.t("Scripts of the texts in the {split} split", split=view.words.split(name))
    return bars.shares(title, rows[:MAX_BARS]) if len(rows) > 1 else None


def claims(view: View) -> list[Evidence]:
    """Standing evidence of the family `data.`, about whatever artifact."""
    return [item for item in view.record.evidence if item.claim.startswith("data.") and not item.withdrawn]


def _claims(view: View) -> Markup | None:
    rows = []
    for item in claims(view):
        part = ", ".join(f"{name} = {clip(value, 60)}" for name, value in item.slice.items())
        where = " · ".join(
            text for text in (item.subject_step, view.words.split(item.split) if item.split else "", part) if text
        )
        rows.append(
            [view.claim_name(item.claim), view.figure(item), view.uncertainty(item), count(item.n), where or DASH]
        )
    heads = [view.t("Measured of the data"), "#" + view.t("Value"), view.t("95 % interval"), "#n", view.t("Where")]
    return table(heads, rows)


def _columns(view: View) -> Markup | None:
    rows = [
        [label(column.name), column.role or DASH, el("code", column.type or DASH)]
        for column in view.record.data.columns
    ]
    return el("div", el("h3", view.t("Columns")), table([view.t("Column"), view.t("Role"), view.t("Type")], rows))
