"""A graph of rows that are near each other, and what is asked of it: components, leaders, the nearest neighbour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Nodes = NDArray[np.int64]


@dataclass(frozen=True)
class Edges:
    """Edges without direction, each once.

    Attributes:
        firsts, seconds: [edges] its ends.
        weights: [edges] similarity; not a number where it was not computed.
    """

    firsts: Nodes
    seconds: Nodes
    weights: NDArray[np.float64]

    def of(self, chosen: NDArray[np.bool_]) -> Edges:
        """Only the chosen edges."""
        return Edges(self.firsts[chosen], self.seconds[chosen], self.weights[chosen])

    def both_ways(self) -> Edges:
        """Every edge from either end."""
        return Edges(
            np.concatenate([self.firsts, self.seconds]),
            np.concatenate([self.seconds, self.firsts]),
            np.concatenate([self.weights, self.weights]),
        )

    def __len__(self) -> int:
        return len(self.firsts)


def joined(parts: Sequence[Edges]) -> Edges:
    """All edges of all parts."""
    return Edges(
        np.concatenate([part.firsts for part in parts]),
        np.concatenate([part.seconds for part in parts]),
        np.concatenate([part.weights for part in parts]),
    )


def components(num_nodes: int, edges: Edges) -> Nodes:
    """[nodes] number of the connected component of each (union-find over the edges)."""
    ones = np.ones(len(edges), np.int8)
    table = coo_array((ones, (edges.firsts, edges.seconds)), shape=(num_nodes, num_nodes))
    labels: Nodes = connected_components(table, directed=False)[1].astype(np.int64)
    return labels


def leaders(nodes: NDArray[np.bool_], edges: Edges, ranks: Nodes) -> NDArray[np.bool_]:
    """[nodes] whether each is kept when those of `nodes` are taken by rank, each unless it has a neighbour that was.

    The lexicographically first maximal independent set, found in rounds (Blelloch, Fineman & Shun 2012).
    """
    chosen = np.zeros(len(nodes), dtype=bool)
    open_ = nodes.copy()
    both = edges.both_ways()
    while open_.any():
        both = both.of(open_[both.firsts] & open_[both.seconds])
        lowest = np.full(len(nodes), np.iinfo(np.int64).max)
        np.minimum.at(lowest, both.firsts, ranks[both.seconds])
        fresh = open_ & (ranks < lowest)
        chosen |= fresh
        open_ &= ~fresh
        open_[both.seconds[fresh[both.firsts]]] = False
    return chosen


def nearest(
    num_nodes: int, edges: Edges, targets: NDArray[np.bool_], ranks: Nodes
) -> tuple[Nodes, NDArray[np.float64]]:
    """The most similar neighbour of each node among `targets` (of equals the lowest rank): node, or -1, and weight."""
    both = edges.both_ways()
    both = both.of(targets[both.seconds])
    order = np.lexsort((-ranks[both.seconds], np.nan_to_num(both.weights), both.firsts))
    near, weights = np.full(num_nodes, -1, np.int64), np.full(num_nodes, np.nan)
    near[both.firsts[order]] = both.seconds[order]  # the last of a node's edges stays: the best
    weights[both.firsts[order]] = both.weights[order]
    return near, weights
