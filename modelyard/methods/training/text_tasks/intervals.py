"""Intervals of scores that are no plain share: rows drawn again with replacement (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.training.random import generator

SAMPLES = 1000


def bootstrap(score: Callable[[NDArray[np.int64]], Any], num_rows: int, seed: int) -> NDArray[np.float64]:
    """The 2.5 % and 97.5 % quantiles of each score over samples of the rows.

    Args:
        score: rows drawn to one number, or to [scores].

    Returns:
        [2] or [2, scores].
    """
    draw = generator(seed, "bootstrap", num_rows)
    found = [score(draw.integers(num_rows, size=num_rows)) for _ in range(SAMPLES)]
    result: NDArray[np.float64] = np.quantile(np.array(found), [0.025, 0.975], axis=0)
    return result
