"""Which rows of a graph of near duplicates stay.

Splits the data comes with are worked through from test to train. A row near a row that stays in a higher split goes.
Of what is left in a split, clusters under several labels are settled, and then one row of each cluster stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.duplicates import graph
from modelyard.methods.data.duplicates.graph import Edges, Nodes

Linkage = Literal["chained", "direct"]
Conflicts = Literal["drop", "keep", "majority"]
KEPT, REPEATED, LEAKING, CONFLICTING = range(4)
NUM_SIDES = 3


@dataclass(frozen=True)
class Graph:
    """Rows that take part, and which texts of theirs are near each other.

    Attributes:
        texts: [rows] number of each row's text; rows with the same shingles have the same.
        sides: [rows] 0 (train or not split), 1 (validation) or 2 (test).
        ranks: [rows] the lower, the rather it is kept; no two alike.
        labels: [rows] number of the label, -1 for none.
        edges: between texts.
    """

    texts: Nodes
    sides: NDArray[np.int8]
    ranks: Nodes
    labels: Nodes
    edges: Edges


@dataclass(frozen=True)
class Fates:
    """What becomes of each row.

    Attributes:
        fates: [rows] KEPT, REPEATED (near a row kept), LEAKING (near a row of a higher split) or CONFLICTING.
        near: [rows] the row it made way for, -1 if none.
        similarity: [rows] to that row; not a number where the two were not compared.
        num_conflicts: clusters under several labels.
        num_conflicting: rows in them.
    """

    fates: NDArray[np.int8]
    near: Nodes
    similarity: NDArray[np.float64]
    num_conflicts: int
    num_conflicting: int


def settle(rows: Graph, linkage: Linkage, conflicts: Conflicts) -> Fates:
    """Decide for every row.

    Args:
        linkage: `chained`: a cluster is all that hangs together, and one row of it stays; `direct`: rows are taken
            by rank, and one goes only if it is itself near a row that stays.
        conflicts: of rows under several labels: drop all, keep the label most have (none if two tie), or pay no heed.
    """
    job = _Settling(rows, linkage, conflicts)
    for side in reversed(range(NUM_SIDES)):
        job.settle(side)
    return Fates(job.fates, job.near, job.similarity, job.num_conflicts, job.num_conflicting)


class _Settling:
    """A unit is the rows of one text in one split: what is near one of them is near all."""

    def __init__(self, rows: Graph, linkage: Linkage, conflicts: Conflicts) -> None:
        self.rows, self.linkage, self.conflicts = rows, linkage, conflicts
        num_rows = len(rows.texts)
        codes, self.unit = np.unique(rows.texts * NUM_SIDES + rows.sides, return_inverse=True)
        self.num_units = len(codes)
        self.unit_side = (codes % NUM_SIDES).astype(np.int8)
        self.edges = _between_units(codes, rows.edges)
        self.standing = np.zeros(self.num_units, dtype=bool)
        self.fates = np.full(num_rows, KEPT, np.int8)
        self.near = np.full(num_rows, -1, np.int64)
        self.similarity = np.full(num_rows, np.nan)
        self.num_conflicts = self.num_conflicting = 0

    def settle(self, side: int) -> None:
        mine = self.unit_side == side
        self.remove_leaking(mine)
        inside = self.edges.of(self.alive(mine)[self.edges.firsts] & self.alive(mine)[self.edges.seconds])
        self.remove_conflicting(mine, inside)
        alive = self.alive(mine)
        self.keep_one(mine, inside.of(alive[inside.firsts] & alive[inside.seconds]), inside)

    def alive(self, units: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Those of `units` that have a row left."""
        result = np.zeros(self.num_units, dtype=bool)
        result[self.unit[(self.fates == KEPT) & units[self.unit]]] = True
        return result

    def best(self, groups: Nodes, rows: Nodes, num_groups: int) -> Nodes:
        """[groups] the row of lowest rank of each group, -1 for a group without rows; `groups` is of each of `rows`."""
        result = np.full(num_groups, -1, np.int64)
        order = np.argsort(-self.rows.ranks[rows])
        result[groups[order]] = rows[order]
        return result

    def remove_leaking(self, mine: NDArray[np.bool_]) -> None:
        """Rows near one that stands in a higher split. (`chained`: any that is no conflict; `direct`: any kept.)"""
        targets = self.standing & ~mine
        if not targets.any():
            return
        holders = np.flatnonzero((self.fates == KEPT) | (self.fates == REPEATED))
        best = self.best(self.unit[holders], holders, self.num_units)
        near, weights = graph.nearest(self.num_units, self.edges, targets, self.rows.ranks[best])
        rows = np.flatnonzero(mine[self.unit] & (near[self.unit] >= 0))
        self.mark(rows, LEAKING, best[near[self.unit[rows]]], weights[self.unit[rows]])

    def remove_conflicting(self, mine: NDArray[np.bool_], inside: Edges) -> None:
        rows = np.flatnonzero((self.fates == KEPT) & mine[self.unit])
        if self.linkage == "chained":
            group = graph.components(self.num_units, inside)[self.unit]
            entries = np.stack([group[rows], self.rows.labels[rows]], axis=1)
        else:
            group = self.unit
            both = inside.both_ways()
            # A unit's label counts reach its neighbours: sorted by unit, the rows of each are one run.
            order = rows[np.argsort(self.unit[rows], kind="stable")]
            begin = np.searchsorted(self.unit[order], np.arange(self.num_units + 1))
            counts = np.diff(begin)[both.seconds]
            ends = np.cumsum(counts)
            places = np.arange(int(counts.sum())) - np.repeat(ends - counts - begin[both.seconds], counts)
            beside = np.stack([np.repeat(both.firsts, counts), self.rows.labels[order[places]]], axis=1)
            entries = np.concatenate([np.stack([group[rows], self.rows.labels[rows]], axis=1), beside])
        several, winner = _votes(entries, self.num_units)
        torn = rows[several[group[rows]]]
        self.num_conflicting += len(torn)
        self.num_conflicts += len(np.unique(group[torn]))
        if self.conflicts == "keep":
            return
        labels = self.rows.labels[torn]
        lost = (winner[group[torn]] < 0) | ((labels >= 0) & (labels != winner[group[torn]]))
        self.mark(torn[lost] if self.conflicts == "majority" else torn, CONFLICTING)

    def keep_one(self, mine: NDArray[np.bool_], inside: Edges, all_inside: Edges) -> None:
        rows = np.flatnonzero((self.fates == KEPT) & mine[self.unit])
        best = self.best(self.unit[rows], rows, self.num_units)
        ranks = np.where(best >= 0, self.rows.ranks[best], np.iinfo(np.int64).max)
        if self.linkage == "chained":
            # As it was before conflicts were settled: what a dropped row held together stays one cluster.
            group = graph.components(self.num_units, all_inside)
            winner = self.best(group[self.unit[rows]], rows, self.num_units)[group]
            weights = _weights_to(self.num_units, inside, self.unit[winner], winner >= 0)
            self.standing |= self.alive(mine)
        else:
            stays = graph.leaders(self.alive(mine), inside, ranks)
            near, weights = graph.nearest(self.num_units, inside, stays, ranks)
            winner = np.where(stays, best, np.where(near >= 0, best[near], -1))
            self.standing |= stays
        weights[self.unit[winner[winner >= 0]]] = 1.0
        gone = rows[winner[self.unit[rows]] != rows]
        self.mark(gone, REPEATED, winner[self.unit[gone]], weights[self.unit[gone]])

    def mark(
        self, rows: Nodes, fate: int, near: Nodes | None = None, similarity: NDArray[np.float64] | None = None
    ) -> None:
        self.fates[rows] = fate
        if near is not None and similarity is not None:
            self.near[rows], self.similarity[rows] = near, similarity


def _between_units(codes: Nodes, edges: Edges) -> Edges:
    """Edges between texts as edges between their units; units of one text in several splits are near each other too."""
    texts = np.unique(codes // NUM_SIDES)
    unit_at = np.full((len(texts), NUM_SIDES), -1, np.int64)
    unit_at[np.searchsorted(texts, codes // NUM_SIDES), codes % NUM_SIDES] = np.arange(len(codes))
    parts = []
    firsts, seconds = np.searchsorted(texts, edges.firsts), np.searchsorted(texts, edges.seconds)
    for side in range(NUM_SIDES):
        for other in range(NUM_SIDES):
            parts.append(Edges(unit_at[firsts, side], unit_at[seconds, other], edges.weights))
        for other in range(side):
            parts.append(Edges(unit_at[:, side], unit_at[:, other], np.ones(len(texts))))
    every = graph.joined(parts)
    return every.of((every.firsts >= 0) & (every.seconds >= 0))


def _votes(entries: NDArray[np.int64], num_groups: int) -> tuple[NDArray[np.bool_], Nodes]:
    """(whether a group has several labels, the label most of its entries have, -1 if two tie), of each group.

    Args:
        entries: [entries, 2] group and label, -1 for none.
    """
    several, winner = np.zeros(num_groups, dtype=bool), np.full(num_groups, -1, np.int64)
    entries = entries[entries[:, 1] >= 0]
    if not len(entries):
        return several, winner
    size = int(entries[:, 1].max()) + 1
    codes, counts = np.unique(entries[:, 0] * size + entries[:, 1], return_counts=True)
    order = np.lexsort((counts, codes // size))
    group, label, counts = (codes // size)[order], (codes % size)[order], counts[order]
    last = np.append(group[1:] != group[:-1], True)
    tied = np.zeros(len(group), dtype=bool)
    tied[1:] = (group[1:] == group[:-1]) & (counts[1:] == counts[:-1])
    several[group[~last]] = True
    winner[group[last]] = np.where(tied[last], -1, label[last])
    return several, winner


def _weights_to(num_units: int, edges: Edges, targets: Nodes, there: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[units] weight of each unit's edge to its own target, not a number where it has none."""
    both = edges.both_ways()
    mine = there[both.firsts] & (both.seconds == targets[both.firsts])
    weights = np.full(num_units, np.nan)
    weights[both.firsts[mine]] = both.weights[mine]
    return weights
