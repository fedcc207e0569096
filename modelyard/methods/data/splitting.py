"""Train, validation and test: which row goes where, so that no text and no group stands on two sides.

Rows that share a normalised text or a group form a cluster, and a cluster is never cut. Within a class, clusters are
put in the order of a keyed hash of their text (counter-based: BLAKE2b of seed and text), so that the outcome depends
on what the rows say and not on the order they come in. How many rows each class gives to each split follows the
largest-remainder method (Hamilton), held to the totals so that small classes do not all round the same way.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError

NAMES = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
REMOVED = -1

Sides = NDArray[np.int8]
"""Side of each row: TRAIN, VALIDATION, TEST, or REMOVED."""


@dataclass(frozen=True)
class Rows:
    """What decides where a row goes; lists are as long as there are rows.

    Attributes:
        keys: text key of each row (`text.text_key`).
        labels, groups: None if the data has none. A group of None belongs to no group.
        times: microseconds since 1970, None if the data has none.
        given: side each row comes with, None if the data is not split.
    """

    keys: Sequence[bytes]
    labels: Sequence[str] | None = None
    groups: Sequence[Hashable] | None = None
    times: NDArray[np.int64] | None = None
    given: Sides | None = None

    def take(self, places: NDArray[np.int64]) -> Rows:
        """The rows at `places`, without times and given sides."""
        return Rows(
            [self.keys[place] for place in places],
            [self.labels[place] for place in places] if self.labels is not None else None,
            [self.groups[place] for place in places] if self.groups is not None else None,
        )


def clusters(rows: Rows) -> NDArray[np.int64]:
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


def apportion(counts: NDArray[np.int64], shares: Sequence[float]) -> NDArray[np.int64]:
    """Whole numbers of rows for each class and side, [classes, sides], each less than one from `counts * shares`.

    Row sums equal `counts`; column sums equal the largest-remainder split of the total (controlled rounding).

    Source: largest remainders (Hamilton) over all classes in order of remainder, under the totals' own seats; where
    that ends early, augmenting paths (Cox 1987, J. Am. Stat. Assoc. 82, on controlled rounding as a flow).
    """
    quotas = np.round(counts[:, None] * np.asarray(shares, dtype=np.float64)[None, :], 9)
    floors = np.floor(quotas).astype(np.int64)
    remainders = quotas - floors
    extra = np.zeros(quotas.shape, dtype=bool)
    class_left = counts - floors.sum(axis=1)
    side_left = _largest_remainder(int(counts.sum()), shares) - floors.sum(axis=0)
    for index, side in sorted(np.ndindex(*quotas.shape), key=lambda pair: (-remainders[pair], pair)):
        if class_left[index] and side_left[side] and remainders[index, side] > 0:
            extra[index, side] = True
            class_left[index] -= 1
            side_left[side] -= 1
    for short in np.flatnonzero(class_left).tolist():
        for _ in range(int(class_left[short])):
            _give_one_more(short, extra, remainders > 0, side_left)
    return floors + extra


def _give_one_more(
    index: int, extra: NDArray[np.bool_], open_: NDArray[np.bool_], side_left: NDArray[np.int64]
) -> None:
    """Give class `index` a seat although the sides it may take one on are full: others move over (an augmenting path).

    A way always exists: the remainders themselves are a fractional solution, and such tables have whole ones.
    """
    came_from: dict[int, tuple[int, int] | None] = {
        int(side): None for side in np.flatnonzero(open_[index] & ~extra[index])
    }
    queue = list(came_from)
    for side in queue:
        if side_left[side] > 0:
            side_left[side] -= 1
            while (step := came_from[side]) is not None:
                mover, before = step
                extra[mover, side], extra[mover, before] = True, False
                side = before
            extra[index, side] = True
            return
        for mover in np.flatnonzero(extra[:, side]).tolist():
            for target in np.flatnonzero(open_[mover] & ~extra[mover]).tolist():
                if target not in came_from:
                    came_from[target] = (mover, side)
                    queue.append(target)


def _largest_remainder(total: int, shares: Sequence[float]) -> NDArray[np.int64]:
    quotas = np.round(total * np.asarray(shares, dtype=np.float64), 9)
    seats = np.floor(quotas).astype(np.int64)
    order = sorted(range(len(shares)), key=lambda side: (-(quotas[side] - seats[side]), side))
    for side in order[: total - int(seats.sum())]:
        seats[side] += 1
    return seats


def split_stratified(rows: Rows, validation: float, test: float, seed: int) -> Sides:
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


def split_by_time(times: NDArray[np.int64], validation: float, test: float) -> Sides:
    """Oldest rows to train, newest to test; rows of one moment stay together, on the older side.

    Raises:
        InputError: so many rows share a moment that a split stays empty.
    """
    order = np.argsort(times, kind="stable")
    seats = _largest_remainder(len(times), (1 - validation - test, validation, test))
    cuts = np.cumsum(seats)[:2]
    later = times[order]
    cuts = np.array([np.searchsorted(later, later[cut - 1], "right") if 0 < cut < len(later) else cut for cut in cuts])
    sides = np.full(len(times), TEST, dtype=np.int8)
    sides[order[: cuts[1]]] = VALIDATION
    sides[order[: cuts[0]]] = TRAIN
    return sides


def split_given(rows: Rows, validation: float, test: float, seed: int) -> tuple[Sides, list[int]]:
    """The sides the data comes with; sides it lacks are carved from train, and which those are.

    Args:
        validation, test: shares of the rows of train, used only for what is missing.
    """
    if rows.given is None:
        raise ValueError("the rows have no given sides")
    sides = rows.given.copy()
    there = set(np.unique(sides).tolist())
    carved = [side for side, share in ((VALIDATION, validation), (TEST, test)) if side not in there and share > 0]
    if carved:
        train = np.flatnonzero(sides == TRAIN)
        part = rows.take(train)
        shares = (validation if VALIDATION in carved else 0.0, test if TEST in carved else 0.0)
        sides[train] = split_stratified(part, *shares, seed)
    return sides, carved


@dataclass(frozen=True)
class Overlap:
    """Rows whose text or group stands on another side.

    Attributes:
        test_in_train, validation_in_train, test_in_validation: rows of the first that the second has too.
        leaking: for each row, the side (VALIDATION or TEST) it must make way for, or REMOVED if none.
    """

    test_in_train: int
    validation_in_train: int
    test_in_validation: int
    leaking: Sides

    @property
    def num_leaking(self) -> int:
        return int((self.leaking != REMOVED).sum())


def overlap(rows: Rows, sides: Sides) -> Overlap:
    """What train shares with validation and test, and validation with test."""
    marks: list[set[Hashable]] = [{key} for key in rows.keys]
    for mark, group in zip(marks, rows.groups or (), strict=False):
        if group is not None:
            mark.add(("group", group))
    held: list[set[Hashable]] = [set(), set(), set()]
    for mark, side in zip(marks, sides.tolist(), strict=True):
        if side != REMOVED:
            held[side] |= mark

    def shared(of: int, other: int) -> int:
        pairs = zip(marks, sides.tolist(), strict=True)
        return sum(side == of and not held[other].isdisjoint(mark) for mark, side in pairs)

    leaking = np.full(len(sides), REMOVED, dtype=np.int8)
    for place, (mark, side) in enumerate(zip(marks, sides.tolist(), strict=True)):
        for higher in range(TEST, side, -1):
            if side != REMOVED and not held[higher].isdisjoint(mark):
                leaking[place] = higher
                break
    return Overlap(shared(TEST, TRAIN), shared(VALIDATION, TRAIN), shared(TEST, VALIDATION), leaking)


def leakage_rate(rows: Rows, sides: Sides) -> float:
    """Share of the test rows whose text or group stands in train or validation; 0 without test rows."""
    merged = np.where(sides == VALIDATION, np.int8(TRAIN), sides).astype(np.int8)
    num_test = int((sides == TEST).sum())
    return overlap(rows, merged).test_in_train / num_test if num_test else 0.0


def check(rows: Rows, sides: Sides, wanted: Sequence[int]) -> None:
    """Raise InputError if a wanted side has no row, or train has fewer than two classes."""
    counts = Counter(sides.tolist())
    for side in wanted:
        if not counts[side]:
            raise InputError(
                t("no row goes to {split}: {n:,} rows are too few", split=NAMES[side], n=len(sides)),
                where="data.split",
                expected=t("at least one row in each split"),
                remedy=t("bring more rows, or change `validation` and `test`; one group or moment may hold too many"),
            )
    if rows.labels is not None:
        classes = {label for label, side in zip(rows.labels, sides.tolist(), strict=True) if side == TRAIN}
        if len(classes) < 2:
            raise InputError(
                t("train holds one class only: {label}", label=", ".join(sorted(classes))),
                where="data.split",
                expected=t("at least two classes"),
                remedy=t("is `label` the right column in data.read? did data.clean drop the other class?"),
            )


def missing_classes(rows: Rows, sides: Sides, side: int) -> list[str]:
    """Classes that occur but have no row on `side`, by name."""
    if rows.labels is None:
        return []
    pairs = list(zip(rows.labels, sides.tolist(), strict=True))
    there = {label for label, where in pairs if where == side}
    return sorted({label for label, where in pairs if where != REMOVED} - there)
