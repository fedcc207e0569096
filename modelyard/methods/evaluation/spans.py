"""Spans of text with a type: found only if both ends and the type are right (strict, CoNLL 2003).

Documents are what is independent: spans of one document share its language and its errors, so intervals resample
documents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.estimates import Estimate, Interval
from modelyard.methods.evaluation.means import LEAST, linear_interval, ratio_interval

Floats = NDArray[np.float64]
Span = tuple[int, int, str]


@dataclass(frozen=True)
class Counts:
    """Spans of each document and type [n, T]: true, found, and both.

    Attributes:
        types: names [T], sorted.
    """

    types: tuple[str, ...]
    true: Floats
    found: Floats
    hits: Floats

    @classmethod
    def of(cls, true: Sequence[Sequence[Span]], found: Sequence[Sequence[Span]]) -> Counts:
        """From the spans of each document; a span given twice counts once as a hit."""
        types = sorted({span[2] for side in (true, found) for document in side for span in document})
        place = {name: at for at, name in enumerate(types)}
        arrays = [np.zeros((len(true), len(types))) for _ in range(3)]
        for row, (one, two) in enumerate(zip(true, found, strict=True)):
            first, second = Counter(one), Counter(two)
            for array, spans in zip(arrays, (first, second, first & second), strict=True):
                for span, count in spans.items():
                    array[row, place[span[2]]] += count
        return cls(tuple(types), *arrays)


def measure(counts: Counts, missing: dict[str, str], seed: int = 0) -> list[Estimate]:
    """Precision, recall and F1 over all spans and by type; F1 macro over types."""
    everything = [array.sum(axis=1) for array in (counts.true, counts.found, counts.hits)]
    estimates = _of(everything, {}, missing, "", seed)
    for place, name in enumerate(counts.types):
        parts = [array[:, place] for array in (counts.true, counts.found, counts.hits)]
        estimates += _of(parts, {"type": name}, missing, f" of {name}", seed)
    if counts.types:
        value, ends = _macro(counts)
        estimates.append(Estimate("span_f1_macro", value, ends, int(counts.true.sum())))
    return estimates


def _of(
    parts: Sequence[Floats], slice_: dict[str, str], missing: dict[str, str], suffix: str, seed: int
) -> list[Estimate]:
    true, found, hits = parts
    estimates = []
    ratios = {"span_precision": (hits, found), "span_recall": (hits, true), "span_f1": (2 * hits, true + found)}
    reasons = {"span_precision": "nothing was found", "span_recall": "there is no such span in these rows",
               "span_f1": "there is no such span, true or found"}  # fmt: skip
    for name, (tops, bottoms) in ratios.items():
        whole = float(bottoms.sum())
        if not whole > 0:
            missing[name + suffix] = reasons[name]
            continue
        # Documents without a span of the kind carry nothing about it.
        there = bottoms > 0
        ends = ratio_interval(tops[there], bottoms[there], seed, bounded=True)
        n = int(true.sum()) if name != "span_precision" else int(found.sum())
        estimates.append(Estimate(name, float(tops.sum()) / whole, ends, max(n, 1), slice_))
    return estimates


def _macro(counts: Counts) -> tuple[float, Interval | None]:
    """Mean over types of F1, and its interval from documents' influences; none if a type has too few documents."""
    tops, bottoms = 2 * counts.hits, counts.true + counts.found
    whole = bottoms.sum(axis=0)
    ratios = tops.sum(axis=0) / whole
    influences = ((tops - ratios * bottoms) * len(tops) / whole).mean(axis=1)
    few = (bottoms > 0).sum(axis=0).min() < LEAST
    return float(ratios.mean()), None if few else linear_interval(float(ratios.mean()), influences)
