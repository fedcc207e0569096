"""Quality class by class: who is served worse, and of whom too few rows were seen to say."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.methods.reporting.charts.bars import interval
from modelyard.methods.reporting.markup import Markup, el, join
from modelyard.methods.reporting.quality_report import ClassRow, Estimate, Quality
from modelyard.methods.reporting.sections.quality import report_of
from modelyard.methods.reporting.view import FEW_ROWS, Section, View, fold, label, section, table
from modelyard.methods.reporting.words import DASH, count

OPEN_ROWS = 12
"""More classes than this: the weakest are shown, the rest folded."""

MAX_PAIRS = 10


def classes(view: View) -> Section | None:
    """Precision, recall and F1 of each class, weakest first; the commonest confusions."""
    report = report_of(view)
    rows = sorted(report.classes, key=lambda row: row.f1.value if row.f1 else 2.0)
    first, rest = rows[:OPEN_ROWS], rows[OPEN_ROWS:]
    more = fold(view.t("{num} more classes", num=len(rest)), _table(view, rest)) if rest else None
    pairs = _pairs(view, report) if len(report.labels) > 2 else None
    lead = view.t(
        "Weakest first. Classes with fewer than {num} test rows are marked: their figures say little.", num=FEW_ROWS
    )
    return section("classes", view.t("Class by class"), _table(view, first), more, pairs, lead=lead)


def _table(view: View, rows: Sequence[ClassRow]) -> Markup | None:
    heads = [view.t("Class"), "#" + view.t("Test rows"), view.t("Precision"), view.t("Recall"), view.t("F1")]
    return table(heads, [_row(view, row) for row in rows], class_="classes")


def _row(view: View, row: ClassRow) -> list[Markup | str]:
    few = el("span", view.t("few"), class_="few") if row.n < FEW_ROWS else None
    cells = [
        _cell(view, one, name) for one, name in ((row.precision, "precision"), (row.recall, "recall"), (row.f1, "f1"))
    ]
    return [label(row.label), join(few, " ", count(row.n)), *cells]


def _cell(view: View, one: Estimate | None, name: str) -> Markup | str:
    if one is None:
        return DASH
    claim = f"quality.{name}"
    text = view.words.value(one.value, "", claim)
    ends = view.words.interval(one.low, one.high, "", claim)
    bar = interval(one.value, one.low, one.high, (0.0, 1.0), ends, width=96)
    return el("span", el("b", text, title=ends), bar, class_="cell row")


def _pairs(view: View, report: Quality) -> Markup | None:
    found = [
        (number, row, column)
        for row, counts in enumerate(report.confusion)
        for column, number in enumerate(counts)
        if row != column and number
    ]
    worst = sorted(found, reverse=True)[:MAX_PAIRS]
    rows = []
    for number, row, column in worst:
        total = sum(report.confusion[row])
        share = f"{100 * number / total:.1f} %"
        rows.append([label(report.labels[row]), label(report.labels[column]), count(number), share])
    heads = [view.t("True class"), view.t("Taken for"), "#" + view.t("Rows"), "#" + view.t("Share of the class")]
    shown = table(heads, rows)
    return el("div", el("h3", view.t("Commonest confusions")), shown) if shown else None
