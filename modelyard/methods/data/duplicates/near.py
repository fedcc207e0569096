"""A data set without near duplicates: what is near each other is found, who stays is settled, and both are written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelyard.methods.data.account import Account
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Dataset, SplitWriter, write_schema
from modelyard.methods.data.duplicates import clusters
from modelyard.methods.data.duplicates.candidates import Rows
from modelyard.methods.data.duplicates.clusters import CONFLICTING, KEPT, LEAKING, REPEATED, Fates
from modelyard.methods.data.duplicates.graph import Edges
from modelyard.methods.data.roles import schema_of

REPEAT, LEAK, CONFLICT = "near duplicate", "near a row of another split", "near duplicates under several labels"
_SIDES = {"train": 0, "validation": 1, "test": 2}
_NAMES = tuple(_SIDES)
Keep = Literal["best", "first", "longest"]


class Finding(Protocol):
    """What a search has found so far.

    Attributes:
        texts: [rows] the first row that is the same; rows that take no part have their own.
        lengths: [rows] how much there is of each, for choosing the best.
        edges: between first rows.
    """

    texts: NDArray[np.int64]
    lengths: NDArray[np.int32]
    edges: Edges


class Search(Protocol):
    """A way of finding rows near each other."""

    def run(self, resolve: Callable[[Any], NDArray[np.bool_]]) -> Any:
        """The finding; `resolve` says which rows stay, given what was found so far."""
        ...

    def similarity(self, firsts: Rows, seconds: Rows) -> NDArray[np.float64]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Choice:
    """Which rows stay.

    Attributes:
        keep: of a cluster: `best`: the longest, of these one with a label, of these the first; `longest`; `first`.
        linkage, conflicts: see `clusters.settle`.
    """

    keep: Keep = "best"
    linkage: clusters.Linkage = "chained"
    conflicts: clusters.Conflicts = "drop"


@dataclass
class Outcome:
    """What was done, in rows.

    Attributes:
        num_conflicts: clusters under several labels; `num_conflicting`: rows in them.
        num_leaking: rows of a given split that were removed for one of another, by (lower, higher) split.
        num_chained: rows removed that are less similar than the threshold to the row that stays for them.
        lowest: the least such similarity, 1 if there is none.
        largest: rows of the largest cluster.
        num_left: rows kept that have a near duplicate among the rows kept, by all that was compared.
    """

    account: Account
    num_conflicts: int = 0
    num_conflicting: int = 0
    num_leaking: Counter[tuple[str, str]] = field(default_factory=Counter)
    num_chained: int = 0
    lowest: float = 1.0
    largest: int = 1
    num_left: int = 0


@dataclass
class _Columns:
    """What decides besides texts: side and label number of each row."""

    sides: NDArray[np.int8]
    labels: NDArray[np.int32]
    names: list[str]


def deduplicate(
    data: Dataset,
    search: Search,
    choice: Choice,
    threshold: float,
    kept: Path,
    removed: Path,
    progress: Callable[[int], None],
) -> tuple[Outcome, Any]:
    """Write the rows that stay into `kept` and the others into `removed`.

    Args:
        progress: called with the number of rows written since the last call.

    Returns:
        What was done, and what the search found.
    """
    with closing(search):
        columns = _read(data)
        last: list[_Settled] = []

        def resolve(found: Finding) -> NDArray[np.bool_]:
            last[:] = [_settle(found, columns, choice)]
            stays: NDArray[np.bool_] = last[0].fates == KEPT
            return stays

        found = search.run(resolve)
        settled = last[0] if last else _settle(found, columns, choice)
        _fill_similarity(settled, found, search)
    outcome = Outcome(Account(num_in=len(columns.sides)), settled.num_conflicts, settled.num_conflicting)
    _measure(outcome, settled, found, columns, threshold)
    _write(data, settled, columns, outcome.account, kept, removed, progress)
    return outcome, found


@dataclass
class _Settled:
    """`clusters.Fates` for all rows, those that took no part included."""

    fates: NDArray[np.int8]
    near: NDArray[np.int64]
    similarity: NDArray[np.float32]
    num_conflicts: int
    num_conflicting: int


def _read(data: Dataset) -> _Columns:
    label, split = data.role("label"), data.role("split")
    num = data.num_rows("all")
    columns = _Columns(np.zeros(num, np.int8), np.full(num, -1, np.int32), [])
    numbers: dict[Any, int] = {}
    row = 0
    for batch in data.batches("all", [name for name in (label, split) if name]) if label or split else ():
        rows = slice(row, row + batch.num_rows)
        if label:
            columns.labels[rows] = _coded(
                batch.column(label), lambda value: numbers.setdefault(value, len(numbers)), -1
            )
        if split:
            columns.sides[rows] = _coded(batch.column(split), lambda value: _SIDES.get(value, 0), 0)
        row += batch.num_rows
    columns.names = [str(value) for value in numbers]
    return columns


def _coded(values: Any, number: Callable[[Any], int], null: int) -> NDArray[np.int64]:
    encoded = pc.dictionary_encode(values)
    table = np.array([null, *(null if value is None else number(value) for value in encoded.dictionary.to_pylist())])
    places = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    result: NDArray[np.int64] = table[places + 1]
    return result


def _settle(found: Finding, columns: _Columns, choice: Choice) -> _Settled:
    """Fates of all rows; only those with a near duplicate go through the graph."""
    num = len(found.texts)
    counts = np.bincount(found.texts, minlength=num)
    linked = np.zeros(num, dtype=bool)
    linked[found.edges.firsts] = linked[found.edges.seconds] = True
    rows = np.flatnonzero((counts[found.texts] > 1) | linked[found.texts])
    labels = columns.labels[rows]
    order = {
        "best": np.lexsort((rows, labels < 0, -found.lengths[rows])),
        "longest": np.lexsort((rows, -found.lengths[rows])),
        "first": np.arange(len(rows)),
    }[choice.keep]
    ranks = np.empty(len(rows), np.int64)
    ranks[order] = np.arange(len(rows))
    graph = clusters.Graph(found.texts[rows], columns.sides[rows], ranks, labels.astype(np.int64), found.edges)
    part = clusters.settle(graph, choice.linkage, choice.conflicts)
    return _spread(part, rows, num)


def _spread(part: Fates, rows: NDArray[np.int64], num: int) -> _Settled:
    result = _Settled(
        np.full(num, KEPT, np.int8), np.full(num, -1, np.int64), np.full(num, np.nan, np.float32),
        part.num_conflicts, part.num_conflicting,
    )  # fmt: skip
    result.fates[rows], result.similarity[rows] = part.fates, part.similarity
    there = part.near >= 0
    result.near[rows[there]] = rows[part.near[there]]
    return result


def _fill_similarity(settled: _Settled, found: Finding, search: Search) -> None:
    """Compare rows that were removed through others with the row that stays."""
    rows = np.flatnonzero((settled.near >= 0) & np.isnan(settled.similarity))
    if rows.size:
        firsts, seconds = (found.texts[part].astype(np.int32) for part in (rows, settled.near[rows]))
        settled.similarity[rows] = search.similarity(firsts, seconds)


def _measure(outcome: Outcome, settled: _Settled, found: Finding, columns: _Columns, threshold: float) -> None:
    leaking = np.flatnonzero(settled.fates == LEAKING)
    pairs = np.stack([columns.sides[leaking], columns.sides[settled.near[leaking]]], axis=1)
    for (side, other), count in zip(*np.unique(pairs, axis=0, return_counts=True), strict=True):
        outcome.num_leaking[_NAMES[side], _NAMES[other]] = int(count)
    repeated = settled.fates == REPEATED
    far = repeated & (settled.similarity < np.float32(threshold))
    outcome.num_chained = int(far.sum())
    outcome.lowest = float(settled.similarity[far].min()) if far.any() else 1.0
    followers = np.bincount(settled.near[repeated], minlength=1)
    outcome.largest = int(followers.max(initial=0)) + 1
    stays = settled.fates == KEPT
    texts = np.bincount(found.texts[stays], minlength=len(stays))
    near = texts > 1
    both = (texts[found.edges.firsts] > 0) & (texts[found.edges.seconds] > 0)
    near[found.edges.firsts[both]] = near[found.edges.seconds[both]] = True
    outcome.num_left = int((stays & near[found.texts]).sum())


def _write(
    data: Dataset,
    settled: _Settled,
    columns: _Columns,
    account: Account,
    kept: Path,
    removed: Path,
    progress: Callable[[int], None],
) -> None:
    names = _row_ids(data, settled.near)
    label = data.role("label")
    write_schema(kept, data.columns)
    row = 0
    with ChangeLog(removed, account) as log, SplitWriter(kept, "all", schema_of(data.columns)) as good:
        for batch in data.batches("all"):
            fates = settled.fates[row : row + batch.num_rows]
            good.write(batch.filter(pa.array(fates == KEPT)))
            gone = np.flatnonzero(fates != KEPT)
            for place, values in zip(gone.tolist(), batch.take(pa.array(gone)).to_pylist(), strict=True):
                reason, detail = _why(settled, columns, names, row + place, label and values[label])
                log.removed(str(values[ROW_ID]), reason, detail, values)
            log.kept(batch.num_rows - len(gone))
            row += batch.num_rows
            progress(batch.num_rows)


def _row_ids(data: Dataset, near: NDArray[np.int64]) -> dict[int, str]:
    """Row ids of the rows that others made way for."""
    wanted = np.unique(near[near >= 0])
    names: dict[int, str] = {}
    row = 0
    for batch in data.batches("all", [ROW_ID]) if wanted.size else ():
        here = wanted[np.searchsorted(wanted, row) : np.searchsorted(wanted, row + batch.num_rows)]
        found = batch.column(0).take(pa.array(here - row)).to_pylist()
        names.update(zip(here.tolist(), map(str, found), strict=True))
        row += batch.num_rows
    return names


def _why(settled: _Settled, columns: _Columns, names: dict[int, str], row: int, label: object) -> tuple[str, str]:
    """(reason, what a person reads)."""
    if settled.fates[row] == CONFLICTING:
        return CONFLICT, f"this one: {label}"
    near, similarity = int(settled.near[row]), float(settled.similarity[row])
    alike = "" if np.isnan(similarity) else f"{similarity:.3f} alike: "
    if settled.fates[row] == LEAKING:
        return LEAK, f"{alike}{names[near]} of {_NAMES[columns.sides[near]]}"
    return REPEAT, f"{alike}kept {names[near]}"


def usable_threads() -> int:
    """Cores this process may run on, at most MODELYARD_THREADS, else OMP_NUM_THREADS; any gives the same."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("MODELYARD_THREADS") or os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(int(limit), cores)) if limit.isdecimal() else cores
