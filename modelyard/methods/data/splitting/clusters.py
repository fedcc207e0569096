"""Clusters: rows that share a normalised text or a group, which no split may cut, and how many rows of which class each
holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.grouping import Index, index_type, starts
from modelyard.methods.data.splitting.sides import NO_GROUP, Rows


def clusters(rows: Rows) -> Index:
    """Cluster of each row, numbered from 0: rows that share a text or a group, directly or through others."""
    if rows.groups is None or not len(rows):
        return rows.texts
    kind = index_type(len(rows))
    order = np.lexsort((rows.groups, rows.texts))
    texts, groups = rows.texts[order], rows.groups[order]
    del order
    # A text whose rows are in several groups joins them: each pair of neighbours in its run of rows is one edge.
    edge = (texts[1:] == texts[:-1]) & (groups[1:] != groups[:-1]) & (groups[:-1] != NO_GROUP)
    root = _joined(int(groups.max()) + 1, zip(groups[:-1][edge].tolist(), groups[1:][edge].tolist(), strict=True))
    last = np.append(texts[1:] != texts[:-1], True)  # the last row of a run has a group if any row of it has
    group_of_text = groups[last]
    found = np.empty(len(group_of_text), dtype=kind)
    alone = group_of_text == NO_GROUP
    found[~alone] = root[group_of_text[~alone]]
    found[alone] = len(root) + np.arange(int(alone.sum()))
    used = np.zeros(len(root) + int(alone.sum()), dtype=np.bool_)
    used[found] = True
    numbers = (np.cumsum(used) - 1).astype(kind)
    return numbers[found][rows.texts]


def _joined(num: int, edges: Iterator[tuple[int, int]]) -> Index:
    """Root of each of `num` nodes after joining the ends of all edges (union-find)."""
    parent = np.arange(num, dtype=index_type(num))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = int(parent[node])
        return node

    for one, other in edges:
        parent[root(one)] = root(other)
    while True:  # every node straight to its root
        higher = parent[parent]
        if (higher == parent).all():
            return parent
        parent = higher


@dataclass(frozen=True)
class Table:
    """Rows of each cluster by class, the zeros left out.

    Attributes:
        first: [clusters + 1], where the entries of each cluster begin.
        classes, counts: class and rows of each entry, classes in order inside a cluster.
    """

    first: Index
    classes: NDArray[np.int32]
    counts: Index
    num_classes: int

    @classmethod
    def of(cls, members: Index, codes: NDArray[np.int32], num_classes: int) -> Table:
        kind = index_type(len(members))
        pairs = members.astype(np.int64)
        pairs *= num_classes
        pairs += codes
        pairs.sort()
        entry = np.flatnonzero(starts(pairs)).astype(kind)
        counts = np.diff(np.append(entry, np.array([len(pairs)], dtype=kind)))
        pairs = pairs[entry]
        classes = np.empty(len(pairs), dtype=np.int32)
        np.remainder(pairs, num_classes, out=classes, casting="unsafe")
        pairs //= num_classes
        first = np.append(np.flatnonzero(starts(pairs)), len(pairs)).astype(kind)
        return cls(first, classes, counts, num_classes)

    @property
    def num_clusters(self) -> int:
        return len(self.first) - 1

    def sizes(self) -> Index:
        """Rows of each cluster."""
        sizes: Index = np.add.reduceat(self.counts, self.first[:-1], dtype=self.counts.dtype)
        return sizes

    def own(self) -> NDArray[np.int32]:
        """The class most rows of each cluster have; of equals the first in order."""
        clusters_of = np.repeat(np.arange(self.num_clusters, dtype=self.first.dtype), np.diff(self.first))
        most = self.counts == np.maximum.reduceat(self.counts, self.first[:-1])[clusters_of]
        clusters_of = clusters_of[most]
        classes: NDArray[np.int32] = self.classes[most][starts(clusters_of)]
        return classes

    def row(self, cluster: int) -> NDArray[np.int64]:
        """Rows of one cluster by class [classes]."""
        dense = np.zeros(self.num_classes, dtype=np.int64)
        part = slice(int(self.first[cluster]), int(self.first[cluster + 1]))
        dense[self.classes[part]] = self.counts[part]
        return dense

    def having(self, code: int) -> NDArray[np.int64]:
        """Clusters with rows of a class, in order."""
        return np.searchsorted(self.first, np.flatnonzero(self.classes == code), "right") - 1
