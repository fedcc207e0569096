"""Errors under changes beside those of a reference model: mCE and relative mCE (Hendrycks and Dietterich 2019).

For a kind c, summed over its severities s and over rows, with E the errors of the model and R those of the reference:

    CE_c = Σ_s E_sc / Σ_s R_sc        mCE = mean over c of CE_c
    relative CE_c = Σ_s (E_sc - E_clean) / Σ_s (R_sc - R_clean)

1 is the reference; the paper writes 100 %. Both models see the same changed rows, so the intervals are of pairs: the
linearised ratio with Student's quantile (simulated coverage 0.93 … 0.95 from 100 rows on).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from modelyard.methods.evaluation.estimates import Estimate, Interval
from modelyard.methods.evaluation.robustness.judging import Floats, Judged
from modelyard.methods.evaluation.robustness.summary import by_kind
from modelyard.methods.statistics.wilson import Z95

FEW_ERRORS = 10
"""Of the reference, in a kind: with fewer the ratio has no interval."""


@dataclass(frozen=True)
class Relative:
    """Estimates, and why others are not there: quantity to the kinds that stand in the way."""

    estimates: tuple[Estimate, ...]
    undefined: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def beside(judged: Judged, reference: Judged) -> Relative:
    """mCE, relative mCE and the corruption error of each kind.

    The mCE is not measured where the reference makes no error in a kind, the relative one where the reference does not
    clearly lose by one (95 %): the ratio would be of noise.
    """
    if judged.row_ids != reference.row_ids:
        raise ValueError("both must be about the same rows")
    own, other = by_kind(judged), by_kind(reference)
    kinds = tuple(own)
    if not kinds:
        return Relative(())
    errors, others = (np.stack([part[kind] for kind in kinds], axis=1) for part in (own, other))
    found, undefined = _ratios("mce", "corruption_error", kinds, errors, others)
    rises = errors - judged.clean[:, None], others - reference.clean[:, None]
    more, more_undefined = _ratios("relative_mce", "relative_corruption_error", kinds, *rises)
    return Relative((*found, *more), undefined | more_undefined)


def _ratios(
    mean_name: str, name: str, kinds: tuple[str, ...], tops: Floats, bottoms: Floats
) -> tuple[list[Estimate], dict[str, tuple[str, ...]]]:
    """A ratio for each kind [n, K] that has one, and their mean if all do."""
    able = _clear(bottoms) if mean_name == "relative_mce" else bottoms.sum(0) > 0
    found = [
        Estimate(name, *_ratio(tops[:, [at]], bottoms[:, [at]]), len(tops), {"kind": kind})
        for at, kind in enumerate(kinds)
        if able[at]
    ]
    left = tuple(kind for kind, is_able in zip(kinds, able.tolist(), strict=True) if not is_able)
    if left:
        return found, {mean_name: left}
    return [*found, Estimate(mean_name, *_ratio(tops, bottoms), len(tops))], {}


def _clear(bottoms: Floats) -> NDArray[np.bool_]:
    """Kinds whose mean [K] is above 0 beyond chance."""
    error = bottoms.std(axis=0, ddof=1) / math.sqrt(len(bottoms)) if len(bottoms) > 1 else np.inf
    return np.asarray(bottoms.mean(axis=0) > Z95 * error)


def _ratio(tops: Floats, bottoms: Floats) -> tuple[float, Interval | None]:
    """Mean over columns of Σ tops / Σ bottoms, and its interval."""
    n, whole = len(tops), bottoms.sum(axis=0)
    ratios = tops.sum(axis=0) / whole
    value = float(ratios.mean())
    if n < 2 or whole.min() < FEW_ERRORS:
        return value, None
    influences = ((tops - ratios * bottoms) * n / whole).mean(axis=1)
    half = float(student.ppf(0.975, n - 1) * influences.std(ddof=1) / math.sqrt(n))
    return value, (value - half, value + half)
