"""Replay: which rows of the old data are learned again (Robins 1995; Chaudhry et al. 2019, balanced by class)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.row_random import ranks


def choose(labels: NDArray[np.int64], names: Sequence[str], count: int, seed: int) -> NDArray[np.int64]:
    """Places of `count` rows, in order: as many of each class as there are, or as the others leave room for.

    Which rows of a class is decided by the row's id and the seed alone: more old rows do not reshuffle the choice.

    Args:
        labels: [rows] classes.
        names: row ids.
    """
    quotas = share_out(np.bincount(labels), count)
    order = np.argsort(ranks(seed, "replay", names), kind="stable")
    kept = [order[labels[order] == of_class][:quota] for of_class, quota in enumerate(quotas.tolist())]
    return np.sort(np.concatenate(kept)).astype(np.int64)


def share_out(there: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """How many rows of each class: equal numbers, no class more than it has, `count` in all if there are so many."""
    left = min(count, int(there.sum()))
    quotas = np.zeros_like(there)
    while left:
        open_ = np.flatnonzero(quotas < there)
        each = max(left // len(open_), 1)
        for place in open_[:left] if each == 1 else open_:
            more = min(each, int(there[place] - quotas[place]), left)
            quotas[place] += more
            left -= more
    return quotas
