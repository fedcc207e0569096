"""Everything that is measured about a classifier on labelled rows: each value with its interval and its n.

Names are the quantities of the claims `quality.*`. What cannot be measured (an average precision without positives, a
class without rows) is left out and named in `Quality.missing`, never given a stand-in value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation import calibration, confusion_intervals, intervals, ranking
from modelyard.methods.evaluation.classification import Averages, Classes, averages, confusion_matrix, top_k_hits
from modelyard.methods.evaluation.estimates import Estimate, Interval
from modelyard.methods.statistics.wilson import wilson

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TOP_K = (3, 5)
HARD_ROWS = 20
"""From so many rows two distinct scores that say no more than the answer are hard labels, not chance."""
HARD = "two distinct scores that only repeat the answer: hard labels, of which an area is that of one point"
OF_SCORES = ("roc_auc", "pr_auc", "log_loss", "brier", "ece")


@dataclass(frozen=True)
class Answers:
    """What a classifier answered on labelled rows.

    Attributes:
        labels: names of the classes [C].
        actual, predicted: class indices [n].
        scores: probabilities [n, C].
    """

    labels: tuple[str, ...]
    actual: Ints
    predicted: Ints
    scores: Floats

    @property
    def right(self) -> Bools:
        result: Bools = self.actual == self.predicted
        return result

    @property
    def confidence(self) -> Floats:
        """Probability of the predicted class [n]."""
        return self.scores[np.arange(len(self.predicted)), self.predicted]

    @property
    def is_hard(self) -> bool:
        """Whether the scores only repeat the answers: each class has one score where it is predicted, one elsewhere.

        So it is where labels were passed for scores. The area under such a curve is (sensitivity + specificity) / 2, a
        balanced accuracy by another name, and no probability stands behind a log-loss.
        """
        if len(self.predicted) < HARD_ROWS:
            return False
        classes = np.arange(len(self.labels))
        return all(
            np.ptp(part) == 0
            for index in classes
            for part in (self.scores[self.predicted == index, index], self.scores[self.predicted != index, index])
            if part.size
        )

    @property
    def positive(self) -> int | None:
        """With two classes, the second: the one binary ROC and precision-recall are about."""
        return 1 if len(self.labels) == 2 else None


@dataclass(frozen=True)
class Quality:
    """All estimates, and what was left out with the reason."""

    answers: Answers
    confusion: Ints
    estimates: tuple[Estimate, ...]
    missing: Mapping[str, str]

    def get(self, name: str, **part: str) -> Estimate | None:
        """The estimate of that name and slice (`class_` stands for `class`), or None."""
        wanted = {key.rstrip("_"): value for key, value in part.items()}
        return next((e for e in self.estimates if e.name == name and dict(e.slice) == wanted), None)


def measure(answers: Answers, seed: int = 0) -> Quality:
    """Measure everything. Raises ValueError without rows."""
    if not len(answers.actual):
        raise ValueError("no rows to measure on")
    confusion = confusion_matrix(answers.actual, answers.predicted, len(answers.labels))
    missing: dict[str, str] = {}
    estimates = [
        *_over_all(confusion, averages(confusion), missing),
        *_per_class(answers.labels, Classes.of(confusion), missing),
        *_of_scores(answers, missing, seed),
    ]
    kept = tuple(estimate for estimate in estimates if math.isfinite(estimate.value))
    return Quality(answers, confusion, kept, missing)


def _over_all(confusion: Ints, value: Averages, missing: dict[str, str]) -> list[Estimate]:
    one, n = Classes.of(confusion), int(confusion.sum())
    of_rows = wilson(int(one.hits.sum()), n)
    balanced = intervals.mean_of_rates(one.hits[one.occurring], one.support[one.occurring])
    found: dict[str, Interval | None] = {
        "accuracy": of_rows,
        "balanced_accuracy": balanced,
        "precision_macro": intervals.mean_of_rates(one.hits[one.present], one.predicted[one.present]),
        "precision_weighted": confusion_intervals.precision_weighted_interval(confusion),
        "recall_macro": intervals.mean_of_rates(one.hits[one.present], one.support[one.present]),
        "recall_weighted": of_rows,
        "f1_macro": confusion_intervals.f1_average_interval(confusion),
        "f1_weighted": confusion_intervals.f1_average_interval(confusion, weighted=True),
        "mcc": confusion_intervals.matthews_interval(confusion),
    }
    if math.isnan(value.mcc):
        missing["mcc"] = "labels or predictions are all of one class"
    if one.occurring.sum() < 2:  # a model that always says the one class would have 1
        missing["balanced_accuracy"] = "needs rows of at least two classes"
        del found["balanced_accuracy"]
    for name in ("precision_weighted", "f1_macro", "f1_weighted"):
        if found[name] is None:
            rows = confusion_intervals.ROWS_PER_CLASS
            missing[f"interval of {name}"] = f"fewer than {rows} rows a class"
    micro = [Estimate(f"{name}_micro", value.accuracy, of_rows, n) for name in ("precision", "recall", "f1")]
    return [Estimate(name, getattr(value, name), interval, n) for name, interval in found.items()] + micro


def _per_class(labels: Sequence[str], one: Classes, missing: dict[str, str]) -> list[Estimate]:
    estimates = []
    for index, label in enumerate(labels):
        part = {"class": label}
        hits, support, predicted = (int(v[index]) for v in (one.hits, one.support, one.predicted))
        union = support + predicted - hits
        if support:
            estimates.append(Estimate("recall", hits / support, wilson(hits, support), support, part))
        else:
            missing[f"recall of {label}"] = "the class does not occur in these rows"
        if predicted:
            estimates.append(Estimate("precision", hits / predicted, wilson(hits, predicted), predicted, part))
        else:
            missing[f"precision of {label}"] = "the class was never predicted"
        if union:
            interval = intervals.f1_interval(hits, support, predicted)
            estimates.append(Estimate("f1", float(one.f1[index]), interval, union, part))
    return estimates


def _of_scores(answers: Answers, missing: dict[str, str], seed: int) -> list[Estimate]:
    """Areas, losses and top-k; none of them of hard labels."""
    if answers.is_hard:
        missing.update(dict.fromkeys(OF_SCORES, HARD))
        return []
    return [*_rankings(answers, missing), *_probabilities(answers, seed), *_top_k(answers)]


Measure = Callable[[Bools, Floats], float]
Ends = Callable[[Bools, Floats], Interval | None]
Influence = Callable[[Bools, Floats], Floats]
RANKINGS: Mapping[str, tuple[Measure, Ends, Influence]] = {
    "roc_auc": (ranking.roc_auc, intervals.auc_interval, ranking.roc_auc_influence),
    "pr_auc": (
        ranking.average_precision,
        intervals.average_precision_interval,
        ranking.average_precision_influence,
    ),
}


def _rankings(answers: Answers, missing: dict[str, str]) -> list[Estimate]:
    """Binary: of the second class. More: each class against the rest, and their plain mean over occurring classes."""
    n, estimates = len(answers.actual), []
    for name, (value_of, ends_of, influence_of) in RANKINGS.items():
        single: list[Estimate] = []
        influences = []
        for index, label in enumerate(answers.labels):
            positive, scores = answers.actual == index, answers.scores[:, index]
            if positive.all() or not positive.any():
                missing[f"{name} of {label}"] = "needs rows of the class and of others"
                continue
            value = value_of(positive, scores)
            single.append(Estimate(name, value, ends_of(positive, scores), n, {"class": label}))
            if answers.positive is None:
                influences.append(influence_of(positive, scores))
        estimates += single
        whole = _whole_ranking(answers, name, single, influences, n)
        if whole:
            estimates.append(whole)
        else:
            missing[name] = "needs rows of at least two classes"
    return estimates


def _whole_ranking(
    answers: Answers, name: str, single: list[Estimate], influences: list[Floats], n: int
) -> Estimate | None:
    if answers.positive is not None:
        label = answers.labels[answers.positive]
        own = next((estimate for estimate in single if estimate.slice["class"] == label), None)
        return Estimate(name, own.value, own.interval, n) if own else None
    if not single:
        return None
    values = np.array([estimate.value for estimate in single])
    ends = [estimate.interval for estimate in single if estimate.interval is not None]
    complete = len(ends) == len(single)
    interval = intervals.mean_of_dependent(values, ends, np.stack(influences, axis=1)) if complete else None
    return Estimate(name, float(values.mean()), interval, n)


def _probabilities(answers: Answers, seed: int) -> list[Estimate]:
    n = len(answers.actual)
    losses = calibration.log_losses(answers.actual, answers.scores)
    squares = calibration.brier_scores(answers.actual, answers.scores)
    bins = calibration.reliability(answers.right, answers.confidence)
    return [
        Estimate("log_loss", float(losses.mean()), intervals.bootstrap_t(losses, seed=seed, non_negative=True), n),
        Estimate("brier", float(squares.mean()), intervals.bootstrap_t(squares, seed=seed, non_negative=True), n),
        Estimate("ece", bins.ece, bins.interval(), n),
    ]


def _top_k(answers: Answers) -> list[Estimate]:
    """Top-k accuracy where k leaves out at least half of the classes."""
    n, estimates = len(answers.actual), []
    for k in TOP_K:
        if len(answers.labels) >= 2 * k:
            hits = int(top_k_hits(answers.actual, answers.scores, k).sum())
            estimates.append(Estimate("top_k_accuracy", hits / n, wilson(hits, n), n, {"k": str(k)}))
    return estimates
