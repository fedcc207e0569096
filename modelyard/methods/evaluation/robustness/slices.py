"""Accuracy by a column: domains, sources, dates. The shift between them is measured, not made.

Words are their own slices (the commonest, the rest together); numbers and times are cut into equal parts of the
rows, in order. Each slice is compared with all other rows: Newcombe 1998, method 10, independent rates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
from scipy.stats import norm

from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.robustness.judging import Floats
from modelyard.methods.evaluation.robustness.summary import rate
from modelyard.methods.statistics.two_rates import newcombe
from modelyard.methods.statistics.wilson import wilson

REST = "(rest)"
NOTHING = "(none)"


def slice_names(values: Sequence[Any], most: int) -> list[str]:
    """The slice of each row: at most `most` of them."""
    known = [value for value in values if value is not None]
    ordered = all(isinstance(value, int | float | date | datetime) and not isinstance(value, bool) for value in known)
    if known and ordered and len(set(known)) > most:
        return _parts(values, most)
    words = [NOTHING if value is None else str(value) for value in values]
    counts = Counter(words)
    named = sorted(counts, key=lambda word: (-counts[word], word))
    kept = set(named if len(named) <= most else named[: most - 1])
    return [word if word in kept else REST for word in words]


def _parts(values: Sequence[Any], most: int) -> list[str]:
    """Equal parts in order, named by their ends; equal values stay together."""
    known = sorted(value for value in values if value is not None)
    cuts = sorted({known[len(known) * part // most] for part in range(1, most)})
    edges = [known[0], *(cut for cut in cuts if cut != known[0]), known[-1]]

    def name(value: Any) -> str:
        if value is None:
            return NOTHING
        at = max(0, min(len(edges) - 2, sum(value >= edge for edge in edges) - 1))
        return f"{edges[at]} … {edges[at + 1]}"

    return [name(value) for value in values]


def estimates(column: str, names: Sequence[str], clean: Floats, is_rate: bool, least: int) -> list[Estimate]:
    """Accuracy by slice, its gap to the other rows, and the worst slice with a simultaneous interval (Bonferroni).

    Args:
        clean: [n] errors of the rows.
        least: slices with fewer rows are not measured.
    """
    if not is_rate:
        return []
    right, of_row = 1 - clean, np.array(names)
    sizes = Counter(names)
    kept = [name for name in sorted(sizes) if sizes[name] >= least]
    found = []
    for name in kept:
        inside = of_row == name
        found.append(rate("accuracy", right[inside], {column: name}))
        if not inside.all():
            found.append(_gap(right[~inside], right[inside], {column: name}))
    if len(kept) > 1:
        found.append(_worst(column, [(int(right[of_row == name].sum()), sizes[name]) for name in kept]))
    return found


def _worst(column: str, rates: Sequence[tuple[int, int]]) -> Estimate:
    """The least of all accuracies; its ends are the least of all ends, which hold together for all slices."""
    hits, n = min(rates, key=lambda one: (one[0] / one[1], one))
    ends = [wilson(*one, float(norm.ppf(1 - 0.025 / len(rates)))) for one in rates]
    interval = (min(low for low, _ in ends), min(high for _, high in ends))
    return Estimate("worst_slice_accuracy", hits / n, interval, n, {"by": column})


def _gap(others: Floats, own: Floats, part: dict[str, str]) -> Estimate:
    ends = newcombe(int(others.sum()), others.size, int(own.sum()), own.size)
    value = float(others.mean() - own.mean())
    return Estimate("accuracy_drop", value, ends, own.size, part)
