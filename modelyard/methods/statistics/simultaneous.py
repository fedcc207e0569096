"""Quantiles for several intervals that shall hold all at once."""

from __future__ import annotations

import math
from functools import lru_cache


@lru_cache(maxsize=1024)
def all_pairs(groups: int, alpha: float = 0.05, freedom: float = math.inf) -> float:
    """Quantile z with which the intervals of all pairwise differences of `groups` means hold at once, with 1 - alpha.

    The studentized range over √2 (Tukey 1953); 1.96 for two groups. With variances that differ it is conservative
    (Kramer 1956; proved by A. J. Hayter 1984, Annals of Statistics 12, 61-75).

    Args:
        freedom: degrees of freedom of the variance: Welch's for each pair is Games and Howell's procedure (1976).
    """
    from scipy.stats import norm, studentized_range, t

    if groups < 2:
        raise ValueError(f"{groups} groups have no pairs")
    if groups == 2:
        return float(norm.ppf(1 - alpha / 2)) if math.isinf(freedom) else float(t.ppf(1 - alpha / 2, freedom))
    return float(studentized_range.ppf(1 - alpha, groups, freedom)) / math.sqrt(2)


@lru_cache(maxsize=1024)
def each(count: int, alpha: float = 0.05) -> float:
    """Quantile z with which `count` independent two-sided intervals hold at once (Šidák 1967)."""
    from scipy.stats import norm

    return float(norm.ppf((1 + (1 - alpha) ** (1 / max(count, 1))) / 2))
