"""What is measured of judged rows: accuracy (or error) under each change, what it costs, and the worst case.

| quantity | interval |
|---|---|
| accuracy of the rows a change could change | Wilson 1927 |
| drop: accuracy of the same rows unchanged, less that | Newcombe 1998, method 10 (paired) |
| worst: rows right as they are and under every change | Wilson 1927 |
| mean corruption error: per row the mean over kinds of the mean over severities of its error | bootstrap-t |
| F1 of spans under a change; of the same rows unchanged, less that | bootstrap-t of the ratio; influences |
| RMSE under a change; its rise over the same rows unchanged | bootstrap-t of squared errors; of their differences |

The mean corruption error is that of Hendrycks and Dietterich 2019 without a reference network in the denominator; with
one see `relative.py`. A row that a kind could not change counts with the error that it has unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy.stats import t as student

from modelyard.methods.evaluation.estimates import Estimate, Interval
from modelyard.methods.evaluation.intervals import bootstrap_t
from modelyard.methods.evaluation.means import LEAST, ratio_interval, share_interval
from modelyard.methods.evaluation.paired import Pairs, difference_interval
from modelyard.methods.evaluation.robustness import judging
from modelyard.methods.evaluation.robustness.judging import Floats, Judged
from modelyard.methods.statistics.wilson import wilson

CLEAN = "clean"
Part = Mapping[str, str]


def estimates(judged: Judged, seed: int = 0) -> list[Estimate]:
    """Everything, the rows as they are first (`kind: clean`)."""
    found = _rates(judged, seed) if judged.is_rate else _numbers(judged, seed)
    found += _spans(judged, seed)
    for (kind, severity), failed in judged.checks.items():
        known = failed[~np.isnan(failed)]
        if known.size:
            found.append(rate("check_failures", known, {"kind": kind, "severity": str(severity)}))
    return found


def rate(name: str, hits: Floats, part: Part | None = None) -> Estimate:
    """A share of rows with Wilson's interval."""
    count = int(hits.sum())
    return Estimate(name, count / hits.size, wilson(count, hits.size), hits.size, dict(part or {}))


def _rates(judged: Judged, seed: int) -> list[Estimate]:
    right = 1 - judged.clean
    found = [rate("accuracy", right, {"kind": CLEAN})]
    for (kind, severity), errors in judged.errors.items():
        known, part = ~np.isnan(errors), {"kind": kind, "severity": str(severity)}
        if known.any():
            found.append(rate("accuracy", 1 - errors[known], part))
            found.append(_drop(right[known] > 0, errors[known] == 0, part))
    for kind in kinds_of(judged):
        found.append(rate("worst_accuracy", 1 - _worst(judged, kind), {"kind": kind}))
    found.append(rate("worst_accuracy", 1 - _worst(judged)))
    mean = _mean_error(judged)
    if mean is not None:
        found.append(Estimate("mean_corruption_error", float(mean.mean()), share_interval(mean, seed), mean.size))
    return found


def _drop(before: np.ndarray, after: np.ndarray, part: Part) -> Estimate:
    pairs = Pairs.of(before, after)
    return Estimate("accuracy_drop", pairs.difference, difference_interval(pairs), pairs.n, dict(part))


def kinds_of(judged: Judged) -> list[str]:
    """Kinds that changed at least one row, in order."""
    return list(dict.fromkeys(kind for (kind, _), errors in judged.errors.items() if not np.isnan(errors).all()))


def _worst(judged: Judged, kind: str | None = None) -> Floats:
    """[n] the largest error of each row, unchanged among them."""
    of_kind = [errors for (name, _), errors in judged.errors.items() if kind in (None, name)]
    return np.asarray(np.fmax.reduce([judged.clean, *of_kind]))


def by_kind(judged: Judged) -> dict[str, Floats]:
    """[n] mean error over the severities of each kind; a row that could not be changed has its error unchanged."""
    found = {}
    for kind in kinds_of(judged):
        of_kind = [errors for (name, _), errors in judged.errors.items() if name == kind]
        filled = [np.where(np.isnan(errors), judged.clean, errors) for errors in of_kind]
        found[kind] = np.asarray(np.mean(filled, axis=0))
    return found


def _mean_error(judged: Judged) -> Floats | None:
    """[n] mean over kinds of the mean over severities."""
    each = list(by_kind(judged).values())
    return np.asarray(np.mean(each, axis=0)) if each else None


def _spans(judged: Judged, seed: int) -> list[Estimate]:
    """F1 over all spans (both ends and the label right) as they are and under each change, and what it loses."""
    found = []
    clean = judged.spans.get(judging.CLEAN)
    for (kind, severity), counts in judged.spans.items():
        known = ~np.isnan(counts).any(axis=1)
        part = {"kind": kind} | ({"severity": str(severity)} if severity else {})
        there = _f1(counts[known])
        if there is None:
            continue
        ends = ratio_interval(2 * counts[known, 2], counts[known, :2].sum(axis=1), seed, bounded=True)
        n = int(known.sum())
        found.append(Estimate("span_f1", there[0], ends, n, part))
        before = _f1(clean[known]) if clean is not None and severity else None
        if before is not None:
            found.append(Estimate("span_f1_drop", before[0] - there[0], _half(before, there), n, part))
    return found


def _f1(counts: Floats) -> tuple[float, Floats] | None:
    """2 hits / (true + found), and each row's influence [n]; None where there is no span."""
    tops, bottoms = 2 * counts[:, 2], counts[:, 0] + counts[:, 1]
    whole = float(bottoms.sum())
    if not whole:
        return None
    value = float(tops.sum()) / whole
    return value, (tops - value * bottoms) * len(counts) / whole


def _half(before: tuple[float, Floats], after: tuple[float, Floats]) -> Interval | None:
    """Of a difference of two F1 on the same rows: the influences subtract (delta method)."""
    influences = before[1] - after[1]
    n = influences.size
    if n < LEAST:
        return None
    value = before[0] - after[0]
    half = float(student.ppf(0.975, n - 1) * influences.std(ddof=1) / math.sqrt(n))
    return max(-1.0, value - half), min(1.0, value + half)


def _numbers(judged: Judged, seed: int) -> list[Estimate]:
    found = [rmse("rmse", judged.clean, {"kind": CLEAN}, seed)]
    for (kind, severity), errors in judged.errors.items():
        known, part = ~np.isnan(errors), {"kind": kind, "severity": str(severity)}
        if known.any():
            found.append(rmse("rmse", errors[known], part, seed))
            found.append(_rise(judged.clean[known], errors[known], part, seed))
    found.append(rmse("worst_rmse", _worst(judged), {}, seed))
    return found


def rmse(name: str, errors: Floats, part: Part, seed: int) -> Estimate:
    """Root of the mean squared error; the ends are roots of those of the mean."""
    squares = errors**2
    ends = bootstrap_t(squares, seed=seed, non_negative=True)
    root: Interval | None = (math.sqrt(ends[0]), math.sqrt(ends[1])) if ends else None
    return Estimate(name, math.sqrt(float(squares.mean())), root, errors.size, dict(part))


def _rise(before: Floats, after: Floats, part: Part, seed: int) -> Estimate:
    """Mean squared error under the change less that of the same rows unchanged."""
    more = after**2 - before**2
    return Estimate("mse_rise", float(more.mean()), bootstrap_t(more, seed=seed), more.size, dict(part))
