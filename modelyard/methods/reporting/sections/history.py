"""The project over its releases: what was measured on the same test rows, one curve a claim and task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from modelyard.methods.reporting.charts import lines
from modelyard.methods.reporting.markup import Markup, clip, el
from modelyard.methods.reporting.record import Version
from modelyard.methods.reporting.view import Section, View, section

MAX_CHARTS = 6
FIRST = ("accuracy", "f1", "rmse", "perplexity", "ndcg", "worst", "gap", "ece", "p95")
"""Figures a history is looked at for come before others."""


def history(view: View) -> Section | None:
    """Curves with the band of their 95 % intervals; nothing with fewer than two versions on the same rows."""
    datasets = {item.dataset for item in view.standing() if item.split == "test"}
    by_claim: dict[tuple[str, str], list[Version]] = defaultdict(list)
    for one in view.record.history:
        if one.dataset in datasets and one.value is not None:
            by_claim[one.claim, one.task].append(one)
    several = {key: found for key, found in by_claim.items() if len({one.version for one in found}) > 1}
    chosen = sorted(several, key=lambda key: (_rank(view, key[0]), key))[:MAX_CHARTS]
    charts = [_chart(view, several[key]) for key in chosen]
    shown = [chart for chart in charts if chart]
    lead = view.t("By version, each measured on the test rows of this one; the band is the 95 % interval.")
    left = len(several) - len(chosen)
    more = view.t("{num} more: `modelyard show history {name}`.", num=left, name=view.record.project) if left else None
    return section("history", view.t("Over the releases"), el("div", *shown, class_="charts") if shown else None,
                   el("p", more, class_="note") if shown and more else None, lead=lead)  # fmt: skip


def _rank(view: View, claim: str) -> int:
    """Claims of the rules first, then those most looked at."""
    ruled = {finding.rule.split()[0] for finding in view.record.decision.findings} if view.record.decision else set()
    place = next((place for place, word in enumerate(FIRST) if word in claim), len(FIRST))
    return -1 if claim in ruled else place


def _chart(view: View, found: Sequence[Version]) -> Markup | None:
    """Of one claim and task."""
    ordered = sorted(found, key=lambda one: one.version)
    claim, task = ordered[0].claim, ordered[0].task
    points = [(float(one.version), one.value) for one in ordered if one.value is not None]
    band = [(float(one.version), one.low, one.high) for one in ordered if one.low is not None and one.high is not None]
    named = view.words.title(claim, view.claim(claim))
    title = f"{clip(task, 60)}: {named}" if task else named
    return lines.line_chart(title, [lines.Series(title, points, band)], view.t("version"), ordered[-1].unit or claim)
