"""What a page draws of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelyard.methods.evaluation.blocks import Bar, Bars, Block, Figures, Phrase, Table, Text
from modelyard.methods.evaluation.comparing.finding import Finding, Search
from modelyard.methods.evaluation.comparing.grouping import told
from modelyard.methods.evaluation.comparing.scoring import Scored
from modelyard.methods.evaluation.comparing.testing import Difference

LISTED = 20
FLIPS = 1_000


def blocks(scored: Sequence[Scored], differences: Sequence[Difference], search: Search) -> list[Block]:
    """Differences, tests, flips, groups that got worse and better, cost."""
    named = tuple(f"comparison.{one.measure.name}" for one in scored)
    gains = tuple(f"{name}_gain" for name in named)
    found: list[Block] = [
        Text(
            "Both models answered the same rows. A gain is what the model has over the other; its interval is paired."
        ),
        Text(verdict(differences[0])),
        Figures("Quality of both, and the gain", (*gains, *named), slices=False),
        _tests(scored, differences),
        Figures("Rows that changed sides", ("comparison.lost", "comparison.won"), slices=False),
        _sides(scored[0]) if scored[0].measure.binary else Text("Scores are numbers: no row is right or wrong."),
        Text(
            Phrase(
                "{count} groups of rows were tested. Of those listed at most 5 % are chance in the mean "
                "(Benjamini and Hochberg); their intervals are widened for having been picked.",
                {"count": search.num_tested},
            )
        ),
    ]
    found += _groups(
        "Groups in which the model is worse", "No group was found in which the model is worse.", search.regressions
    )
    found += _groups(
        "Groups in which the model is better", "No group was found in which the model is better.", search.gains
    )
    if search.findings:
        found.append(Figures("Gain by group", (gains[0],)))
    cost = ("comparison.bytes", "comparison.price_per_1000", "comparison.p50_ms", "comparison.latency_ratio")
    found.append(Figures("Cost", cost))
    return found


def _tests(scored: Sequence[Scored], differences: Sequence[Difference]) -> Table:
    rows = tuple(
        (one.measure.name, test.name, float(f"{test.p:.4g}"), test.n)
        for one, difference in zip(scored, differences, strict=True)
        for test in difference.tests
    )
    return Table("Tests of no difference", ("metric", "statistical test", "p", "rows that differ"), rows)


def _sides(scored: Scored) -> Table:
    right, other = scored.model > 0.5, scored.against > 0.5
    rows = (
        ("right", int((other & right).sum()), int((other & ~right).sum())),
        ("wrong", int((~other & right).sum()), int((~other & ~right).sum())),
    )
    return Table("Rows by who was right", ("the other model", "model right", "model wrong"), rows)


def _groups(title: str, none: str, findings: Sequence[Finding]) -> list[Block]:
    if not findings:
        return [Text(none)]
    rows = tuple(
        (told(one.part), one.n, _short(one.against), _short(one.model), _short(one.gain), _short(one.adjusted))
        for one in findings[:LISTED]
    )
    table = Table(title, ("group", "n", "other", "model", "gain", "adjusted p"), rows)
    bars = tuple(Bar(told(one.part), one.gain, *(one.interval or (None, None))) for one in findings[:LISTED])
    return [table, Bars(title, bars)]


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def verdict(difference: Difference) -> str:
    """Whether the model is better, if the rows can tell."""
    low, high = difference.interval or (0.0, 0.0)
    if low > 0:
        return "The model is better: the whole interval of its gain is above zero. What both cost stands below."
    if high < 0:
        return "The model is worse: the whole interval of its gain is below zero. What both cost stands below."
    return (
        "Which of the two is better is not decided: the interval of the gain holds zero. What both cost stands below."
    )


def flips(scored: Scored, row_ids: Sequence[str]) -> dict[str, list[str]]:
    """The first ids of rows that changed sides."""
    if not scored.measure.binary:
        return {}
    sides = {"lost": scored.gain < 0, "won": scored.gain > 0}
    return {name: [row_ids[place] for place in np.flatnonzero(rows)[:FLIPS].tolist()] for name, rows in sides.items()}


def data(search: Search, flips: Any) -> dict[str, Any]:
    """For programs: every finding, and the row ids that changed sides."""
    return {
        "num_tested": search.num_tested,
        "findings": [
            {**vars(one), "interval": list(one.interval) if one.interval else None} for one in search.findings
        ],
        "flips": flips,
    }
