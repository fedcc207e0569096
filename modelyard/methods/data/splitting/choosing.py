"""Train, validation, test and calibration: which row goes where, so that no text and no group stands on two sides.

Rows that share a normalised text or a group form a cluster, and a cluster is never cut. Within a class, clusters are
put in the order of a keyed hash of their text (counter-based: BLAKE2b of seed and text), so that the outcome depends
on what the rows say and not on the order they come in. How many rows each class gives to each split follows the
largest-remainder method (Hamilton), held to the totals so that small classes do not all round the same way.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.grouping import Index, number, pack, starts, unpack
from modelyard.methods.data.splitting.apportioning import apportion, largest_remainder
from modelyard.methods.data.splitting.clusters import Table, clusters
from modelyard.methods.data.splitting.sides import CALIBRATION, TEST, TRAIN, VALIDATION, Rows, Sides

HASHED_AT_ONCE = 65_536


def split_stratified(rows: Rows, validation: float, test: float, seed: int, calibration: float = 0.0) -> Sides:
    """Split by label (or at random without labels), clusters whole.

    Every class keeps at least one cluster in train. Without groups the counts are those of `apportion`, as long as
    repeats do not stand in the way; with groups, clusters go one by one, largest first, where they bring the class
    counts nearest to it.

    Args:
        validation, test, calibration: shares of the rows.
        seed: another seed gives another split.
    """
    shares = (1 - validation - test - calibration, validation, test, calibration)
    members = clusters(rows)
    codes = rows.labels.codes if rows.labels is not None else np.zeros(len(rows), dtype=np.int32)
    num_classes = len(rows.labels.names) if rows.labels is not None else 1
    table = Table.of(members, codes, num_classes)
    targets = apportion(np.bincount(codes, minlength=num_classes), shares)
    ranks = _ranks(rows, members, table.num_clusters, seed)
    place = _by_groups(table, targets, ranks) if rows.groups is not None else _by_class(table, targets, ranks)
    return place[members]


def _ranks(rows: Rows, members: Index, num_clusters: int, seed: int) -> Index:
    """Rank of each cluster in the order of a keyed hash of its smallest text key."""
    row_of_text = np.zeros(int(rows.texts.max()) + 1, dtype=members.dtype)
    row_of_text[rows.texts] = np.arange(len(rows), dtype=members.dtype)
    if members is rows.texts:
        smallest = row_of_text
    else:
        pairs = members.astype(np.int64)
        pairs *= len(row_of_text)
        pairs += rows.texts
        pairs.sort()
        pairs = pairs[starts(pairs // len(row_of_text))]
        smallest = row_of_text[pairs % len(row_of_text)]
    salt = seed.to_bytes(8, "big", signed=True)
    hashes = np.empty((num_clusters, 2), dtype=np.uint64)
    for start in range(0, num_clusters, HASHED_AT_ONCE):
        part = unpack(rows.keys[smallest[start : start + HASHED_AT_ONCE]])
        hashed = [hashlib.blake2b(key, key=salt, digest_size=16).digest() for key in part]
        hashes[start : start + len(part)] = pack(hashed)
    return number(hashes)[0]


def _by_class(table: Table, targets: NDArray[np.int64], ranks: Index) -> Sides:
    """Side of each cluster; a cluster counts for the class most of its rows have."""
    place = np.full(table.num_clusters, TRAIN, dtype=np.int8)
    sizes, own = table.sizes(), table.own()
    for index in range(table.num_classes):
        mine = np.flatnonzero(own == index)
        wanted = {side: int(targets[index, side]) for side in (TEST, VALIDATION, CALIBRATION)}
        # The last one stays: no class may be missing from train.
        for cluster in mine[np.argsort(ranks[mine])][:-1]:
            if not any(wanted.values()):
                break
            for side, left in wanted.items():
                if sizes[cluster] <= left:
                    place[cluster] = side
                    wanted[side] -= int(sizes[cluster])
                    break
    return place


def _by_groups(table: Table, targets: NDArray[np.int64], ranks: Index) -> Sides:
    """Side of each cluster, greedily: the one that brings the counts nearest to the targets, in squares by class."""
    sizes = table.sizes()
    place = np.full(table.num_clusters, TRAIN, dtype=np.int8)
    missing = targets.T.astype(np.float64)  # [sides, classes]
    weights = 1.0 / np.maximum(1, targets.sum(axis=1))
    closed = targets.sum(axis=0) == 0
    for cluster in np.lexsort((ranks, -sizes)):
        row = table.row(cluster)
        change = ((missing - row) ** 2 - missing**2) @ weights
        change[closed] = np.inf
        place[cluster] = np.argmin(change)
        missing[place[cluster]] -= row
    for index in range(table.num_classes):
        mine = table.having(index)
        if not (place[mine] == TRAIN).any():  # no class may be missing from train: its smallest cluster goes there
            place[mine[np.lexsort((ranks[mine], sizes[mine]))[0]]] = TRAIN
    return place


def split_by_time(times: NDArray[np.int64], validation: float, test: float, calibration: float = 0.0) -> Sides:
    """Oldest rows to train, newest to test, the last before them to calibration; rows of one moment stay together, on
    the older side.

    Raises:
        InputError: so many rows share a moment that a split stays empty.
    """
    order = np.argsort(times, kind="stable")
    shares = (1 - validation - test - calibration, validation, calibration, test)
    cuts = np.cumsum(largest_remainder(len(times), shares))[:3]
    later = times[order]
    cuts = np.array([np.searchsorted(later, later[cut - 1], "right") if 0 < cut < len(later) else cut for cut in cuts])
    sides = np.full(len(times), TEST, dtype=np.int8)
    sides[order[: cuts[2]]] = CALIBRATION
    sides[order[: cuts[1]]] = VALIDATION
    sides[order[: cuts[0]]] = TRAIN
    return sides


def split_given(
    rows: Rows, validation: float, test: float, seed: int, calibration: float = 0.0
) -> tuple[Sides, list[int]]:
    """The sides the data comes with; sides it lacks are carved from train, and which those are.

    Args:
        validation, test, calibration: shares of the rows of train, used only for what is missing.
    """
    if rows.given is None:
        raise ValueError("the rows have no given sides")
    sides = rows.given.copy()
    there = set(np.unique(sides).tolist())
    wanted = {VALIDATION: validation, TEST: test, CALIBRATION: calibration}
    carved = [side for side, share in wanted.items() if side not in there and share > 0]
    if carved:
        train = np.flatnonzero(sides == TRAIN)
        part = rows.take(train)
        shares = [wanted[side] if side in carved else 0.0 for side in wanted]
        sides[train] = split_stratified(part, shares[0], shares[1], seed, shares[2])
    return sides, carved
