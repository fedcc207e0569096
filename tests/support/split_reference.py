"""data.split with sets, dicts and lists, a Python object each row: slow, and plainly right. The arrays must agree."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.splitting.apportioning import apportion
from modelyard.methods.data.splitting.sides import REMOVED, TEST, TRAIN, VALIDATION, Sides


@dataclass(frozen=True)
class ListedRows:
    """Lists as long as there are rows; None for what the data has not."""

    keys: Sequence[bytes]
    labels: Sequence[str] | None = None
    groups: Sequence[Hashable] | None = None


def clusters(rows: ListedRows) -> NDArray[np.int64]:
    """Cluster of each row, numbered from 0: rows that share a text or a group, directly or through others."""
    parent: list[int] = []
    nodes: dict[tuple[str, Hashable], int] = {}

    def node(kind: str, value: Hashable) -> int:
        found = nodes.setdefault((kind, value), len(parent))
        if found == len(parent):
            parent.append(found)
        return found

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    texts = [node("text", key) for key in rows.keys]
    for text, group in zip(texts, rows.groups or (), strict=False):
        if group is not None:
            parent[root(text)] = root(node("group", group))
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root(text), len(numbers)) for text in texts], dtype=np.int64)


def split_stratified(rows: ListedRows, validation: float, test: float, seed: int) -> Sides:
    """Split by label (or at random without labels), clusters whole.

    Every class keeps at least one cluster in train. Without groups the counts are those of `apportion`, as long as
    repeats do not stand in the way; with groups, clusters go one by one, largest first, where they bring the class
    counts nearest to it.

    Args:
        validation, test: shares of the rows.
        seed: another seed gives another split.
    """
    shares = (1 - validation - test, validation, test)
    members = clusters(rows)
    labels = np.asarray(rows.labels if rows.labels is not None else [""] * len(rows.keys), dtype=object)
    classes, codes = np.unique(labels.astype(str), return_inverse=True)
    table = np.zeros((int(members.max()) + 1, len(classes)), dtype=np.int64)
    np.add.at(table, (members, codes), 1)
    targets = apportion(np.bincount(codes, minlength=len(classes)), shares)
    ranks = _ranks(rows.keys, members, seed)
    place = _by_groups(table, targets, ranks) if rows.groups is not None else _by_class(table, targets, ranks)
    return place[members]


def _ranks(keys: Sequence[bytes], members: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Rank of each cluster in the order of a keyed hash of its smallest text key."""
    smallest: dict[int, bytes] = {}
    for member, key in zip(members.tolist(), keys, strict=True):
        if member not in smallest or key < smallest[member]:
            smallest[member] = key
    salt = seed.to_bytes(8, "big", signed=True)
    hashes = [hashlib.blake2b(smallest[member], key=salt, digest_size=16).digest() for member in range(len(smallest))]
    ranks = np.empty(len(hashes), dtype=np.int64)
    ranks[sorted(range(len(hashes)), key=hashes.__getitem__)] = np.arange(len(hashes))
    return ranks


def _by_class(table: NDArray[np.int64], targets: NDArray[np.int64], ranks: NDArray[np.int64]) -> Sides:
    """Side of each cluster; a cluster counts for the class most of its rows have."""
    place = np.full(len(table), TRAIN, dtype=np.int8)
    sizes = table.sum(axis=1)
    own = table.argmax(axis=1)
    for index in range(table.shape[1]):
        mine = np.flatnonzero(own == index)
        wanted = {TEST: int(targets[index, TEST]), VALIDATION: int(targets[index, VALIDATION])}
        for cluster in mine[np.argsort(ranks[mine])][:-1]:  # the last one stays: no class may be missing from train
            for side in (TEST, VALIDATION):
                if sizes[cluster] <= wanted[side]:
                    place[cluster] = side
                    wanted[side] -= int(sizes[cluster])
                    break
    return place


def _by_groups(table: NDArray[np.int64], targets: NDArray[np.int64], ranks: NDArray[np.int64]) -> Sides:
    """Side of each cluster, greedily: the one that brings the counts nearest to the targets, in squares by class."""
    sizes = table.sum(axis=1)
    place = np.full(len(table), TRAIN, dtype=np.int8)
    missing = targets.T.astype(np.float64)  # [sides, classes]
    weights = 1.0 / np.maximum(1, targets.sum(axis=1))
    closed = targets.sum(axis=0) == 0
    for cluster in np.lexsort((ranks, -sizes)):
        change = ((missing - table[cluster]) ** 2 - missing**2) @ weights
        change[closed] = np.inf
        place[cluster] = np.argmin(change)
        missing[place[cluster]] -= table[cluster]
    for index in range(table.shape[1]):
        mine = np.flatnonzero(table[:, index])
        if not (place[mine] == TRAIN).any():  # no class may be missing from train: its smallest cluster goes there
            place[mine[np.lexsort((ranks[mine], sizes[mine]))[0]]] = TRAIN
    return place


def leaking(rows: ListedRows, sides: Sides) -> list[int]:
    """For each row the highest side above its own that has its text or group, else REMOVED."""
    marks: list[set[Hashable]] = [{key} for key in rows.keys]
    for mark, group in zip(marks, rows.groups or (), strict=False):
        if group is not None:
            mark.add(("group", group))
    held: list[set[Hashable]] = [set(), set(), set()]
    for mark, side in zip(marks, sides.tolist(), strict=True):
        held[side] |= mark
    found = []
    for mark, side in zip(marks, sides.tolist(), strict=True):
        higher = [other for other in range(side + 1, TEST + 1) if not held[other].isdisjoint(mark)]
        found.append(max(higher, default=REMOVED))
    return found
