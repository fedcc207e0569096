"""Metrics of several labels a row. Conventions of scikit-learn with `zero_division=0`.

f1_micro, precision_micro, recall_micro   over all decisions together
f1_macro, precision_macro, recall_macro   plain mean over all labels of the model that occur or are given
f1_samples        mean over rows of 2 |T ∩ P| / (|T| + |P|), 0 where both are empty
hamming_loss      share of wrong decisions over rows and labels
subset_accuracy   share of rows whose labels are exactly right
lrap              label ranking average precision (Tsoumakas et al. 2010); 1 for a row with no label or all
pr_auc            by label: average precision
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation import intervals, ranking
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.means import linear_interval, ratio_interval, share_interval
from modelyard.methods.statistics.wilson import wilson

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Decisions:
    """Labels of rows.

    Attributes:
        labels: names [L].
        actual, given: [n, L].
        scores: probabilities [n, L].
    """

    labels: tuple[str, ...]
    actual: Bools
    given: Bools
    scores: Floats


def measure(decisions: Decisions, missing: dict[str, str], seed: int = 0) -> list[Estimate]:
    """All estimates; what cannot be measured goes into `missing`. Raises ValueError without rows."""
    actual, given = decisions.actual, decisions.given
    n = len(actual)
    if not n:
        raise ValueError("no rows to measure on")
    exact = int((actual == given).all(axis=1).sum())
    wrong = (actual != given).mean(axis=1)
    samples = _ratio(2.0 * (actual & given).sum(axis=1), actual.sum(axis=1) + given.sum(axis=1))
    places = lrap(actual, decisions.scores)
    return [
        Estimate("subset_accuracy", exact / n, wilson(exact, n), n),
        Estimate("hamming_loss", float(wrong.mean()), share_interval(wrong, seed), n),
        Estimate("f1_samples", float(samples.mean()), share_interval(samples, seed), n),
        Estimate("lrap", float(places.mean()), share_interval(places, seed), n),
        *_micro(actual, given, missing, seed),
        *_macro(actual, given),
        *_of_labels(decisions, missing),
    ]


def _ratio(part: Floats, whole: NDArray[np.int64]) -> Floats:
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def _micro(actual: Bools, given: Bools, missing: dict[str, str], seed: int) -> list[Estimate]:
    """Ratios of sums over rows, whose decisions hang together."""
    hits = (actual & given).sum(axis=1).astype(np.float64)
    support, predicted = actual.sum(axis=1).astype(np.float64), given.sum(axis=1).astype(np.float64)
    found = []
    parts = {"precision": (hits, predicted), "recall": (hits, support), "f1": (2 * hits, support + predicted)}
    for name, (tops, bottoms) in parts.items():
        whole = float(bottoms.sum())
        if not whole > 0:
            missing[f"{name}_micro"] = "no row has or is given a label"
            continue
        ends = ratio_interval(tops, bottoms, seed, bounded=True)
        found.append(Estimate(f"{name}_micro", float(tops.sum()) / whole, ends, len(actual)))
    return found


def _macro(actual: Bools, given: Bools) -> list[Estimate]:
    """Means over labels; the influence of a row is the mean of its influences on the labels' ratios."""
    n = len(actual)
    hits = (actual & given).astype(np.float64)
    support, predicted = actual.astype(np.float64), given.astype(np.float64)
    present = (actual | given).any(axis=0)
    if not present.any():
        return []
    found = []
    parts = {"precision": (hits, predicted), "recall": (hits, support), "f1": (2 * hits, support + predicted)}
    for name, (tops, bottoms) in parts.items():
        whole = bottoms.sum(axis=0)
        ratios = np.divide(tops.sum(axis=0), whole, out=np.zeros(whole.size), where=whole > 0)
        scale = np.divide(n, whole, out=np.zeros(whole.size), where=whole > 0)
        influences = ((tops - ratios * bottoms) * scale)[:, present].mean(axis=1)
        value = float(ratios[present].mean())
        few = min(int(support.sum(axis=0)[present].min()), int(predicted.sum(axis=0)[present].min())) < 5
        ends = None if few else linear_interval(value, influences)
        found.append(Estimate(f"{name}_macro", value, ends, n))
    return found


def _of_labels(decisions: Decisions, missing: dict[str, str]) -> list[Estimate]:
    found, n = [], len(decisions.actual)
    for place, label in enumerate(decisions.labels):
        actual, given, part = decisions.actual[:, place], decisions.given[:, place], {"class": label}
        hits, support, predicted = int((actual & given).sum()), int(actual.sum()), int(given.sum())
        if support:
            found.append(Estimate("recall", hits / support, wilson(hits, support), support, part))
        else:
            missing[f"recall of {label}"] = "the class does not occur in these rows"
        if predicted:
            found.append(Estimate("precision", hits / predicted, wilson(hits, predicted), predicted, part))
        else:
            missing[f"precision of {label}"] = "the class was never predicted"
        union = support + predicted - hits
        if union:
            ends = intervals.f1_interval(hits, support, predicted)
            found.append(Estimate("f1", 2 * hits / (support + predicted), ends, union, part))
        if support and support < n:
            scores = decisions.scores[:, place]
            ends = intervals.average_precision_interval(actual, scores)
            found.append(Estimate("pr_auc", ranking.average_precision(actual, scores), ends, n, part))
        elif support:
            missing[f"pr_auc of {label}"] = "needs rows of the class and of others"
    return found


def lrap(actual: Bools, scores: Floats) -> Floats:
    """Of each row [n]: the mean over its labels of (its labels with no lower score) / (labels with no lower score)."""
    found = np.ones(len(actual))
    for row, (labels, given) in enumerate(zip(actual, scores, strict=True)):
        if labels.any() and not labels.all():
            own = given[labels]
            above = (given[None, :] >= own[:, None]).sum(axis=1)
            right = (own[None, :] >= own[:, None]).sum(axis=1)
            found[row] = float((right / above).mean())
    return found


def label_rows(labels: Sequence[str], rows: Sequence[Sequence[str]]) -> Bools:
    """[n, L]: which labels each row has. Raises KeyError for a label that is not listed."""
    place = {label: at for at, label in enumerate(labels)}
    found = np.zeros((len(rows), len(labels)), dtype=np.bool_)
    for row, given in enumerate(rows):
        for label in given:
            found[row, place[label]] = True
    return found
