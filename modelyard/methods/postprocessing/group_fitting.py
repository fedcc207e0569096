"""Thresholds by group that keep a gap small at the highest accuracy (after Hardt, Price and Srebro 2016, "Equality of
opportunity in supervised learning"), without their random answers: one record always gets one answer.

A common rate is searched over a grid. At each, every group takes the threshold of the highest accuracy among those
whose rate is within half the allowed gap of it; so no two groups differ by more. With `equalized_odds` the grid is over
true and false positive rates. That is the best on these rows, up to the grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Metric = Literal["demographic_parity", "equal_opportunity", "equalized_odds"]
GRID, SIDE = 401, 81
CUTS = 1000
"""Thresholds tried in a group at most."""


@dataclass(frozen=True)
class Curve:
    """What every threshold of a group gives: `cuts` [m], `rates` [m, rates], right answers `hits` [m]."""

    cuts: Floats
    rates: Floats
    hits: Floats


def curve(scores: Floats, actual: Bools, metric: Metric) -> Curve:
    """All thresholds between two scores of a group, and beyond the ends; at most CUTS, evenly spread over rows."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    right = np.concatenate([[0], np.cumsum(actual[order])])
    ends = np.concatenate([[True], ranked[1:] < ranked[:-1], [True]])
    taken = np.flatnonzero(ends)
    if len(taken) > CUTS:
        taken = taken[np.unique(np.linspace(0, len(taken) - 1, CUTS).round().astype(np.int64))]
    # Midway between neighbours: what is computed again in another batch may differ in the last bits.
    padded = np.concatenate([[2.0], ranked, [0.0]])
    cuts = np.where(taken == 0, 2.0, np.where(taken == len(ranked), 0.0, (padded[taken] + padded[taken + 1]) / 2))
    hit, miss = right[taken].astype(np.float64), (taken - right[taken]).astype(np.float64)
    num, n = float(actual.sum()), len(actual)
    parts = {
        "demographic_parity": [(hit + miss) / n],
        "equal_opportunity": [hit / max(num, 1.0)],
        "equalized_odds": [hit / max(num, 1.0), miss / max(n - num, 1.0)],
    }[metric]
    return Curve(cuts, np.stack(parts, axis=1), hit + (n - num - miss))


@dataclass(frozen=True)
class Fitted:
    """Thresholds by place of the group, what they give on the rows, and one for groups that are not known."""

    thresholds: Mapping[int, float]
    default: float
    gap: float
    hits: int
    rows: int


def fit(
    scores: Floats, actual: Bools, codes: NDArray[np.int64], groups: Sequence[int], metric: Metric, slack: float
) -> Fitted | None:
    """The best thresholds whose gap on these rows is at most `slack`; None if the grid has none.

    Args:
        groups: places with enough rows; the others, and new ones, get the threshold that suits all rows at the rate.
    """
    curves = [curve(scores[codes == code], actual[codes == code], metric) for code in groups]
    best: tuple[float, list[int], Floats] | None = None
    for target in _targets(metric):
        places = [_best(one, target, slack / 2) for one in curves]
        if any(place is None for place in places):
            continue
        found = [int(place) for place in places if place is not None]
        hits = float(sum(one.hits[place] for one, place in zip(curves, found, strict=True)))
        if best is None or hits > best[0]:
            best = (hits, found, target)
    if best is None:
        return None
    everyone = curve(scores, actual, metric)
    common = _best(everyone, best[2], slack / 2)
    if common is None:
        common = int(np.abs(everyone.rates - best[2]).max(axis=1).argmin())
    rates = np.stack([one.rates[place] for one, place in zip(curves, best[1], strict=True)])
    cuts = {code: float(one.cuts[place]) for code, one, place in zip(groups, curves, best[1], strict=True)}
    gap = float((rates.max(axis=0) - rates.min(axis=0)).max())
    return Fitted(cuts, float(everyone.cuts[common]), gap, int(best[0]), int(np.isin(codes, groups).sum()))


def _targets(metric: Metric) -> Floats:
    if metric != "equalized_odds":
        return np.linspace(0, 1, GRID)[:, None]
    side = np.linspace(0, 1, SIDE)
    # False positives matter where they are few: the grid is finer there.
    return np.stack([each.ravel() for each in np.meshgrid(side, side**2, indexing="ij")], axis=1)


def _best(one: Curve, target: Floats, half: float) -> int | None:
    near = np.flatnonzero((np.abs(one.rates - target) <= half + 1e-12).all(axis=1))
    return int(near[one.hits[near].argmax()]) if near.size else None


def apply(scores: Floats, codes: NDArray[np.int64], thresholds: Mapping[int, float], default: float) -> Bools:
    """Rows [n] that are answered with the positive class."""
    table = np.array([thresholds.get(code, default) for code in range(int(codes.max()) + 1)])
    result: Bools = scores >= table[codes]
    return result
