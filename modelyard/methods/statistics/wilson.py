"""Wilson's interval of a rate (E. B. Wilson 1927, JASA 22). What measures a rate and what plans for it use this one."""

from __future__ import annotations

import math

Z95 = 1.959963984540054
"""97.5 % quantile of the standard normal."""


def wilson(hits: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Score interval of a rate: `hits` of `n`. (0, 1) for n = 0, which says nothing."""
    if n <= 0:
        return 0.0, 1.0
    rate, spread = hits / n, z * z / n
    middle = (rate + spread / 2) / (1 + spread)
    half = z * math.sqrt(rate * (1 - rate) / n + spread / (4 * n)) / (1 + spread)
    # The ends at 0 and n hits are exactly 0 and 1; rounding must not move them.
    return (0.0 if hits <= 0 else max(0.0, middle - half)), (1.0 if hits >= n else min(1.0, middle + half))
