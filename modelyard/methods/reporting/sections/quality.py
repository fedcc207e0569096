"""Quality on test rows: every metric with its interval, the baselines beside it, and the diagrams."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.methods.reporting import quality_report
from modelyard.methods.reporting.charts import bars, lines, matrix
from modelyard.methods.reporting.markup import Markup, el, isolated
from modelyard.methods.reporting.quality_report import Estimate, Points, Quality
from modelyard.methods.reporting.record import Evidence
from modelyard.methods.reporting.view import Section, View, section, table
from modelyard.methods.reporting.words import count

KEYS = ("confusion", "per_class", "baselines", "reliability")
COMPARED = ("accuracy", "f1_macro")


def report_of(view: View) -> Quality:
    """The quality report about this model; an empty one if there is none."""
    found = view.report(*KEYS)
    return quality_report.read(found[1]) if found else Quality()


def quality(view: View) -> Section | None:
    """Metrics, baselines, confusion, ROC, precision–recall, reliability."""
    report = report_of(view)
    items = view.measured("quality.")
    rows = max((item.n for item in items), default=report.n or 0)
    lead = view.t("Measured on {rows} test rows, through the same code that serves the model.", rows=count(rows))
    metrics = el("div", _metrics(view, items), _baselines(view, report, items), class_="columns")
    diagrams = [_confusion(view, report), _reliability(view, report), _roc(view, report), _pr(view, report)]
    shown = [one for one in diagrams if one]
    grid = el("div", *shown, class_="charts") if shown else None
    if not items and not grid:
        return None
    return section("quality", view.t("Quality"), metrics, grid, lead=lead if items else None)


def _metrics(view: View, items: Sequence[Evidence]) -> Markup | None:
    rows = []
    for item in items:
        top = 1.0 if item.value is None or item.value <= 1 else 1.4 * item.value
        bar = el("span", view.spark(item, (0.0, top)), el("small", view.uncertainty(item)), class_="cell")
        rows.append([view.claim_name(item.claim), view.figure(item), bar, count(item.n)])
    return table([view.t("Metric"), "#" + view.t("Value"), view.t("95 % interval"), "#n"], rows)


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
    rows = [
        bars.Whisker(
            view.t("This model"),
            model.value or 0.0,
            model.low,
            model.high,
            view.words.value(model.value, "", claim),
            True,
        )
    ]
    for name, one in others.items():
        rows.append(
            bars.Whisker(
                baseline_name(view, name), one.value, one.low, one.high, view.words.value(one.value, "", claim)
            )
        )
    title = view.t("{metric} beside baselines", metric=view.words.title(claim))
    return bars.whiskers(title, rows, _domain(rows), note=earns(view, claim, model, others), data_baselines=metric)


def _domain(rows: Sequence[bars.Whisker]) -> tuple[float, float]:
    lowest = min(row.value if row.low is None else row.low for row in rows)
    highest = max(row.value if row.high is None else row.high for row in rows)
    return (max(0.0, lowest - 0.08), min(1.0, highest + 0.08))


def baseline_name(view: View, name: str) -> str:
    """A baseline's name for people."""
    known = {
        "majority": view.t("Always the commonest class"),
        "linear": view.t("TF-IDF + linear"),
        "tfidf_linear": view.t("TF-IDF + linear"),
    }
    return known.get(name, name.replace("_", " "))


def strongest(others: dict[str, Estimate]) -> tuple[str, Estimate]:
    """The baseline with the highest value."""
    return max(others.items(), key=lambda pair: pair[1].value)


def earns(view: View, claim: str, model: Evidence, others: dict[str, Estimate]) -> str:
    """Whether the model is better than the strongest baseline, as far as the intervals tell."""
    name, best = strongest(others)
    shown = baseline_name(view, name)
    if None in (model.low, model.high, best.low, best.high):
        return view.t("Without intervals nobody can say whether the difference to “{name}” is real.", name=shown)
    if model.low is not None and best.high is not None and model.low > best.high:
        return view.t("The model's interval lies wholly above “{name}”: it earns its cost.", name=shown)
    if model.high is not None and best.low is not None and model.high < best.low:
        return view.t("“{name}” is better, and cheaper: this model does not earn its cost.", name=shown)
    return view.t(
        "The intervals of the model and of “{name}” overlap; by themselves they do not show a difference.", name=shown
    )


def _confusion(view: View, report: Quality) -> Markup | None:
    title = view.t("Confusion matrix")
    note = view.t("Shade: share of the true class.")
    return matrix.confusion(
        title, report.confusion, report.labels, view.t("true"), view.t("predicted"), note=note, data_chart="confusion"
    )


def _reliability(view: View, report: Quality) -> Markup | None:
    ece = view.find("quality.ece")
    note = [view.t("On the dashed line, a score of 0.8 is right eight times in ten. Bars: rows in the bin.")]
    if ece:
        note += [" ", view.words.title(ece.claim), ": ", view.figure(ece), " (", view.uncertainty(ece), ")"]
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
