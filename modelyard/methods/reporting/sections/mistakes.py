"""Where the model was most sure and wrong: what a reader should look at first."""

from __future__ import annotations

from modelyard.methods.reporting.markup import Markup, el, isolated, join
from modelyard.methods.reporting.quality_report import Mistake
from modelyard.methods.reporting.view import Section, View, fold, label, section

OPEN = 6
MOST = 30
MAX_CHARACTERS = 320


def mistakes(view: View) -> Section | None:
    """The most confident wrong answers."""
    rows = sorted(view.quality.mistakes, key=lambda row: -(row.confidence or 0.0))[:MOST]
    first = [_card(view, row) for row in rows[:OPEN]]
    rest = [_card(view, row) for row in rows[OPEN:]]
    shown = el("div", *first, class_="mistakes") if first else None
    more = fold(view.t("More ({num})", num=len(rest)), el("div", *rest, class_="mistakes")) if rest else None
    lead = view.t(
        "Test rows answered wrongly with the highest scores: hard cases, or wrong labels. They quote the data as it is."
    )
    return section("mistakes", view.t("Confident mistakes"), shown, more, lead=lead)


def _card(view: View, row: Mistake) -> Markup:
    answer = join(label(row.predicted, 40), f" {100 * row.confidence:.1f} %" if row.confidence is not None else "")
    return el(
        "article",
        el("p", isolated(row.text, MAX_CHARACTERS), class_="quote"),
        el(
            "p",
            view.t("true label"),
            " ",
            el("b", label(row.label, 40)),
            " · ",
            view.t("predicted"),
            " ",
            el("b", answer),
        ),
        class_="mistake",
    )
