"""What evaluate.uncertainty measures, each part as estimates named like the claims `uncertainty.*`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation import calibration, intervals, ranking
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.intervals import bootstrap_t
from modelyard.methods.evaluation.measuring.examples import Examples
from modelyard.methods.evaluation.quality import Answers
from modelyard.methods.evaluation.uncertainty import outside, selective
from modelyard.methods.evaluation.uncertainty.reliability import Calibration, measure
from modelyard.methods.statistics.wilson import wilson

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
PARTS = 5
"""Of the widths of intervals."""
MANY = 6
"""Sets of so many labels and more are one part."""
Slices = Sequence[tuple[Mapping[str, str], Bools]]
"""Parts of the rows: what names one, and its rows [n]."""


@dataclass(frozen=True)
class Sure:
    """Calibration and what confidence is good for."""

    estimates: tuple[Estimate, ...]
    calibration: Calibration
    risks: Floats


def of_confidence(answers: Answers, seed: int) -> Sure:
    """Calibration, losses and risk over coverage of a classifier."""
    right, confidence, n = answers.right, answers.confidence, len(answers.actual)
    found = measure(right, confidence, seed=seed)
    brier = calibration.brier_scores(answers.actual, answers.scores)
    logs = calibration.log_losses(answers.actual, answers.scores)
    wrong = ~right
    estimates = (
        Estimate("calibration_error", found.error, found.interval, n),
        Estimate("ece", found.bins.ece, found.bins.interval(), n),
        Estimate("brier", float(brier.mean()), bootstrap_t(brier, seed=seed, non_negative=True), n),
        Estimate("log_loss", float(logs.mean()), bootstrap_t(logs, seed=seed, non_negative=True), n),
        Estimate("aurc", selective.aurc(wrong, confidence), selective.interval(wrong, confidence, seed), n),
        Estimate(
            "excess_aurc",
            selective.excess(wrong, confidence),
            selective.interval(wrong, confidence, seed, selective.excess),
            n,
        ),
    )
    return Sure(estimates, found, selective.risks(wrong, confidence))


def of_enclosures(found: Enclosed, slices: Slices, min_n: int, seed: int) -> list[Estimate]:
    """Coverage and mean size of sets or intervals, of all rows, of each slice of at least `min_n`, and by the size."""
    inside, sizes, n = found.inside, found.sizes, found.inside.size
    estimates = []
    for name, rows in [({}, np.ones(n, dtype=np.bool_)), *slices, *by_size(sizes, found.unit)]:
        count = int(rows.sum())
        if count < (min_n if name else 1):
            continue
        hits = int(inside[rows].sum())
        estimates.append(Estimate("coverage", hits / count, wilson(hits, count), count, name))
        finite = sizes[rows][np.isfinite(sizes[rows])]
        if finite.size == count:
            estimates.append(Estimate(found.size, *_mean(finite, seed), count, name))
    if found.scores is not None:
        estimates.append(Estimate("interval_score", *_mean(found.scores, seed), n))
    return estimates


def _mean(values: Floats, seed: int) -> tuple[float, tuple[float, float] | None]:
    return float(values.mean()), bootstrap_t(values, seed=seed, non_negative=True)


def slices(examples: Examples, groups: Sequence[str], answers: Any, labels: Sequence[str]) -> Slices:
    """Rows by class of the truth, if there are labels, and by the values of each group column."""
    found: list[tuple[Mapping[str, str], Bools]] = [
        ({"class": label}, answers.actual == place) for place, label in enumerate(labels)
    ]
    for name in groups:
        values = np.array(["" if one is None else str(one) for one in examples.column(name)], dtype=object)
        found += [({name: value}, values == value) for value in sorted(set(values.tolist()))]
    return found


@dataclass(frozen=True)
class Enclosed:
    """Sets or intervals of a model beside the truths [n].

    Attributes:
        inside: whether the truth is in; sizes: labels, or the width, infinite where there is no end.
        size, unit: names of the mean size and of what it counts.
        scores: interval scores; None of sets, and where an interval has no end.
    """

    inside: Bools
    sizes: Floats
    size: str
    unit: str
    scores: Floats | None = None


def enclosed(step: Mapping[str, Any], said: Sequence[Any], truths: Sequence[Any]) -> Enclosed:
    """Answers with a `set` or an `interval`, by the step of the decision layer that gives them."""
    if step["kind"] == "conformal_set":
        inside = np.array([truth in one.set for truth, one in zip(truths, said, strict=True)])
        return Enclosed(inside, np.array([len(one.set) for one in said], dtype=np.float64), "set_size", "labels")
    low, high = np.array([one.interval or (-np.inf, np.inf) for one in said]).T
    wanted, widths = np.array(truths, dtype=np.float64), high - low
    scores = None
    if np.isfinite(widths).all() and "error" in step:
        scores = interval_scores(low, high, wanted, float(step["error"]))
    return Enclosed((low <= wanted) & (wanted <= high), widths, "interval_width", "width", scores)


def by_size(sizes: Floats, unit: str) -> Slices:
    """Rows by how much their answer encloses: are the unsure covered as well as the sure?

    Sets have as many labels as they have; widths fall into five parts of equal mass. Of one width there are no parts.

    Args:
        unit: `labels`, or `width`.
    """
    if unit == "labels":
        names = [f"{int(one)}" if one < MANY else f"{MANY} or more" for one in sizes.tolist()]
    else:
        edges = np.unique(np.quantile(sizes, np.arange(1, PARTS) / PARTS, method="inverted_cdf"))
        if edges.size < 2 or not np.isfinite(edges).all():
            return []
        places = np.searchsorted(edges, sizes, side="left")
        names = [f"part {place + 1} of {edges.size + 1}" for place in places.tolist()]
    column = np.array(names, dtype=object)
    return [({unit: name}, column == name) for name in sorted(set(names))]


def interval_scores(low: Floats, high: Floats, truths: Floats, alpha: float) -> Floats:
    """Width and 2/α times how far the truth lies outside, for each row [n]: least, on average, for the true quantiles
    α/2 and 1 - α/2 (Gneiting and Raftery 2007, "interval score"; Winkler 1972)."""
    outside = np.maximum(low - truths, 0) + np.maximum(truths - high, 0)
    result: Floats = high - low + 2 / alpha * outside
    return result


def of_silence(right: Bools, abstained: Bools, slices: Slices, min_n: int) -> list[Estimate]:
    """Share answered, and the error among the answered, of all rows and of each slice."""
    found = []
    for name, rows in [({}, np.ones(right.size, dtype=np.bool_)), *slices]:
        n, given = int(rows.sum()), rows & ~abstained
        answered = int(given.sum())
        if n < (min_n if name else 1):
            continue
        found.append(Estimate("answered", answered / n, wilson(answered, n), n, name))
        if answered:
            wrong = int((given & ~right).sum())
            found.append(Estimate("answered_error", wrong / answered, wilson(wrong, answered), answered, name))
    return found


def of_strangers(inside: Mapping[str, Floats], strangers: Mapping[str, Floats]) -> list[Estimate]:
    """How well each score tells rows from elsewhere from those of the test split."""
    found = []
    for name in inside:
        if name not in strangers:
            continue
        one, other = inside[name], strangers[name]
        positive = np.repeat([False, True], [one.size, other.size])
        scores = np.concatenate([one, other])
        n, part = scores.size, {"score": name}
        found.append(
            Estimate(
                "outside_auroc", ranking.roc_auc(positive, scores), intervals.auc_interval(positive, scores), n, part
            )
        )
        alarms, rows = outside.false_alarms(one, other)
        found.append(Estimate("outside_false_alarms", alarms / rows, wilson(alarms, rows), rows, part))
    return found
