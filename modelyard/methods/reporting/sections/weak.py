"""Whom the model fails: classes it hardly finds, and classes and groups that its sets and intervals leave out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modelyard.methods.reporting.markup import Markup, Node, join
from modelyard.methods.reporting.record import Evidence
from modelyard.methods.reporting.sections.classes import rows_of
from modelyard.methods.reporting.view import View, label

MAX_NAMED = 6
MISSED = 0.5
"""Below this share more rows of a class are missed than found."""
COVERAGE = "uncertainty.coverage"
SIZES = ("labels", "width")
"""Slices by how large the answer is: no rows that anyone belongs to."""


@dataclass(frozen=True)
class Weak:
    """A class or group, the share that it gets, and of how many rows.

    Attributes:
        column: the group's; empty for a class.
    """

    name: str
    value: float
    n: int
    column: str = ""


def never(view: View) -> list[Weak]:
    """Classes with test rows that no test row was answered with."""
    report = view.quality
    given = [sum(column) for column in zip(*report.confusion, strict=False)]
    absent = {name for name, count in zip(report.labels, given, strict=False) if not count}
    return [Weak(row.label, 0.0, row.n) for row in rows_of(view) if row.n and row.label in absent]


def missed(view: View) -> list[Weak]:
    """Classes of whose rows most are missed beyond chance, the worst first; those never answered left to `never`."""
    known = {one.name for one in never(view)}
    found = []
    for row in rows_of(view):
        recall = row.cells.get("recall")
        if recall is None or recall.value is None or row.label in known or not row.n:
            continue
        if recall.value == 0 or (recall.high is not None and recall.high < MISSED):
            found.append(Weak(row.label, recall.value, row.n))
    return sorted(found, key=lambda one: one.value)


def goal(view: View) -> float | None:
    """The share of rows that the model's sets or intervals promise to hold the truth of."""
    steps = view.record.model.card.get("postprocessing") if view.record.model else None
    for step in reversed(steps if isinstance(steps, list) else []):
        error = step.get("error") if isinstance(step, dict) else None
        if isinstance(error, int | float) and str(step.get("kind", "")).startswith("conformal_"):
            return 1 - float(error)
    return None


def uncovered(view: View) -> list[Weak]:
    """Classes and groups whose whole coverage interval lies below the goal, the worst first."""
    promised = goal(view)
    if promised is None:
        return []
    parts: dict[tuple[str, str], Evidence] = {}
    for item in view.standing():
        if item.claim == COVERAGE and len(item.slice) == 1 and item.split == "test":
            (part,) = item.slice.items()
            parts[part] = view.worse(parts[part], item) if part in parts else item
    found = [
        Weak(name, item.value, item.n, "" if column == "class" else column)
        for (column, name), item in parts.items()
        if column not in SIZES and item.value is not None and item.high is not None and item.high < promised
    ]
    return sorted(found, key=lambda one: one.value)


def limits(view: View) -> Iterator[Node]:
    """What of this belongs among the limits."""
    if none := never(view):
        text = view.t("Classes that the model never answers with, though test rows have them:")
        yield join(text, " ", _named(view, none, shares=False))
    if few := missed(view):
        text = view.t("Classes of which the model misses most rows (share found):")
        yield join(text, " ", _named(view, few))
    short, promised = uncovered(view), goal(view)
    if short and promised is not None:
        text = view.t(
            "The sets or intervals hold the truth less often than the {goal} % they promise, for these classes or "
            "groups:",
            goal=f"{100 * promised:.3g}",
        )
        yield join(text, " ", _named(view, short))


def beside_coverage(view: View, item: Evidence) -> Markup | None:
    """What stands below the figure of all rows where parts fall short of the goal."""
    short = uncovered(view) if item.claim == COVERAGE else []
    if not short:
        return None
    return join(view.t("not for every class and group:"), " ", _named(view, short[:2], left=len(short) - 2))


def _named(view: View, items: list[Weak], shares: bool = True, left: int | None = None) -> Markup:
    shown: list[Node] = []
    for one in items[:MAX_NAMED]:
        share = f" {100 * one.value:.1f} %" if shares else ""
        column = [label(one.column, 40), " = "] if one.column else []
        shown += ["; " if shown else "", *column, label(one.name, 40), share, f" ({view.words.n(one.n)})"]
    more = len(items) - MAX_NAMED if left is None else left
    return join(*shown, " ", view.t("and {num} more", num=more) if more > 0 else "")
