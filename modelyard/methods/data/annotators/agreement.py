"""How far annotators agree as a whole: Krippendorff's alpha and Fleiss' kappa.

Alpha takes any number of annotators, missing votes and ordered classes; it is the measure to report. Fleiss' kappa
is given beside it for comparison with older work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from modelyard.methods.data.annotators.bootstrap import interval
from modelyard.methods.data.annotators.votes import Floats, Ints
from modelyard.methods.statistics.wilson import wilson

Scale = Literal["nominal", "ordinal", "interval"]


@dataclass(frozen=True)
class Estimate:
    """A coefficient with its 95 % interval over items, from `n` items with two votes or more."""

    value: float
    low: float
    high: float
    n: int


def patterns(counts: Ints) -> tuple[Ints, Ints]:
    """Distinct rows of votes among the items with at least two, (P, K), and how many items have each, (P,).

    Items with equal votes are exchangeable, so every statistic and every resample needs the patterns only.
    """
    pairable = counts[counts.sum(axis=1) >= 2]
    if not len(pairable):
        return pairable, np.zeros(0, dtype=np.int64)
    found, times = np.unique(pairable, axis=0, return_counts=True)
    return found.astype(np.int64), times.astype(np.int64)


def krippendorff_alpha(
    counts: Ints, scale: Scale = "nominal", values: Floats | None = None, seed: int = 0
) -> Estimate | None:
    """Krippendorff's alpha, 1 - observed / expected disagreement over all pairable votes.

    K. Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011: the coincidence matrix of section C, nominal,
    ordinal and interval differences of section E. The interval resamples items (A. Zapf et al., BMC Medical Research
    Methodology 16:93, 2016, find it to hold its level where the asymptotic one does not), with Efron's correction of
    bias and skew (see `interval`).

    Args:
        counts: (N, K) votes by item and class; classes in order if ordinal.
        scale: how unlike two classes are: nominal 0/1; ordinal by the votes between them; interval by `values`.
        values: (K,) numbers the classes stand for, for `interval`.
        seed: of the resampling.

    Returns:
        None if no item has two votes, or all votes name one class: alpha is undefined without variation.
    """
    found, times = patterns(counts)
    if not len(found):
        return None

    def statistic(weights: Floats) -> Floats:
        observed, expected = _disagreement(found, weights, scale, values)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(expected > 0, 1 - observed / expected, np.nan)

    whole = times[None, :].astype(np.float64)
    value = float(statistic(whole)[0])
    if math.isnan(value):
        return None
    n = int(times.sum())
    if value == 1.0:
        _, expected = _disagreement(found, whole, scale, values)
        worst = _largest(found, times, scale, values)
        return Estimate(value, max(-1.0, 1 - worst * wilson(0, n)[1] / float(expected[0])), 1.0, n)
    low, high = interval(statistic, times, value, seed)
    return Estimate(value, low, high, n)


def _disagreement(found: Ints, weights: Floats, scale: Scale, values: Floats | None) -> tuple[Floats, Floats]:
    """Observed and expected disagreement of each resample, (B,) each."""
    size = found.sum(axis=1)
    margins = weights @ found
    total = margins.sum(axis=1)
    if scale == "nominal":
        # Pairs within an item that differ, each item's votes weighing as much as it has votes.
        apart = (size**2 - (found**2).sum(axis=1)) / (size - 1)
        return weights @ apart / total, (total**2 - (margins**2).sum(axis=1)) / (total * (total - 1))
    if scale == "ordinal":
        # The ordinal difference is the squared distance of mid-ranks under the margins of the data at hand.
        place = np.cumsum(margins, axis=1) - margins / 2
    else:
        place = np.broadcast_to(np.asarray(values, dtype=np.float64), margins.shape)
    observed = np.empty(len(weights))
    for row, (weight, where) in enumerate(zip(weights, place, strict=True)):
        first, second = found @ where, found @ where**2
        observed[row] = weight @ (2 * (size * second - first**2) / (size - 1)) / total[row]
    spread = 2 * (total * (margins * place**2).sum(axis=1) - (margins * place).sum(axis=1) ** 2)
    return np.maximum(observed, 0.0), np.maximum(spread, 0.0) / (total * (total - 1))


def _largest(found: Ints, times: Ints, scale: Scale, values: Floats | None) -> float:
    """The largest difference two classes that occur can have."""
    margins = (times @ found).astype(np.float64)
    if scale == "nominal":
        return 1.0
    place = np.cumsum(margins) - margins / 2 if scale == "ordinal" else np.asarray(values, dtype=np.float64)
    used = place[margins > 0]
    return float((used.max() - used.min()) ** 2)


def fleiss_kappa(counts: Ints, seed: int = 0) -> Estimate | None:
    """Fleiss' kappa (J. L. Fleiss 1971, Psychological Bulletin 76), items with two votes or more.

    Where items differ in their number of votes, each item's agreement is taken over its own pairs and margins over
    all votes; with equal numbers this is Fleiss' formula. None if undefined.
    """
    found, times = patterns(counts)
    if not len(found):
        return None
    size = found.sum(axis=1)
    agree = ((found**2).sum(axis=1) - size) / (size * (size - 1))

    def statistic(weights: Floats) -> Floats:
        margins = weights @ found
        chance = (margins**2).sum(axis=1) / margins.sum(axis=1) ** 2
        mean = weights @ agree / weights.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(chance < 1, (mean - chance) / (1 - chance), np.nan)

    value = float(statistic(times[None, :].astype(np.float64))[0])
    if math.isnan(value):
        return None
    n = int(times.sum())
    if value == 1.0:
        chance = float(((times @ found) ** 2).sum() / (times @ found).sum() ** 2)
        return Estimate(value, max(-1.0, 1 - wilson(0, n)[1] / (1 - chance)), 1.0, n)
    low, high = interval(statistic, times, value, seed)
    return Estimate(value, low, high, n)


def row_agreement(counts: Ints) -> Floats:
    """(N,): share of each item's pairs of votes that agree; not-a-number with fewer than two votes."""
    size = counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = ((counts**2).sum(axis=1) - size) / (size * (size - 1))
    return np.where(size >= 2, share, np.nan)
