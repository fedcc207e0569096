"""Many tests at once: p-values adjusted so that what is called a finding is rarely chance."""

from __future__ import annotations

from collections.abc import Sequence


def benjamini_hochberg(values: Sequence[float]) -> list[float]:
    """Adjusted p-values: the least false discovery rate at which each would be a finding.

    Findings at rate q are those with an adjusted value of at most q; in the mean over many such lists at most the share
    q of them is chance. Holds for independent tests and for ones that depend positively, as overlapping groups of rows
    do. Source: Benjamini and Hochberg 1995, JRSS B 57; Benjamini and Yekutieli 2001, Annals of Statistics 29.

    Args:
        values: p-values in [0, 1], in any order.
    """
    count = len(values)
    order = sorted(range(count), key=lambda place: values[place], reverse=True)
    found, least = [1.0] * count, 1.0
    for above, place in enumerate(order):
        least = min(least, values[place] * count / (count - above))
        found[place] = least
    return found


def selected_level(num_selected: int, num_tests: int, rate: float = 0.05) -> float:
    """Level of the intervals of what was selected, so that the share of them that miss is at most `rate`.

    1 - rate · selected / tests; `1 - rate` if all were selected. Source: Benjamini and Yekutieli 2005, JASA 100, "False
    discovery rate-adjusted multiple confidence intervals for selected parameters".
    """
    return 1 - rate * min(1.0, max(1, num_selected) / max(1, num_tests))
