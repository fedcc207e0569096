"""Accuracy or error by a column: domains, sources, dates. The shift between them is measured, not made.

Words are their own slices (the commonest, the rest together); numbers and times (dates written as ISO 8601 too) are cut
into equal parts of the rows, in order. Each slice is compared with all other rows: rates by Newcombe 1998, method 10 of
independent rates; squared errors by Welch's interval of two means.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.robustness.judging import Floats
from modelyard.methods.evaluation.robustness.summary import rate, rmse
from modelyard.methods.statistics.two_rates import newcombe
from modelyard.methods.statistics.wilson import wilson

Bools = NDArray[np.bool_]
REST = "(rest)"
NOTHING = "(none)"


def slice_names(values: Sequence[Any], most: int) -> list[str]:
    """The slice of each row: at most `most` of them."""
    values = _dates(values)
    known = [value for value in values if value is not None]
    ordered = all(isinstance(value, int | float | date | datetime) and not isinstance(value, bool) for value in known)
    if known and ordered and len(set(known)) > most:
        return _parts(values, most)
    words = [NOTHING if value is None else str(value) for value in values]
    counts = Counter(words)
    named = sorted(counts, key=lambda word: (-counts[word], word))
    kept = set(named if len(named) <= most else named[: most - 1])
    return [word if word in kept else REST for word in words]


def _dates(values: Sequence[Any]) -> Sequence[Any]:
    """Words that are all dates or times as such; else as they are."""
    try:
        read = [datetime.fromisoformat(value) if value else None for value in values]
        known = [value for value in read if value is not None]
        if all(isinstance(value, str | None) for value in values) and sorted(known):
            return [value if value is None or value.time() != time.min else value.date() for value in read]
    except (TypeError, ValueError):
        pass
    return values


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
    """Accuracy (or RMSE) by slice, its gap to the other rows, and the worst slice with a simultaneous interval
    (Bonferroni).

    Args:
        clean: [n] errors of the rows.
        least: slices with fewer rows are not measured.
    """
    of_row = np.array(names)
    sizes = Counter(names)
    kept = [name for name in sorted(sizes) if sizes[name] >= least]
    found = []
    for name in kept:
        inside = of_row == name
        found += (_rates if is_rate else _numbers)(clean, inside, {column: name})
    if len(kept) > 1 and is_rate:
        found.append(_worst(column, [(int((1 - clean[of_row == name]).sum()), sizes[name]) for name in kept]))
    elif len(kept) > 1:
        found.append(_worst_number(column, [clean[of_row == name] ** 2 for name in kept]))
    return found


def _rates(clean: Floats, inside: Bools, part: dict[str, str]) -> list[Estimate]:
    right = 1 - clean
    found = [rate("accuracy", right[inside], part)]
    return found if inside.all() else [*found, _gap(right[~inside], right[inside], part)]


def _numbers(clean: Floats, inside: Bools, part: dict[str, str]) -> list[Estimate]:
    found = [rmse("rmse", clean[inside], part, 0)]
    return found if inside.all() else [*found, _more(clean[~inside] ** 2, clean[inside] ** 2, part)]


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


def _more(others: Floats, own: Floats, part: dict[str, str]) -> Estimate:
    """Mean of the slice's squared errors less that of the other rows, with Welch's interval."""
    value = float(own.mean() - others.mean())
    if min(own.size, others.size) < 2:
        return Estimate("mse_rise", value, None, own.size, part)
    parts = own.var(ddof=1) / own.size, others.var(ddof=1) / others.size
    whole = float(sum(parts))
    if whole == 0:
        return Estimate("mse_rise", value, None, own.size, part)
    freedom = whole**2 / (parts[0] ** 2 / (own.size - 1) + parts[1] ** 2 / (others.size - 1))
    half = float(student.ppf(0.975, freedom)) * math.sqrt(whole)
    return Estimate("mse_rise", value, (value - half, value + half), own.size, part)


def _worst_number(column: str, squares: Sequence[Floats]) -> Estimate:
    """The largest RMSE of all slices; its ends are the largest of all, which hold together (Student, Bonferroni)."""
    ends = []
    for own in squares:
        half = float(student.ppf(1 - 0.025 / len(squares), own.size - 1)) * float(own.std(ddof=1)) / math.sqrt(own.size)
        ends.append((max(0.0, float(own.mean()) - half), float(own.mean()) + half))
    means = [float(own.mean()) for own in squares]
    worst = int(np.argmax(means))
    interval = math.sqrt(max(low for low, _ in ends)), math.sqrt(max(high for _, high in ends))
    return Estimate("worst_slice_rmse", math.sqrt(means[worst]), interval, squares[worst].size, {"by": column})
