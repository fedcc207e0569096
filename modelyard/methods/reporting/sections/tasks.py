"""What a task shows beside its metrics: residuals of numbers, spans by type, ranking by cut-off, written samples."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.methods.reporting import task_report
from modelyard.methods.reporting.charts.scatter import scatter
from modelyard.methods.reporting.markup import Markup, Node, el, isolated
from modelyard.methods.reporting.record import Evidence
from modelyard.methods.reporting.task_report import TaskReport
from modelyard.methods.reporting.view import View, fold, table
from modelyard.methods.reporting.words import DASH, count

CHARACTERS = 200
ROWS = 20
SPANS = ("span_precision", "span_recall", "span_f1")


def diagrams(view: View) -> list[Markup]:
    """Answers beside targets, and residuals over answers."""
    report = _report(view)
    if report is None or not report.points:
        return []
    target, answer = view.t("true value"), view.t("answer")
    beside = scatter(view.t("Answers beside true values"), report.points, target, answer, diagonal=True,
                     note=view.t("On the dashed line answers are right."), data_chart="answers")  # fmt: skip
    left = [(said, true - said) for true, said in report.points]
    note = view.t("Bars: mean of a tenth of the rows with its interval; off the dashed line the model is off one way.")
    over = scatter(view.t("What is left: true value less answer"), left, answer, view.t("residual"),
                   bands=report.bands, note=note, data_chart="residuals")  # fmt: skip
    return [one for one in (beside, over) if one]


def tables(view: View) -> list[Markup]:
    """Tables of evidence by cut-off, type and quantile; rows that were quoted."""
    report = _report(view)
    found = [_by(view, "k", view.t("By cut-off"), "k"), _spans(view),
             _by(view, "quantile", view.t("Quantile loss"), view.t("quantile"))]  # fmt: skip
    if report is not None:
        found += [_largest(view, report), _span_mistakes(view, report), _samples(view, report)]
    return [one for one in found if one]


def _report(view: View) -> TaskReport | None:
    found = view.report(*task_report.KEYS)
    return task_report.read(found[1]) if found else None


def _sliced(view: View, key: str) -> list[Evidence]:
    chosen = {}
    for item in view.standing():
        if item.claim.startswith("quality.") and set(item.slice) == {key} and item.split == "test":
            chosen[(item.claim, item.slice[key])] = item
    return [item for item in chosen.values() if item.claim != "quality.top_k_accuracy"]


def _by(view: View, key: str, title: str, head: str) -> Markup | None:
    rows: list[list[Node]] = [
        [view.claim_name(item.claim), item.slice[key], view.figure(item), view.uncertainty(item), count(item.n)]
        for item in _sliced(view, key)
    ]
    heads = [view.t("Metric"), "#" + head, "#" + view.t("Value"), view.t("95 % interval"), "#n"]
    shown = table(heads, rows)
    return el("div", el("h3", title), shown) if shown else None


def _spans(view: View) -> Markup | None:
    """Precision, recall and F1 of each type, weakest first."""
    items = {(item.claim.removeprefix("quality."), item.slice["type"]): item for item in _sliced(view, "type")}
    types = {name for _, name in items}

    def rank(name: str) -> tuple[float, str]:
        f1 = items.get(("span_f1", name))
        return (f1.value if f1 and f1.value is not None else 2.0, name)

    rows: list[list[Node]] = []
    for name in sorted(types, key=rank):
        cells = [items.get((metric, name)) for metric in SPANS]
        recall = items.get(("span_recall", name))
        rows.append([isolated(name, 60), count(recall.n) if recall else DASH, *(_cell(view, one) for one in cells)])
    heads = [view.t("Type"), "#" + view.t("Test spans"), view.t("Precision"), view.t("Recall"), view.t("F1")]
    shown = table(heads, rows)
    return el("div", el("h3", view.t("Type by type")), shown) if shown else None


def _cell(view: View, item: Evidence | None) -> Node:
    if item is None:
        return DASH
    return el("span", view.figure(item), " ", el("small", view.uncertainty(item)), class_="cell")


def _largest(view: View, report: TaskReport) -> Markup | None:
    rows: list[list[Node]] = [
        [isolated(text or row_id, CHARACTERS), f"{true:.6g}", f"{said:.6g}", f"{true - said:+.4g}"]
        for row_id, text, true, said in report.largest[:ROWS]
    ]
    heads = [view.t("Row"), "#" + view.t("True value"), "#" + view.t("Answer"), "#" + view.t("Residual")]
    return _folded(view.t("Largest errors ({num})", num=len(rows)), heads, rows)


def _span_mistakes(view: View, report: TaskReport) -> Markup | None:
    rows: list[list[Node]] = [
        [isolated(text or row_id, CHARACTERS), isolated("; ".join(missed), CHARACTERS),
         isolated("; ".join(wrong), CHARACTERS)]
        for row_id, text, missed, wrong in report.span_mistakes[:ROWS]
    ]  # fmt: skip
    heads = [view.t("Text"), view.t("Missed"), view.t("Found wrongly")]
    return _folded(view.t("Texts with the most mistakes ({num})", num=len(rows)), heads, rows)


def _samples(view: View, report: TaskReport) -> Markup | None:
    rows: list[list[Node]] = [
        [isolated(text or row_id, CHARACTERS), isolated(wanted, CHARACTERS), isolated(said, CHARACTERS)]
        for row_id, text, wanted, said in report.samples[:ROWS]
    ]
    heads = [view.t("Asked"), view.t("Wanted"), view.t("Written")]
    return _folded(view.t("Samples ({num})", num=len(rows)), heads, rows)


def _folded(title: str, heads: Sequence[Node], rows: Sequence[Sequence[Node]]) -> Markup | None:
    shown = table(heads, rows)
    return fold(title, shown) if shown else None
