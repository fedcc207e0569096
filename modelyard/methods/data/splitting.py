"""Train, validation, test and calibration: which row goes where, so that no text and no group stands on two sides.

Rows that share a normalised text or a group form a cluster, and a cluster is never cut. Within a class, clusters are
put in the order of a keyed hash of their text (counter-based: BLAKE2b of seed and text), so that the outcome depends
on what the rows say and not on the order they come in. How many rows each class gives to each split follows the
largest-remainder method (Hamilton), held to the totals so that small classes do not all round the same way.

Rows are arrays throughout, no Python object each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.grouping import Index, KeyArray, index_type, number, pack, starts, unpack

NAMES = ("train", "validation", "test", "calibration")
TRAIN, VALIDATION, TEST, CALIBRATION = range(4)
ORDER = (TRAIN, VALIDATION, CALIBRATION, TEST)
"""What a row on two sides makes way for: the later of both; by time the newest come last."""
REMOVED = -1

Sides = NDArray[np.int8]
"""Side of each row: TRAIN, VALIDATION, TEST, CALIBRATION, or REMOVED."""


NO_GROUP = -1
HASHED_AT_ONCE = 65_536


@dataclass(frozen=True)
class Labels:
    """The class of each row: `codes` [rows] into `names`, which are in order."""

    codes: NDArray[np.int32]
    names: tuple[str, ...]

    @classmethod
    def of(cls, values: Sequence[str]) -> Labels:
        names = tuple(sorted(set(values)))
        code = {name: place for place, name in enumerate(names)}
        return cls(np.array([code[value] for value in values], dtype=np.int32), names)

    def counts(self, rows: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Rows of each class, of all or of those where `rows` is true."""
        codes = self.codes if rows is None else self.codes[rows]
        return np.bincount(codes, minlength=len(self.names))

    def take(self, places: NDArray[np.int64]) -> Labels:
        """The classes of some rows; names without any are gone."""
        there, codes = np.unique(self.codes[places], return_inverse=True)
        return Labels(codes.astype(np.int32), tuple(self.names[code] for code in there.tolist()))


@dataclass(frozen=True)
class Rows:
    """What decides where a row goes; arrays are as long as there are rows.

    Attributes:
        keys: [rows, 2], text key of each row (`text.text_key`).
        texts: number of each row's text among the distinct ones, in the order of their keys.
        labels, groups: None if the data has none. A group is a number; NO_GROUP belongs to none.
        times: microseconds since 1970, None if the data has none.
        given: side each row comes with, None if the data is not split.
    """

    keys: KeyArray
    texts: Index
    labels: Labels | None = None
    groups: Index | None = None
    times: NDArray[np.int64] | None = None
    given: Sides | None = None

    @classmethod
    def of(
        cls,
        keys: Sequence[bytes],
        labels: Sequence[str] | None = None,
        groups: Sequence[Hashable] | None = None,
        times: NDArray[np.int64] | None = None,
        given: Sides | None = None,
    ) -> Rows:
        """From lists: 16-byte keys, class names, groups of any kind (None belongs to no group)."""
        packed = pack(keys)
        codes: dict[Hashable, int] = {None: NO_GROUP}
        numbers = [codes.setdefault(group, len(codes) - 1) for group in groups or ()]
        return cls(
            packed,
            number(packed)[0],
            Labels.of(labels) if labels is not None else None,
            np.array(numbers, dtype=np.int32) if groups is not None else None,
            times,
            given,
        )

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, places: NDArray[np.int64]) -> Rows:
        """The rows at `places`, without times and given sides."""
        keys = self.keys[places]
        return Rows(
            keys,
            number(keys)[0],
            self.labels.take(places) if self.labels is not None else None,
            self.groups[places] if self.groups is not None else None,
        )


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
    cuts = np.cumsum(_largest_remainder(len(times), shares))[:3]
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


@dataclass(frozen=True)
class Overlap:
    """Rows whose text or group stands on another side.

    Attributes:
        shared: rows of the first side that the second has too, by (first, second) of ORDER, the first the later.
        leaking: for each row, the side it must make way for, or REMOVED if none.
    """

    shared: Mapping[tuple[int, int], int]
    leaking: Sides

    @property
    def num_leaking(self) -> int:
        return int((self.leaking != REMOVED).sum())


def overlap(rows: Rows, sides: Sides) -> Overlap:
    """What each side shares with those before it in ORDER."""
    there = [side for side in ORDER if side != CALIBRATION or (sides == CALIBRATION).any()]
    held = {side: _also_on(rows, sides, side) for side in there}
    pairs = [(of, other) for place, of in enumerate(there) for other in there[:place]]
    leaking = np.full(len(sides), REMOVED, dtype=np.int8)
    for place, later in enumerate(there[1:], start=1):  # the latest side counts
        leaking[np.isin(sides, there[:place]) & held[later]] = later
    return Overlap({(of, other): int(((sides == of) & held[other]).sum()) for of, other in pairs}, leaking)


def _also_on(rows: Rows, sides: Sides, side: int) -> NDArray[np.bool_]:
    """Whether each row's text or group stands on a side."""
    there = sides == side
    texts = np.zeros(int(rows.texts.max(initial=0)) + 1, dtype=np.bool_)
    texts[rows.texts[there]] = True
    found = texts[rows.texts]
    if rows.groups is not None:
        groups = np.zeros(int(rows.groups.max(initial=0)) + 2, dtype=np.bool_)
        groups[rows.groups[there]] = True
        groups[NO_GROUP] = False  # the place behind the last
        found |= groups[rows.groups]
    return found


def leakage_rate(rows: Rows, sides: Sides) -> float:
    """Share of the test rows whose text or group stands on another side; 0 without test rows."""
    test = sides == TEST
    if not test.any():
        return 0.0
    merged = np.where(np.isin(sides, (VALIDATION, CALIBRATION)), np.int8(TRAIN), sides).astype(np.int8)
    return int((test & _also_on(rows, merged, TRAIN)).sum()) / int(test.sum())


def side_counts(sides: Sides) -> tuple[int, ...]:
    """Rows of each side, in the order of NAMES."""
    return tuple(np.bincount(sides[sides != REMOVED], minlength=len(NAMES)).tolist())


def future_rate(rows: Rows, sides: Sides) -> float | None:
    """Share of the training rows that are newer than the oldest test row; None without times or without test rows."""
    if rows.times is None or not (sides == TEST).any() or not (sides == TRAIN).any():
        return None
    return float((rows.times[sides == TRAIN] > rows.times[sides == TEST].min()).mean())


def check(rows: Rows, sides: Sides, wanted: Sequence[int]) -> None:
    """Raise InputError if a wanted side has no row, or train has fewer than two classes."""
    counts = side_counts(sides)
    for side in wanted:
        if not counts[side]:
            raise InputError(
                t("no row goes to {split}: {n:,} rows are too few", split=NAMES[side], n=len(sides)),
                where="data.split",
                expected=t("at least one row in each split"),
                remedy=t("bring more rows, or change `validation` and `test`; one group or moment may hold too many"),
            )
    if rows.labels is not None:
        there = np.flatnonzero(rows.labels.counts(sides == TRAIN))
        if len(there) < 2:
            raise InputError(
                t("train holds one class only: {label}", label=", ".join(rows.labels.names[code] for code in there)),
                where="data.split",
                expected=t("at least two classes"),
                remedy=t("is `label` the right column in data.read? did data.clean drop the other class?"),
            )


def missing_classes(rows: Rows, sides: Sides, side: int) -> list[str]:
    """Classes that occur but have no row on `side`, by name."""
    if rows.labels is None:
        return []
    missing = (rows.labels.counts(sides != REMOVED) > 0) & (rows.labels.counts(sides == side) == 0)
    return [rows.labels.names[code] for code in np.flatnonzero(missing)]
