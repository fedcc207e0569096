"""The gate: each rule, what was measured for it, and whether its bad end is within the bound."""

from __future__ import annotations

import re

from modelyard.methods.reporting.charts.bars import interval
from modelyard.methods.reporting.markup import Markup, el
from modelyard.methods.reporting.record import Finding
from modelyard.methods.reporting.view import Section, View, section, table
from modelyard.methods.reporting.words import DASH, count

_BOUND = re.compile(r"(>=|<=)\s*(-?[\d.]+(?:e[+-]?\d+)?)\s*$")


def gate(view: View) -> Section | None:
    """The decision's findings, failed ones first."""
    decision = view.record.decision
    if not decision:
        return None
    if not decision.findings:
        text = view.t("The project sets no rules. Add some under `release: rules:` to have the gate decide.")
        return section("gate", view.t("Rules"), el("p", text))
    ordered = sorted(decision.findings, key=lambda finding: finding.passed)
    heads = [
        view.t("Result"),
        view.t("Rule"),
        "#" + view.t("Measured"),
        view.t("95 % interval and bound"),
        "#n",
        view.t("Reason"),
    ]
    lead = view.t("A rule compares the bad end of the interval with its bound, so luck on a small test does not pass.")
    return section(
        "gate", view.t("Rules"), table(heads, [_row(view, finding) for finding in ordered], class_="gate"), lead=lead
    )


def bound_of(rule: str) -> float | None:
    """The number a rule's text ends in."""
    match = _BOUND.search(rule)
    return float(match.group(2)) if match else None


def _row(view: View, finding: Finding) -> list[Markup | str | None]:
    passed = finding.passed
    mark = el("span", view.t("passed") if passed else view.t("failed"), class_="ok" if passed else "bad")
    claim = finding.rule.split(" ", 1)[0]
    unit = view.claim(claim).unit
    value = view.words.value(finding.value, unit, claim)
    ends = view.words.interval(finding.low, finding.high, unit, claim)
    return [
        mark,
        el("code", finding.rule),
        value,
        _bar(finding, ends),
        _n(finding),
        finding.reason.removeprefix(f"{finding.rule}: "),
    ]


def _n(finding: Finding) -> str:
    return count(finding.n) if finding.n is not None else DASH


def _bar(finding: Finding, ends: str) -> Markup:
    bound = bound_of(finding.rule)
    if finding.value is None or finding.low is None or finding.high is None:
        return el("span", DASH)
    if finding.low == finding.high:
        return el("span", "=", class_="quiet")
    numbers = [finding.low, finding.high, *([bound] if bound is not None else [])]
    air = 0.25 * (max(numbers) - min(numbers)) or 1.0
    domain = (min(numbers) - air, max(numbers) + air)
    bar = interval(finding.value, finding.low, finding.high, domain, f"{finding.rule}: {ends}", bound)
    return el("span", bar, el("small", ends), class_="cell")
