"""Which columns carry the difference between groups' answers.

Values of a row add up to its answer less the base, so the difference between two groups' mean answers is the sum over
columns of the differences between their mean values (Lundberg 2020, "Explaining Quantitative Measures of Fairness"). A
column that the model does not read may still come in through others: those are what is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods.evaluation.blocks import Bar, Bars, Phrase
from modelyard.methods.evaluation.estimates import Estimate, Interval
from modelyard.methods.evaluation.explanation.cases import FEWEST
from modelyard.methods.evaluation.explanation.game import Floats
from modelyard.methods.evaluation.explanation.local import Explained
from modelyard.methods.evaluation.explanation.players import TablePlayers
from modelyard.methods.statistics.wilson import Z95

WHOLE = "all columns"
MOST_CLASSES = 5
"""Of more than two: whose answers are compared, the commonest among the explained rows."""
TOO_FEW = "no two groups have 5 rows each among the explained ones: set `rows` higher, or name another column"
NO_SHAP = "it is made of SHAP values: name `shap` or `tree_shap` in `methods`"
NOTE = "Difference of the mean values between the groups; all columns add up to that of the answers."
TOWARDS = (
    "Difference of the mean values between the groups, above 0 towards `{label}`; all columns add up to that of the "
    "answers."
)


@dataclass(frozen=True)
class Gap:
    """One column's part of the difference between a group's mean answer and that of all other rows.

    Attributes:
        label: whose probability is compared, where there are more than two; of two it is the second's.
        interval: 95 %, from both groups' variances (Welch).
        n: rows of the group and of the others.
    """

    column: str
    group: str
    value: float
    interval: Interval
    n: int
    label: str = ""


def gaps(found: Sequence[Explained], method: str, column: str, labels: Sequence[str]) -> list[Gap]:
    """For each group its columns, the largest first, and WHOLE; of two groups only the second. Empty if fewer than two
    groups have FEWEST rows. Of more than two classes for each of those answered most often.

    Args:
        column: whose values are the groups; any column of the data, read by the model or not.
        labels: of the model; empty for numbers.

    Raises:
        InputError: rows of no table, or no such column.
    """
    rows = [one for one in found if one.case.sampled and isinstance(one.case.players, TablePlayers)]
    _refuse(rows, column)
    groups = np.array([str(one.case.record[column]) for one in rows])
    there = [name for name in sorted(set(groups.tolist())) if FEWEST <= (groups == name).sum() <= len(rows) - FEWEST]
    names = rows[0].case.players.names
    return [
        replace(gap, label=label)
        for label, values in _values(rows, method, labels).items()
        for name in (there[-1:] if len(there) == 2 else there)
        for gap in _of(values, groups == name, names, name)
    ]


def _values(rows: Sequence[Explained], method: str, labels: Sequence[str]) -> dict[str, Floats]:
    """Values [rows, columns] of one and the same output in all rows, by its label."""
    if len(labels) > 2:
        counts = np.bincount([one.case.target for one in rows], minlength=len(labels))
        chosen = [place for place in np.argsort(-counts, kind="stable").tolist() if counts[place]][:MOST_CLASSES]
        return {labels[place]: np.stack([one.by_class[place].values for one in rows]) for place in chosen}
    signs = np.array([-1.0 if len(labels) == 2 and one.case.target == 0 else 1.0 for one in rows])
    return {"": np.stack([one.by_method[method].values for one in rows]) * signs[:, None]}


def _refuse(rows: Sequence[Explained], column: str) -> None:
    if not rows:
        raise InputError(
            t("groups are compared for rows of tables"),
            where="group",
            remedy=t("leave out `group`"),
        )
    known = list(rows[0].case.record)
    if column not in known:
        raise InputError(
            t("no column `{name}` in the rows", name=column), where="group", expected=", ".join(known),
            remedy=did_you_mean(column, known),
        )  # fmt: skip


def _of(values: Floats, inside: np.ndarray, names: Sequence[str], group: str) -> list[Gap]:
    parts = np.concatenate([values, values.sum(1, keepdims=True)], 1)
    mine, others = parts[inside], parts[~inside]
    apart = mine.mean(0) - others.mean(0)
    half = Z95 * np.sqrt(mine.var(0, ddof=1) / len(mine) + others.var(0, ddof=1) / len(others))
    order = [*np.argsort(-np.abs(apart[:-1]), kind="stable").tolist(), len(names)]
    return [
        Gap((*names, WHOLE)[place], group, float(apart[place]),
            (float(apart[place] - half[place]), float(apart[place] + half[place])), len(parts))
        for place in order
    ]  # fmt: skip


def estimates(found: Sequence[Gap], method: str) -> list[Estimate]:
    return [
        Estimate("group_gap", one.value, one.interval, one.n,
                 {"column": one.column, "group": one.group, "method": method} | _label(one))
        for one in found
    ]  # fmt: skip


def _label(one: Gap) -> dict[str, str]:
    return {"label": one.label} if one.label else {}


def bars(found: Sequence[Gap], column: str, labels: Sequence[str], most: int) -> list[Bars]:
    """A drawing a label and group: the columns, and what they add up to."""
    blocks = []
    for label, group in dict.fromkeys((one.label, one.group) for one in found):
        own = [one for one in found if (one.label, one.group) == (label, group)]
        shown = (*own[: min(most, len(own) - 1)], own[-1])
        title = Phrase("What sets {column} = {group} apart from the other rows", {"column": column, "group": group})
        note = Phrase(TOWARDS, {"label": label or labels[1]}) if labels else NOTE
        blocks.append(Bars(title, tuple(Bar(one.column, one.value, *one.interval) for one in shown), note))
    return blocks
