"""A classifier by group: rates of a class, gaps between the groups, calibration.

With two classes all is about the positive one. With more, each class stands against the rest; gaps without a class
are the largest over the classes. A rate of a group with too few rows for it is neither shown as a figure nor compared,
and named in `Found.few`: what is not known must not pass for fair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.group_columns import Grouping
from modelyard.methods.evaluation import calibration, intervals
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.fairness import gaps
from modelyard.methods.evaluation.fairness.gaps import Gap, Rate
from modelyard.methods.evaluation.quality import Answers
from modelyard.methods.statistics.wilson import wilson

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Kept = tuple[Rate, Ints]
"""A rate over the groups with enough rows, and their places in the grouping."""
DIFFERENCES = {
    "demographic_parity_difference": ("selection_rate",),
    "equal_opportunity_difference": ("tpr",),
    "false_positive_rate_difference": ("fpr",),
    "equalized_odds_difference": ("tpr", "fpr"),
    "predictive_parity_difference": ("precision",),
}
RATIOS = {
    "demographic_parity_ratio": ("selection_rate",),
    "equal_opportunity_ratio": ("tpr",),
    "equalized_odds_ratio": ("tpr", "fpr"),
}
WORST = {"worst_group_tpr": ("tpr",)}
ACCURACY = ("accuracy_difference", "worst_group_accuracy")
ECE_ROWS = 500
"""Rows from which on a group's binned calibration error is more than noise."""


@dataclass(frozen=True)
class Few:
    """A group with too few rows for a rate: `n` of the rows it needs."""

    by: str
    group: str
    rate: str
    n: int
    class_: str = ""


@dataclass(frozen=True)
class Found:
    """What was measured.

    Attributes:
        estimates: with slices `by`, `group`, `class`.
        few: what was not, for want of rows.
        between: (claim, by, class) to the groups a gap stands between.
        missing: gaps that could not be had, with the reason.
    """

    estimates: tuple[Estimate, ...]
    few: tuple[Few, ...] = ()
    between: Mapping[tuple[str, str, str], tuple[str, ...]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Gathered:
    """`Found` while it is filled."""

    estimates: list[Estimate] = field(default_factory=list)
    few: list[Few] = field(default_factory=list)
    between: dict[tuple[str, str, str], tuple[str, ...]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def found(self) -> Found:
        return Found(tuple(self.estimates), tuple(self.few), self.between, self.missing)


def measure(
    answers: Answers, groupings: Sequence[Grouping], classes: Sequence[int], min_n: int, seed: int = 0
) -> Found:
    """Everything by group.

    Args:
        classes: places of the classes to look at: the positive one, or several; none: accuracies alone.
        min_n: rows a rate needs.
    """
    into = Gathered()
    for grouping in groupings:
        into.estimates.append(unjudged(grouping, min_n))
        _rate(into, grouping, "accuracy", answers.right, np.ones_like(answers.right), min_n, "")
        for place in classes:
            _of_class(into, answers, grouping, place, min_n, seed, "" if len(classes) == 1 else answers.labels[place])
    alpha_of = _alphas(len(groupings), len(classes))
    for name in (*DIFFERENCES, *RATIOS, *WORST) if classes else ():
        _gap(into, answers, groupings, classes, name, min_n, alpha_of)
    for name in ACCURACY:
        _gap(into, answers, groupings, [], name, min_n, alpha_of)
    if classes:
        _calibration(into, answers, groupings, classes, min_n, alpha_of)
    return into.found()


def unjudged(grouping: Grouping, min_n: int) -> Estimate:
    """Share of the rows whose group is too small for any rate."""
    sizes = grouping.sizes()
    n = int(sizes.sum())
    return Estimate("unjudged_rate", int(sizes[sizes < min_n].sum()) / n, None, n, {"by": grouping.title})


def _of_class(
    into: Gathered, answers: Answers, grouping: Grouping, place: int, min_n: int, seed: int, label: str
) -> None:
    for name, (hits, rows) in outcomes(answers, place).items():
        _rate(into, grouping, name, hits, rows, min_n, label)
    positive, scores = answers.actual == place, answers.scores[:, place]
    for code, group in enumerate(grouping.names):
        mine = grouping.codes == code
        n, part = int(mine.sum()), _slice(grouping, group, label)
        if n < min_n:
            continue
        errors = scores[mine] - positive[mine]
        ends = intervals.bootstrap_t(errors, seed=seed)
        into.estimates.append(Estimate("calibration_gap", float(errors.mean()), ends, n, part))
        if n >= ECE_ROWS:
            bins = calibration.reliability(positive[mine], scores[mine])
            into.estimates.append(Estimate("ece", bins.ece, bins.interval(), n, part))


def outcomes(answers: Answers, place: int) -> dict[str, tuple[Bools, Bools]]:
    """Rate to (hits [n], the rows it is about [n])."""
    actual, chosen = answers.actual == place, answers.predicted == place
    every = np.ones_like(actual)
    return {
        "selection_rate": (chosen, every),
        "base_rate": (actual, every),
        "tpr": (chosen & actual, actual),
        "fpr": (chosen & ~actual, ~actual),
        "precision": (chosen & actual, chosen),
    }


def _counts(grouping: Grouping, hits: Bools, rows: Bools) -> tuple[Ints, Ints]:
    """Hits and rows of each group."""
    num = len(grouping.names)
    return np.bincount(grouping.codes[hits & rows], minlength=num), np.bincount(grouping.codes[rows], minlength=num)


def _rate(into: Gathered, grouping: Grouping, name: str, hits: Bools, rows: Bools, min_n: int, label: str) -> None:
    for group, hit, size in zip(grouping.names, *(each.tolist() for each in _counts(grouping, hits, rows)),
                                strict=True):  # fmt: skip
        if size < min_n:
            into.few.append(Few(grouping.title, group, name, size, label))
        else:
            into.estimates.append(Estimate(name, hit / size, wilson(hit, size), size, _slice(grouping, group, label)))


def _slice(grouping: Grouping, group: str, label: str) -> dict[str, str]:
    return {"by": grouping.title, "group": group} | ({"class": label} if label else {})


def _alphas(groupings: int, classes: int) -> dict[str, float]:
    """Error shared out: a gap by grouping and class holds alone; one over all of them, for all of them."""
    classes = max(classes, 1)
    return {"one": gaps.ALPHA, "classes": gaps.ALPHA / classes, "all": gaps.ALPHA / classes / groupings}


def _gap(
    into: Gathered,
    answers: Answers,
    groupings: Sequence[Grouping],
    classes: Sequence[int],
    name: str,
    min_n: int,
    alpha_of: Mapping[str, float],
) -> None:
    """One kind of gap: by grouping and class, by grouping, and over all."""
    pick = gaps.largest if name.endswith("_difference") else gaps.smallest
    over_all: list[Gap] = []
    for grouping in groupings:
        rates_of = _comparable(into, answers, grouping, classes, name, min_n)
        for label, rates in rates_of.items():
            _put(into, name, _value(name, rates, alpha_of["one"]), grouping, rates, label)
        if len(classes) > 1 and rates_of:
            whole = pick([_value(name, rates, alpha_of["classes"]) for rates in rates_of.values()])
            into.estimates.append(Estimate(name, whole.value, whole.interval, whole.n, {"by": grouping.title}))
        over_all += [_value(name, rates, alpha_of["all"]) for rates in rates_of.values()]
    if over_all:
        whole = pick(over_all)
        into.estimates.append(Estimate(name, whole.value, whole.interval, whole.n))


def _comparable(
    into: Gathered, answers: Answers, grouping: Grouping, classes: Sequence[int], name: str, min_n: int
) -> dict[str, list[Kept]]:
    """The rates a gap is of, by class (`` for one class alone), where two groups at least have the rows for them."""
    found = {}
    for place in classes or [-1]:
        label = answers.labels[place] if len(classes) > 1 else ""
        rates = _rates(answers, grouping, name, place, min_n)
        title = f"{name} by {grouping.title}" + (f", class {label}" if label else "")
        if rates is None:
            into.missing[title] = "fewer than two groups have enough rows"
        elif name.endswith("_ratio") and not all(rate.hits.any() for rate, _ in rates):
            into.missing[title] = "all rates are 0"
        else:
            found[label] = rates
    return found


def _put(into: Gathered, name: str, gap: Gap, grouping: Grouping, rates: Sequence[Kept], label: str) -> None:
    part = {"by": grouping.title} | ({"class": label} if label else {})
    into.estimates.append(Estimate(name, gap.value, gap.interval, gap.n, part))
    # A gap of several rates names no groups: each has its own.
    if len(rates) == 1:
        kept = rates[0][1]
        names = tuple(grouping.names[int(kept[place])] for place in gap.groups)
        into.between[(name, grouping.title, label)] = names


def _rates(answers: Answers, grouping: Grouping, name: str, place: int, min_n: int) -> list[Kept] | None:
    """The rates a gap is of, over the groups with enough rows for it; None if fewer than two have."""
    if name in ACCURACY:
        wanted = [(answers.right, np.ones_like(answers.right))]
    else:
        from_class = outcomes(answers, place)
        wanted = [from_class[rate] for rate in {**DIFFERENCES, **RATIOS, **WORST}[name]]
    found = []
    for hits, rows in wanted:
        hit, size = _counts(grouping, hits, rows)
        kept = np.flatnonzero(size >= max(min_n, 1))
        if len(kept) < 2:
            return None
        found.append((Rate(hit[kept], size[kept]), kept))
    return found


def _value(name: str, kept: Sequence[Kept], alpha: float) -> Gap:
    """The gap of one rate, or the worst of several that share the error."""
    alpha, rates = alpha / len(kept), [rate for rate, _ in kept]
    if name.endswith("_difference"):
        return gaps.largest([gaps.difference(rate, alpha) for rate in rates])
    if name.startswith("worst_"):
        return gaps.lowest(rates[0], alpha)
    return gaps.smallest([gaps.ratio(rate, alpha) for rate in rates])


def _calibration(
    into: Gathered,
    answers: Answers,
    groupings: Sequence[Grouping],
    classes: Sequence[int],
    min_n: int,
    alpha_of: Mapping[str, float],
) -> None:
    name, over_all = "calibration_difference", []
    for grouping in groupings:
        kept = np.flatnonzero(grouping.sizes() >= max(min_n, 2))
        if len(kept) < 2:
            into.missing[f"{name} by {grouping.title}"] = "fewer than two groups have enough rows"
            continue
        parts = []
        for place in classes:
            errors = answers.scores[:, place] - (answers.actual == place)
            values = [errors[grouping.codes == code] for code in kept]
            parts.append(gaps.means_difference(values, alpha_of["classes"]))
            over_all.append(gaps.means_difference(values, alpha_of["all"]))
        whole = gaps.largest(parts)
        if len(classes) == 1:
            names = tuple(grouping.names[int(kept[place])] for place in whole.groups)
            into.between[(name, grouping.title, "")] = names
        into.estimates.append(Estimate(name, whole.value, whole.interval, whole.n, {"by": grouping.title}))
    if over_all:
        whole = gaps.largest(over_all)
        into.estimates.append(Estimate(name, whole.value, whole.interval, whole.n))


def exact(estimate: Estimate) -> bool:
    """Counts over all rows, which need no interval."""
    return estimate.name == "unjudged_rate"
