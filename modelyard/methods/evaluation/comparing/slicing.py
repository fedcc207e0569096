"""Groups of rows made without a look at any answer: by column, length, language, label, cluster, and pairs of these.

Categories of a column with enough rows are groups; numbers with many values are cut at their quartiles. Texts are
clustered by k-means on TF-IDF weights of their character n-grams and named by the n-grams nearest to the centre.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
CATEGORIES = 30
"""Of one column, the commonest ones."""
FEW_VALUES = 8
"""A number with no more different values is a category."""
MISSING = "(missing)"
TERMS = 3
DIMENSIONS = 32


@dataclass(frozen=True)
class Slice:
    """Rows that share what `part` says: `{column: value}`, two columns for a pair. `rows`: [n]."""

    part: Mapping[str, str]
    rows: Bools

    @property
    def n(self) -> int:
        return int(self.rows.sum())


def of_column(name: str, values: Sequence[Any], least: int) -> list[Slice]:
    """Groups of a column: its categories, or quartiles of its numbers, with at least so many rows."""
    numbers = _numbers(values)
    if numbers is not None and len(set(numbers[np.isfinite(numbers)].tolist())) > FEW_VALUES:
        return of_numbers(name, numbers, least)
    written = [MISSING if value is None else str(value) for value in values]
    common = [value for value, count in Counter(written).most_common(CATEGORIES) if count >= least]
    array = np.array(written, dtype=object)
    return [Slice({name: value}, array == value) for value in sorted(common)]


def of_numbers(name: str, numbers: Floats, least: int, bins: int = 4) -> list[Slice]:
    """Quantile bins of numbers; rows without one are a group of their own."""
    there = np.isfinite(numbers)
    ends = sorted(set(np.quantile(numbers[there], np.linspace(0, 1, bins + 1)).tolist()))
    found = []
    for place, (low, high) in enumerate(pairwise(ends)):
        above = numbers >= low if place == 0 else numbers > low
        bracket = "[" if place == 0 else "("
        found.append(Slice({name: f"{bracket}{low:.4g}, {high:.4g}]"}, above & (numbers <= high)))
    found.append(Slice({name: MISSING}, ~there))
    return [one for one in found if one.n >= least]


def _numbers(values: Sequence[Any]) -> Floats | None:
    """The column as numbers (NaN where there is none); None if anything in it is no number."""
    found = np.full(len(values), math.nan)
    for place, value in enumerate(values):
        if value is None or value == "":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        try:
            found[place] = float(value)
        except ValueError:
            return None
    return found if np.isfinite(found).any() else None


def of_languages(texts: Sequence[str], least: int) -> list[Slice]:
    """By language, where there is more than one; the commonest is named by ISO 639."""
    from modelyard.methods.data.language import Detector

    detect = Detector()
    codes = np.array([detect(text) or "undecided" for text in texts], dtype=object)
    found = [Slice({"language": code}, codes == code) for code in sorted(set(codes.tolist()))]
    return [one for one in found if least <= one.n] if len(found) > 1 else []


def of_clusters(texts: Sequence[str], count: int, least: int, seed: int) -> list[Slice]:
    """k-means of texts; empty if there are too few for two clusters."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    count = min(count, len(texts) // max(1, least))
    if count < 2:
        return []
    reader = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=2, max_features=20_000, sublinear_tf=True)
    try:
        weights = reader.fit_transform(texts)
    except ValueError:  # no n-gram stands in two texts
        return []
    terms = reader.get_feature_names_out()
    size = min(DIMENSIONS, min(weights.shape) - 1)
    if size < 2:
        return []
    points = normalize(TruncatedSVD(size, random_state=seed).fit_transform(weights))
    member = KMeans(count, n_init=3, random_state=seed).fit(points).labels_
    mean = np.asarray(weights.mean(axis=0)).ravel()
    found = []
    for cluster in range(count):
        rows: Bools = member == cluster
        if rows.sum() >= least:
            above = np.asarray(weights[rows].mean(axis=0)).ravel() - mean
            found.append(Slice({"cluster": _called(above, terms)}, rows))
    return found


def _called(above: Floats, terms: Any) -> str:
    """The n-grams a cluster has more of than the rest, none inside another."""
    names: list[str] = []
    for place in np.argsort(-above, kind="stable"):
        name = str(terms[place]).strip()
        if len(name) > 1 and not any(name in other or other in name for other in names):
            names.append(name)
        if len(names) == TERMS:
            break
    return " ".join(names)


def pairs(slices: Sequence[Slice], least: int, most: int) -> Iterator[Slice]:
    """Intersections of two groups of different columns that hold enough rows, the largest first."""
    found = []
    for one, two in combinations(slices, 2):
        if set(one.part) & set(two.part):
            continue
        rows = one.rows & two.rows
        size = int(rows.sum())
        if least <= size < min(one.n, two.n):
            found.append(Slice({**one.part, **two.part}, rows))
    yield from sorted(found, key=lambda one: -one.n)[: max(0, most)]


def distinct(slices: Sequence[Slice], n: int) -> list[Slice]:
    """Without groups of all rows and without a second group of the very same rows."""
    seen: set[bytes] = set()
    found = []
    for one in slices:
        key = np.packbits(one.rows).tobytes()
        if one.n < n and key not in seen:
            seen.add(key)
            found.append(one)
    return found
