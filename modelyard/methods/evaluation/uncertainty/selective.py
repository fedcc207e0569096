"""What is gained by answering the surest rows only: risk over coverage (El-Yaniv and Wiener 2010)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
DRAWS = 500


def risks(wrong: Bools, confidence: Floats) -> Floats:
    """Share of wrong answers among the k surest rows, for k = 1 … n. Rows of one confidence share their risk: order
    among them says nothing."""
    order = np.argsort(-confidence, kind="stable")
    ranked, errors = confidence[order], wrong[order].astype(np.float64)
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    count = np.diff(np.append(starts, ranked.size))
    shared = np.repeat(np.add.reduceat(errors, starts) / count, count)
    result: Floats = np.cumsum(shared) / np.arange(1, ranked.size + 1)
    return result


def aurc(wrong: Bools, confidence: Floats) -> float:
    """Area under risk over coverage: the mean of `risks` (Geifman, Uziel and El-Yaniv 2019)."""
    return float(risks(wrong, confidence).mean())


def excess(wrong: Bools, confidence: Floats) -> float:
    """AURC less that of the best order possible with as many mistakes: 0 if every mistake is less sure than every
    right answer (E-AURC, the same paper)."""
    return aurc(wrong, confidence) - aurc(wrong, 1.0 - wrong.astype(np.float64))


def interval(wrong: Bools, confidence: Floats, seed: int, what: object = aurc) -> tuple[float, float] | None:
    """95 % by the bootstrap over rows (percentiles); None with no mistake or mistakes only."""
    if not wrong.any() or wrong.all():
        return None
    generator = np.random.default_rng(seed)
    n = wrong.size
    found = np.empty(DRAWS)
    for draw in range(DRAWS):
        rows = generator.integers(0, n, n)
        found[draw] = what(wrong[rows], confidence[rows])  # type: ignore[operator]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
