"""Thresholds of conformal sets and intervals, from rows the model did not learn from. What they are: conformal.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.postprocessing.conformal import Thresholds, label_scores, threshold
from modelyard.methods.postprocessing.step import Floats

Ints = NDArray[np.int64]
Settings = dict[str, Any]


def own_scores(probabilities: Floats, actual: Ints, kind: str, penalty: float, free: int) -> Floats:
    """The score of each row's right label [n]."""
    scores: Floats = label_scores(probabilities, kind, penalty, free)[np.arange(len(actual)), actual]
    return scores


def by_class(scores: Floats, actual: Ints, num_classes: int, alpha: float) -> Thresholds:
    """A threshold for each class; a class with fewer than 1/α - 1 rows is in every set."""
    found = [threshold(scores[actual == place], alpha) for place in range(num_classes)]
    return Thresholds(threshold(scores, alpha), found)


def by_group(scores: Floats, groups: Sequence[str], column: str, alpha: float) -> Thresholds:
    """A threshold for each group; rows of no group that was seen have the largest of them."""
    names = np.array(groups, dtype=object)
    found = {name: threshold(scores[names == name], alpha) for name in sorted(set(groups))}
    return Thresholds(threshold(scores, alpha), (), column, found)


def by_bin(scores: Floats, values: Floats, bins: int, alpha: float) -> Settings:
    """A threshold for each bin of what the answer says: its value, or the width it expects.

    Edges are quantiles of the answers, which the truths have no part in; so it holds in each bin for rows that fall
    into it (Mondrian: Vovk, Gammerman and Shafer 2005; by expected difficulty: Boström and Johansson 2020).
    """
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins))
    place = np.searchsorted(edges, values, side="right")
    found = [threshold(scores[place == one], alpha) for one in range(edges.size + 1)]
    if not edges.size:
        return {"threshold": threshold(scores, alpha)}
    return {"threshold": threshold(scores, alpha), "edges": edges.tolist(), "bins": found}
