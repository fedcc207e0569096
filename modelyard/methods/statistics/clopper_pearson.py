"""The exact interval of a rate (Clopper and Pearson 1934): never below its nominal coverage."""

from __future__ import annotations


def upper(hits: int, n: int, confidence: float) -> float:
    """The rate above which `hits` or fewer of `n` have a probability below 1 - confidence; 1 for n = 0."""
    from scipy.stats import beta

    return 1.0 if hits >= n else float(beta.ppf(confidence, hits + 1, n - hits))
