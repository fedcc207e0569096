"""Quality on test rows: every metric with its interval, the baselines beside it, and the diagrams."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.methods.reporting.charts import bars, lines, matrix
from modelyard.methods.reporting.markup import Markup, Node, el, isolated
from modelyard.methods.reporting.quality_report import Estimate, Points, Quality
from modelyard.methods.reporting.record import Evidence
from modelyard.methods.reporting.sections import tasks
from modelyard.methods.reporting.view import Section, View, fold, proof, section, table
from modelyard.methods.reporting.words import DASH, count, is_gain

MAIN = (
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "mcc",
    "roc_auc",
    "pr_auc",
    "log_loss",
    "brier",
    "ece",
    "gain_over_linear",
    "rmse",
    "mae",
    "r2",
    "skill_over_linear",
    "subset_accuracy",
    "span_f1",
    "exact_match",
    "perplexity_token",
)
AVERAGES = ("_macro", "_micro", "_weighted")
TOP_K = "quality.top_k_accuracy"
COMPARED = ("accuracy", "f1_macro", "rmse")
LOWER = ("rmse",)


def quality(view: View) -> Section | None:
    """Metrics, baselines, confusion, ROC, precision–recall, reliability."""
    report = view.quality
    items = view.measured("quality.")
    rows = max((item.n for item in items), default=report.n or 0)
    lead = view.t("Measured on {rows} test rows, through the same code that serves the model.", rows=count(rows))
    metrics = el("div", _metrics(view, items), _baselines(view, report, items), class_="columns") if items else None
    diagrams = [_confusion(view, report), _reliability(view, report), _roc(view, report), _pr(view, report)]
    shown = [one for one in [*diagrams, *tasks.diagrams(view)] if one]
    grid = el("div", *shown, class_="charts two") if shown else None
    parts = tasks.tables(view)
    if not items and not grid and not parts:
        return None
    shown_parts = [grid, *parts, _compression(view)]
    return section("quality", view.t("Quality"), metrics, *shown_parts, lead=lead if items else None)


def _metrics(view: View, items: Sequence[Evidence]) -> Markup | None:
    """The metrics that differ from each other first; the other averages folded."""
    there = {item.claim: item for item in items}
    first = [there[f"quality.{name}"] for name in MAIN if f"quality.{name}" in there]
    rest = [item for item in items if item not in first and item.claim.endswith(AVERAGES)]
    other = [item for item in items if item not in first and item not in rest]
    heads = [view.t("Metric"), "#" + view.t("Value"), view.t("95 % interval"), "#n"]
    ranked = [_top_k(view, item) for item in view.standing() if item.claim == TOP_K and item.split == "test"]
    shown = table(heads, [_metric(view, item) for item in [*first, *other]] + ranked)
    folded = table(heads, [_metric(view, item) for item in rest])
    more = fold(view.t("More averages ({num})", num=len(rest)), folded) if folded else None
    return el("div", shown, more, class_="above")


def _metric(view: View, item: Evidence) -> list[Node]:
    bar = el("span", view.spark(item, *_scale(item)), el("small", view.uncertainty(item)), class_="cell")
    return [view.claim_name(item.claim), view.figure(item), bar, count(item.n)]


def _compression(view: View) -> Markup | None:
    rows = []
    for item in view.measured("compress.", split=None):
        where = view.words.split(item.split) if item.split else DASH
        rows.append([view.claim_name(item.claim), view.figure(item), view.uncertainty(item), count(item.n), where])
    heads = [view.t("Claim"), "#" + view.t("Value"), view.t("95 % interval"), "#n", view.t("Measured on")]
    shown = table(heads, rows)
    return el("div", el("h3", view.t("Beside the model it was made from")), shown) if shown else None


def _scale(item: Evidence) -> tuple[tuple[float, float], float | None]:
    """The scale a metric is drawn on, and the line to cross: zero for a gain, which is drawn around it."""
    ends = [value for value in (item.value, item.low, item.high) if value is not None]
    if is_gain(item.claim, item.unit):
        reach = 1.3 * max((abs(value) for value in ends), default=0.0) or 1.0
        return (-reach, reach), 0.0
    top = max(ends, default=1.0)
    return (0.0, 1.0 if top <= 1 else 1.4 * top), None


def _top_k(view: View, item: Evidence) -> list[Node]:
    name = view.t("Right among the first {k}", k=item.slice.get("k", "?"))
    return [el("span", name, el("code", item.claim, class_="claim"), class_="claimed"), *_metric(view, item)[1:]]


def _baselines(view: View, report: Quality, items: Sequence[Evidence]) -> Markup | None:
    charts = []
    for metric in COMPARED:
        model = view.find(f"quality.{metric}")
        others = {name: metrics[metric] for name, metrics in report.baselines.items() if metric in metrics}
        if model and model.value is not None and others:
            charts.append(_compared(view, metric, model, others))
    if not charts:
        return None
    return el("div", *charts, class_="stack")


def _compared(view: View, metric: str, model: Evidence, others: dict[str, Estimate]) -> Markup | None:
    claim = f"quality.{metric}"
    rows = [_row(view, view.t("This model"), claim, model, strong=True)]
    for name, one in others.items():
        measured = baseline_evidence(view, name, metric)
        rows.append(_row(view, baseline_name(view, name), claim, measured or one))
    title = view.t("{metric} beside baselines", metric=view.words.title(claim))
    return bars.whiskers(title, rows, _domain(rows), note=earns(view, metric), data_baselines=metric)


def _row(view: View, name: str, claim: str, one: Evidence | Estimate, strong: bool = False) -> bars.Whisker:
    text = view.words.value(one.value, "", claim)
    shown = proof(one) if isinstance(one, Evidence) else {}
    return bars.Whisker(name, one.value or 0.0, one.low, one.high, text, strong, shown)


def baseline_evidence(view: View, name: str, metric: str) -> Evidence | None:
    """The evidence of a baseline's metric on the rows the model was tested on, or None."""
    claim, model = f"quality.baseline_{name}_{metric}", view.find(f"quality.{metric}")
    items = [
        item for item in view.record.evidence if item.claim == claim and not item.withdrawn and item.split == "test"
    ]
    return next((item for item in items if model and item.dataset == model.dataset), None)


def _domain(rows: Sequence[bars.Whisker]) -> tuple[float, float]:
    lowest = min(row.value if row.low is None else row.low for row in rows)
    highest = max(row.value if row.high is None else row.high for row in rows)
    if highest > 1:  # a quantity with a unit, not a share
        return (0.0, 1.1 * highest)
    return (max(0.0, lowest - 0.08), min(1.0, highest + 0.08))


def baseline_name(view: View, name: str) -> str:
    """A baseline's name for people."""
    known = {
        "majority": view.t("Always the commonest class"),
        "mean": view.t("Always the mean"),
        "linear": view.t("Linear model on columns") if _on_columns(view) else view.t("TF-IDF + linear"),
        "tfidf_linear": view.t("TF-IDF + linear"),
    }
    return known.get(name, name.replace("_", " "))


def _on_columns(view: View) -> bool:
    """Whether the linear baseline read columns of a table."""
    found = view.report("baselines")
    entries = found[1].get("baselines") if found else None
    return any(isinstance(one, dict) and one.get("units") == "columns" for one in entries or ())


def strongest(others: dict[str, Estimate], lower: bool = False) -> tuple[str, Estimate]:
    """The baseline with the highest value, or the lowest where less is better."""
    return (min if lower else max)(others.items(), key=lambda pair: pair[1].value)


def earns(view: View, metric: str) -> str:
    """Whether the model is better than the strongest baseline: by the paired gain if measured, else by intervals."""
    model = view.find(f"quality.{metric}")
    found = view.quality.baselines
    others = {name: metrics[metric] for name, metrics in found.items() if metric in metrics}
    if not model or not others:
        return ""
    name, best = strongest(others, metric in LOWER)
    paired = {"accuracy": f"quality.gain_over_{name}", "rmse": f"quality.skill_over_{name}"}
    gain = view.find(paired[metric]) if metric in paired else None
    low, high = (gain.low, gain.high) if gain else _apart(model, best)
    if not gain and metric in LOWER and low is not None and high is not None:
        low, high = -high, -low
    shown = baseline_name(view, name)
    if low is None or high is None:
        return view.t("Without intervals nobody can say whether the difference to “{name}” is real.", name=shown)
    if low > 0:
        return view.t("Better than “{name}” beyond chance: the model earns its cost.", name=shown)
    if high < 0:
        return view.t("“{name}” is better, and cheaper: this model does not earn its cost.", name=shown)
    return view.t("Not shown to be better than “{name}”: the difference could be chance.", name=shown)


def _apart(model: Evidence, best: Estimate) -> tuple[float | None, float | None]:
    """Ends of the difference that hold whatever the two share: wider than a paired interval."""
    if model.low is None or model.high is None or best.low is None or best.high is None:
        return None, None
    return model.low - best.high, model.high - best.low


def _confusion(view: View, report: Quality) -> Markup | None:
    title = view.t("Confusion matrix")
    note = view.t("Shade: share of the true class.")
    return matrix.confusion(
        title,
        report.confusion,
        report.labels,
        view.t("true label"),
        view.t("predicted"),
        note=note,
        data_chart="confusion",
    )


def _reliability(view: View, report: Quality) -> Markup | None:
    ece = view.find("quality.ece")
    note = [view.t("On the dashed line, a score of 0.8 is right eight times in ten. Bars: rows in the bin.")]
    if ece:
        note += [" ", view.words.title(ece.claim), ": ", view.figure(ece), " (", view.uncertainty(ece), ")."]
    if report.null_ece is not None:
        most = view.words.value(report.null_ece, "", "quality.ece")
        note += [" ", view.t("A calibrated model stays below {most} on so many rows.", most=most)]
    return lines.reliability(
        view.t("Are scores probabilities?"),
        report.bins,
        view.t("mean score of the answer"),
        view.t("share that was right"),
        view.t("rows"),
        note=note,
        data_chart="reliability",
    )


def _roc(view: View, report: Quality) -> Markup | None:
    series, note = _series(view, report.roc, report.areas.get("roc", {}))
    return lines.line_chart(
        view.t("ROC curve"),
        series,
        view.t("false positive rate"),
        view.t("true positive rate"),
        x=(0.0, 1.0),
        y=(0.0, 1.0),
        diagonal=True,
        note=note,
        data_chart="roc",
    )


def _pr(view: View, report: Quality) -> Markup | None:
    series, note = _series(view, report.pr, report.areas.get("pr", {}))
    return lines.line_chart(
        view.t("Precision–recall curve"),
        series,
        view.t("recall"),
        view.t("precision"),
        x=(0.0, 1.0),
        y=(0.0, 1.0),
        note=note,
        data_chart="pr",
    )


def _series(view: View, curves: dict[str, Points], areas: dict[str, float]) -> tuple[list[lines.Series], str | None]:
    """As many curves as the palette holds: averages first, then the classes with the smallest area."""
    averages = [name for name in ("macro", "micro") if name in curves]
    classes = sorted((name for name in curves if name not in averages), key=lambda name: areas.get(name, 2.0))
    names = (averages + classes)[: lines.MAX_SERIES]
    known = {"macro": view.t("macro average"), "micro": view.t("micro average")}
    series = []
    for name in names:
        area = f" · {areas[name]:.3f}" if name in areas else ""
        series.append(lines.Series(el("span", isolated(known.get(name, name), 28), area), curves[name]))
    left = len(curves) - len(names)
    note = view.t(
        "Area after the name. Averages and the classes with the smallest area; {num} more not drawn.", num=left
    )
    return series, note if left else (view.t("Area after the name.") if areas else None)
