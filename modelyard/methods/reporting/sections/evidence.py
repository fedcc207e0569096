"""The appendix: every measurement in the record, withdrawn ones and those about other artifacts included."""

from __future__ import annotations

from modelyard.methods.reporting.markup import Markup, clip, el, join
from modelyard.methods.reporting.record import Evidence
from modelyard.methods.reporting.view import Section, View, digest_code, fold, section, table
from modelyard.methods.reporting.words import DASH, count

MAX_ROWS = 400
"""More rows would weigh more than they tell; the JSON holds all."""


def evidence(view: View) -> Section | None:
    """All evidence in one folded table."""
    items = view.record.evidence
    if not items:
        return None
    heads = [
        view.t("Claim"),
        "#" + view.t("Value"),
        view.t("95 % interval"),
        "#n",
        view.t("About"),
        view.t("Measured on"),
        view.t("Part"),
        view.t("Standing"),
    ]
    shown = [_row(view, item) for item in items[:MAX_ROWS]]
    title = view.t("Measurements ({num})", num=count(len(items)))
    left = len(items) - len(shown)
    more = el("p", view.t("{num} more are in the JSON.", num=count(left)), class_="note") if left else None
    lead = view.t("Every measurement in the record, also those about other artifacts.")
    return section("evidence", view.t("All evidence"), fold(title, table(heads, shown), more), lead=lead)


def _row(view: View, item: Evidence) -> list[Markup | str]:
    about = join(item.subject_step, " ", digest_code(item.subject))
    where = join(view.words.split(item.split), " ", digest_code(item.dataset) if item.dataset else "")
    part = ", ".join(f"{name} = {clip(value, 60)}" for name, value in sorted(item.slice.items()))
    standing = view.t("withdrawn: {reason}", reason=item.withdrawn) if item.withdrawn else view.t("stands")
    return [
        el("code", item.claim),
        view.figure(item),
        view.uncertainty(item),
        count(item.n),
        about,
        where if item.split or item.dataset else DASH,
        part or DASH,
        standing,
    ]
