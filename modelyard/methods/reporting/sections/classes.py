"""Quality class by class: who is served worse, and of whom too few rows were seen to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelyard.methods.reporting.charts.bars import interval
from modelyard.methods.reporting.markup import Markup, el, join
from modelyard.methods.reporting.quality_report import Estimate, Quality
from modelyard.methods.reporting.record import Evidence
from modelyard.methods.reporting.view import FEW_ROWS, Section, View, fold, label, section, table
from modelyard.methods.reporting.words import DASH, count

OPEN_ROWS = 12
"""More classes than this: the weakest are shown, the rest folded."""

MAX_PAIRS = 10
METRICS = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Row:
    """A class: its test rows, and by metric the evidence, or where there is none what the quality report says."""

    label: str
    n: int
    cells: Mapping[str, Evidence | Estimate]

    @property
    def rank(self) -> float:
        """F1, by which the weakest come first; classes without one last."""
        cell = self.cells.get("f1")
        return cell.value if cell and cell.value is not None else 2.0


def classes(view: View) -> Section | None:
    """Precision, recall and F1 of each class, weakest first; the commonest confusions."""
    report = view.quality
    rows = sorted(rows_of(view), key=lambda row: row.rank)
    first, rest = rows[:OPEN_ROWS], rows[OPEN_ROWS:]
    more = fold(view.t("More classes ({num})", num=len(rest)), _table(view, rest)) if rest else None
    pairs = _pairs(view, report) if len(report.labels) > 2 else None
    lead = view.t(
        "Weakest first. Classes with fewer than {num} test rows are marked: their figures say little.", num=FEW_ROWS
    )
    return section("classes", view.t("Class by class"), _table(view, first), more, pairs, lead=lead)


def rows_of(view: View) -> list[Row]:
    """Every class that was measured, in the order of the report, then of the evidence."""
    rows: dict[str, dict[str, Evidence | Estimate]] = {}
    support: dict[str, int] = {}
    for one in view.quality.classes:
        found = {"precision": one.precision, "recall": one.recall, "f1": one.f1}
        rows[one.label] = {name: cell for name, cell in found.items() if cell}
        support[one.label] = one.n
    for item in view.standing():
        name = item.claim.removeprefix("quality.")
        if name in METRICS and set(item.slice) == {"class"} and item.split == "test":
            rows.setdefault(item.slice["class"], {})[name] = item
            if name == "recall":
                support.setdefault(item.slice["class"], item.n)
    return [Row(name, support.get(name, 0), cells) for name, cells in rows.items()]


def _table(view: View, rows: Sequence[Row]) -> Markup | None:
    heads = [view.t("Class"), "#" + view.t("Test rows"), view.t("Precision"), view.t("Recall"), view.t("F1")]
    return table(heads, [_row(view, row) for row in rows], class_="classes")


def _row(view: View, row: Row) -> list[Markup | str]:
    few = el("span", view.t("few"), class_="few") if row.n < FEW_ROWS else None
    cells = [_cell(view, row.cells.get(name), f"quality.{name}") for name in METRICS]
    return [label(row.label), join(few, " ", count(row.n)), *cells]


def _cell(view: View, one: Evidence | Estimate | None, claim: str) -> Markup | str:
    if one is None:
        return DASH
    ends = view.words.interval(one.low, one.high, "", claim)
    text = (
        view.figure(one) if isinstance(one, Evidence) else el("b", view.words.value(one.value, "", claim), title=ends)
    )
    bar = interval(one.value, one.low, one.high, (0.0, 1.0), ends, width=96)
    return el("span", text, bar, class_="cell row")


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
