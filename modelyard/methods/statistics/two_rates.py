"""Two independent rates side by side: intervals of their difference and of their ratio."""

from __future__ import annotations

import math
from collections.abc import Callable

from modelyard.methods.statistics.wilson import Z95, wilson

Interval = tuple[float, float]
FAR = 60.0
"""|log ratio| beyond which an end counts as 0 or infinity."""


def newcombe(hits1: int, n1: int, hits2: int, n2: int, z: float = Z95) -> Interval:
    """Interval of hits1 / n1 - hits2 / n2 for independent samples, both with rows.

    Distances of Wilson's ends add in squares. Source: R. G. Newcombe 1998, "Interval estimation for the difference
    between independent proportions", Statistics in Medicine 17, 873-890, method 10 (without continuity correction).
    """
    rate1, rate2 = hits1 / n1, hits2 / n2
    (low1, high1), (low2, high2) = wilson(hits1, n1, z), wilson(hits2, n2, z)
    down, up = math.hypot(rate1 - low1, high2 - rate2), math.hypot(high1 - rate1, rate2 - low2)
    return max(-1.0, rate1 - rate2 - down), min(1.0, rate1 - rate2 + up)


def ratio(hits1: int, n1: int, hits2: int, n2: int, z: float = Z95) -> Interval:
    """Interval of (hits1 / n1) / (hits2 / n2) for independent samples, by the score test; (0, inf) without a hit.

    Source: P. A. R. Koopman 1984, "Confidence intervals for the ratio of two binomial proportions", Biometrics 40,
    513-517. It holds with no hits and with all hits too, where the logarithm of the ratio has no variance.
    """
    if not hits1 and not hits2:
        return 0.0, math.inf

    def excess(log_ratio: float) -> float:
        return _score(math.exp(log_ratio), hits1, n1, hits2, n2) - z

    # The score falls from +inf to -inf along the ratio: it is z at the lower end and -z at the upper.
    low = 0.0 if not hits1 else math.exp(_root(excess))
    high = math.inf if not hits2 else math.exp(_root(lambda x: excess(x) + 2 * z))
    return low, high


def _score(theta: float, hits1: int, n1: int, hits2: int, n2: int) -> float:
    """Studentised (rate1 - theta · rate2), its variance at the likeliest rates with that ratio."""
    sum_ = theta * (n1 + hits2) + hits1 + n2
    root = math.sqrt(max(0.0, sum_**2 - 4 * theta * (n1 + n2) * (hits1 + hits2)))
    # The smaller root of a quadratic, written so that it does not cancel.
    rate1 = min(2 * theta * (hits1 + hits2) / (sum_ + root), 1.0)
    rate2 = min(rate1 / theta, 1.0)
    variance = rate1 * (1 - rate1) / n1 + theta**2 * rate2 * (1 - rate2) / n2
    gap = hits1 / n1 - theta * hits2 / n2
    if variance <= 0:
        return math.copysign(math.inf, gap) if gap else 0.0
    return gap / math.sqrt(variance)


def _root(falling: Callable[[float], float]) -> float:
    """Where a falling function of the log ratio crosses 0; ± FAR if it does not."""
    low, high = -FAR, FAR
    for _ in range(200):
        middle = (low + high) / 2
        if high - low < 1e-13 * max(1.0, abs(middle)):
            break
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2
