"""Which unlabelled rows to label next (active learning).

| strategy | picks | source |
|---|---|---|
| `least_confident` | the lowest best probability | Lewis and Gale 1994 |
| `margin` | the smallest gap of the two best | Scheffer, Decomain and Wrobel 2001 |
| `entropy` | the highest entropy | Shannon 1948; Settles 2009 |
| `k_centre` | greedily the row farthest from all chosen and labelled ones | Gonzalez 1985; Sener and Savarese 2018 |
| `cluster_margin` | small margins, taken in turn from clusters of like rows | Citovsky et al. 2021 |
| `badge` | k-means++ on gradient embeddings: unsure and unlike | Ash et al. 2020 |
| `random` | by a keyed hash of the row id | what the others must beat |

Of rows that are equally good, the order of a keyed hash of the row id decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from modelyard.methods.data.row_random import generator, ranks

Strategy = Literal["least_confident", "margin", "entropy", "k_centre", "cluster_margin", "badge", "random"]
CANDIDATES = 10
"""`cluster_margin` looks at so many times the batch, as in the paper, and makes clusters of that size on average."""
MOST_CANDIDATES = 5_000
PURPOSE = "select"
BLOCK = 256  # labelled rows compared at a time

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """Unlabelled rows.

    Attributes:
        probabilities: [rows, classes] of the model.
        embeddings: [rows, dimensions], of length 1; used by k_centre, cluster_margin and badge.
        labelled: [labelled rows, dimensions], of the rows that have labels; used by k_centre.
        row_ids: names, for ties and for chance.
    """

    probabilities: Floats
    embeddings: Floats
    labelled: Floats
    row_ids: list[str]


def needs_embeddings(strategy: Strategy) -> bool:
    """Whether a strategy looks at what rows say, and not at the model's answers alone."""
    return strategy in ("k_centre", "cluster_margin", "badge")


def choose(strategy: Strategy, pool: Pool, num: int, seed: int) -> Ints:
    """Places of the rows to label, the most worth it first; all rows if there are no more than `num`."""
    num = min(num, len(pool.row_ids))
    if not num:
        return np.zeros(0, np.int64)
    return _STRATEGIES[strategy](pool, num, seed)


def certainty(strategy: Strategy, probabilities: Floats) -> Floats:
    """[rows] 0 to 1, low where the model is unsure; strategies that do not rank by it have the margin."""
    if strategy == "least_confident":
        sure: Floats = probabilities.max(1)
        return sure
    if strategy == "entropy":
        shares = np.maximum(probabilities, 1e-12)
        found: Floats = 1 + (shares * np.log(shares)).sum(1) / math.log(max(2, shares.shape[1]))
        return np.clip(found, 0, 1)
    best = np.sort(probabilities, 1)
    gap: Floats = best[:, -1] - best[:, -2]
    return gap


def _order(values: Floats, tie: NDArray[np.uint64]) -> Ints:
    """Places by value, small first; twelve digits count, so that the last bits of a sum decide nothing."""
    return np.lexsort((tie, np.round(values, 12)))


def _unsure(strategy: Strategy) -> Callable[[Pool, int, int], Ints]:
    def pick(pool: Pool, num: int, seed: int) -> Ints:
        return _order(certainty(strategy, pool.probabilities), ranks(seed, PURPOSE, pool.row_ids))[:num]

    return pick


def _random(pool: Pool, num: int, seed: int) -> Ints:
    return ranks(seed, PURPOSE, pool.row_ids).argsort(kind="stable")[:num]


def _k_centre(pool: Pool, num: int, seed: int) -> Ints:
    tie = ranks(seed, PURPOSE, pool.row_ids)
    nearest = np.full(len(pool.row_ids), np.inf)
    for start in range(0, len(pool.labelled), BLOCK):
        nearest = np.minimum(nearest, _apart(pool.embeddings, pool.labelled[start : start + BLOCK]))
    chosen: list[int] = []
    for _ in range(num):
        place = int(_order(-np.minimum(nearest, 4.0), tie)[0])
        chosen.append(place)
        nearest = np.minimum(nearest, _apart(pool.embeddings, pool.embeddings[[place]]))
        nearest[place] = -1
    return np.array(chosen, np.int64)


def _apart(rows: Floats, centres: Floats) -> Floats:
    """[rows] squared distance to the nearest of some centres."""
    squares = (rows**2).sum(1)[:, None] + (centres**2).sum(1) - 2 * rows @ centres.T
    found: Floats = np.maximum(0, squares.min(1))
    return found


def _cluster_margin(pool: Pool, num: int, seed: int) -> Ints:
    """Clusters of average linkage among the candidates, asked in turn, the smallest first.

    The paper clusters the whole pool once; here only the candidates are, which keeps it quadratic in the batch and not
    in the pool.
    """
    wanted = max(num, min(CANDIDATES * num, MOST_CANDIDATES))
    candidates = _unsure("margin")(pool, min(wanted, len(pool.row_ids)), seed)
    if len(candidates) <= num:
        return candidates
    tree = linkage(pool.embeddings[candidates], method="average")
    cluster = fcluster(tree, max(1, math.ceil(len(candidates) / CANDIDATES)), criterion="maxclust")
    groups: dict[int, list[int]] = {}
    for place, name in zip(candidates.tolist(), cluster.tolist(), strict=True):
        groups.setdefault(name, []).append(place)
    queues = sorted(groups.values(), key=len)
    chosen: list[int] = []
    turn = 0
    while len(chosen) < num:
        chosen += [queue[turn] for queue in queues if turn < len(queue)]
        turn += 1
    return np.array(chosen[:num], np.int64)


def _badge(pool: Pool, num: int, seed: int) -> Ints:
    """k-means++ (Arthur and Vassilvitskii 2007) on g = (p - e) ⊗ h, e the likeliest class and h the embedding.

    Inner products of g are those of its factors multiplied, so that the product itself is never made. The first row
    is the one with the longest g.
    """
    p = pool.probabilities
    residual = p - np.eye(p.shape[1])[p.argmax(1)]
    length = (residual**2).sum(1) * (pool.embeddings**2).sum(1)
    draw = generator(seed, PURPOSE, "badge")
    chosen = [int(_order(-length, ranks(seed, PURPOSE, pool.row_ids))[0])]
    nearest = np.full(len(p), np.inf)
    while len(chosen) < num:
        last = chosen[-1]
        inner = (residual @ residual[last]) * (pool.embeddings @ pool.embeddings[last])
        nearest = np.minimum(nearest, np.maximum(0, length + length[last] - 2 * inner))
        nearest[chosen] = 0
        total = np.cumsum(np.round(nearest, 12))
        if total[-1] > 0:
            chosen.append(int(np.searchsorted(total, draw.random() * total[-1], side="right")))
        else:
            left = np.setdiff1d(_random(pool, len(p), seed), chosen, assume_unique=True)
            chosen += left[: num - len(chosen)].tolist()
    return np.array(chosen, np.int64)


_STRATEGIES: dict[Strategy, Callable[[Pool, int, int], Ints]] = {
    "least_confident": _unsure("least_confident"),
    "margin": _unsure("margin"),
    "entropy": _unsure("entropy"),
    "k_centre": _k_centre,
    "cluster_margin": _cluster_margin,
    "badge": _badge,
    "random": _random,
}
