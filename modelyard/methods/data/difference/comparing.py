"""What changed between two versions of a data set: rows added, removed and changed, labels that flipped, columns."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.base.messages import t
from modelyard.errors import UsageError
from modelyard.methods.data.dataset import ROW_ID, Column, Dataset
from modelyard.methods.data.difference.marks import (
    SPLITS,
    Marks,
    num_parts,
    places,
    read_marks,
    split_codes,
    write_marks,
)
from modelyard.methods.data.sampling import Place, fetch
from modelyard.methods.data.statistics.hashing import MISSING, hashes

MOST_LABELS = 10_000
MOST_FLIPS = 50
HELD_OUT = "test"


@dataclass
class Difference:
    """What is different in `new` when one comes from `old`.

    Attributes:
        key: the columns that say which rows are the same row; `row_id` where nothing else is asked for.
        num_old, num_new, num_same: rows; same means the same id and equal in every column both have.
        added, removed, changed: numbers of rows by id.
        repeated: rows of each side whose id an earlier row has; only the first of an id is compared.
        changed_columns: column to the number of rows in which it differs.
        flips: (old label, new label) to rows, both known; a missing label is ``.
        moved: (old split, new split) to rows, where both sides are split.
        columns_added, columns_removed: columns one side lacks.
        columns_retyped: column, old and new `role type`.
        examples: `added`, `removed` and `changed` to a few rows; of a changed one only what differs, as [old, new].
    """

    key: tuple[str, ...] = (ROW_ID,)
    num_old: int = 0
    num_new: int = 0
    num_same: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    repeated: tuple[int, int] = (0, 0)
    changed_columns: dict[str, int] = field(default_factory=dict)
    flips: Counter[tuple[str, str]] = field(default_factory=Counter)
    moved: Counter[tuple[str, str]] = field(default_factory=Counter)
    columns_added: list[str] = field(default_factory=list)
    columns_removed: list[str] = field(default_factory=list)
    columns_retyped: list[tuple[str, str, str]] = field(default_factory=list)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        def pairs(counts: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
            return [{"from": a, "to": b, "rows": rows} for (a, b), rows in counts.most_common(MOST_FLIPS)]

        return {
            **vars(self),
            "key": list(self.key),
            "repeated": list(self.repeated),
            "flips": pairs(self.flips),
            "num_flips": self.flips.total(),
            "moved": pairs(self.moved),
            "columns_retyped": [list(item) for item in self.columns_retyped],
        }


def difference(
    old: Dataset,
    new: Dataset,
    examples: int = 5,
    key: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Difference:
    """Compare two data sets row by row.

    A file that was changed gives all its rows new ids. So where no id is on both sides, rows are the same if their
    text is (or their image), if both sides have one.

    Args:
        key: columns that together say which rows are the same; by id, else by text, if None.
        examples: rows to show of each kind; none from a test split, which is counted but not shown.
        progress: called with parts done and in all.
    """
    found = _difference(old, new, examples, tuple(key or (ROW_ID,)), progress)
    content = _content(old, new)
    nothing_met = found.num_old and found.num_new and not found.num_same + found.changed
    if key is None and content and nothing_met:
        return _difference(old, new, examples, (content,), progress)
    return found


def _content(old: Dataset, new: Dataset) -> str | None:
    """The text or image column that both sides have."""
    for role in ("text", "image"):
        name = old.role(role)
        if name is not None and name == new.role(role):
            return name
    return None


def _difference(
    old: Dataset, new: Dataset, examples: int, key: tuple[str, ...], progress: Callable[[int, int], None] | None
) -> Difference:
    both = _names(old).keys() & _names(new).keys()
    strange = [name for name in key if name not in both]
    if strange:
        raise UsageError(
            t("`{name}` is not a column of both", name=strange[0]),
            expected=t("one of: {names}", names=", ".join(sorted(both))),
        )
    shared = [column for column in old.columns if column.name in _names(new) and column.name != ROW_ID]
    names = [column.name for column in shared]
    found = _schema(old, new)
    found.key = key
    label = next((c.name for c in shared if c.role == "label" and c.name == new.role("label")), None)
    known: list[dict[int, str]] = [{}, {}]
    with tempfile.TemporaryDirectory(prefix="modelyard-diff-") as room:
        totals = [sum(side.num_rows(split) for split in side.splits()) for side in (old, new)]
        found.num_old, found.num_new = totals
        parts = num_parts(max(totals))
        for side, (dataset, name) in enumerate(((old, "old"), (new, "new"))):
            write_marks(dataset, names, Path(room) / name, parts, key)
            if label:
                known[side] = _labels(dataset, label)
        kept: dict[str, list[tuple[Place | None, Place | None]]] = {"added": [], "removed": [], "changed": []}
        for part in range(parts):
            sides = [read_marks(Path(room) / name / str(part), len(names)) for name in ("old", "new")]
            found.repeated = (found.repeated[0] + sides[0][1], found.repeated[1] + sides[1][1])
            _join(found, sides[0][0], sides[1][0], names, label, known, kept, examples)
            if progress:
                progress(part + 1, parts)
    found.examples = {kind: list(_show(old, new, names, pairs[:examples])) for kind, pairs in kept.items()}
    return found


def _names(dataset: Dataset) -> dict[str, Column]:
    return {column.name: column for column in dataset.columns}


def _schema(old: Dataset, new: Dataset) -> Difference:
    before, after = _names(old), _names(new)
    return Difference(
        columns_added=[name for name in after if name not in before],
        columns_removed=[name for name in before if name not in after],
        columns_retyped=[
            (name, f"{before[name].role} {before[name].type}", f"{after[name].role} {after[name].type}")
            for name in before
            if name in after and before[name] != after[name]
        ],
    )


def _labels(dataset: Dataset, label: str) -> dict[int, str]:
    """Hash to label; the rarer ones of very many stay unnamed."""
    known: dict[int, str] = {int(MISSING): ""}
    for split in dataset.splits():
        for batch in dataset.batches(split, [label]):
            distinct = batch.column(label).unique()
            if len(known) < MOST_LABELS:
                values = [str(value) for value in distinct.to_pylist() if value is not None]
                valid = distinct.filter(distinct.is_valid())
                known.update(zip(hashes(valid).tolist(), values, strict=True))
    return known


def _join(
    found: Difference,
    old: Marks,
    new: Marks,
    names: Sequence[str],
    label: str | None,
    known: Sequence[dict[int, str]],
    kept: dict[str, list[tuple[Place | None, Place | None]]],
    examples: int,
) -> None:
    """Count one part, whose sides are sorted by id with each id once."""
    _, at_old, at_new = np.intersect1d(old[:, 0], new[:, 0], assume_unique=True, return_indices=True)
    gone, come = np.delete(old, at_old, axis=0), np.delete(new, at_new, axis=0)
    one, other = old[at_old], new[at_new]
    differs = one[:, 2:] != other[:, 2:]
    touched = differs.any(axis=1)
    found.removed += len(gone)
    found.added += len(come)
    found.changed += int(touched.sum())
    found.num_same += int((~touched).sum())
    for name, num in zip(names, differs.sum(axis=0).tolist(), strict=True):
        if num:
            found.changed_columns[name] = found.changed_columns.get(name, 0) + num
    if label:
        at = names.index(label)
        _count_flips(found, one[differs[:, at], 2 + at], other[differs[:, at], 2 + at], known)
    _count_moves(found, one, other)
    _keep(kept["removed"], [(place, None) for place in places(_shown(gone, examples))], examples)
    _keep(kept["added"], [(None, place) for place in places(_shown(come, examples))], examples)
    visible = touched & (split_codes(one) != SPLITS.index(HELD_OUT)) & (split_codes(other) != SPLITS.index(HELD_OUT))
    pairs = zip(places(one[visible][:examples]), places(other[visible][:examples]), strict=True)
    _keep(kept["changed"], list(pairs), examples)


def _shown(marks: Marks, num: int) -> Marks:
    """The first rows that may be looked at."""
    shown: Marks = marks[split_codes(marks) != SPLITS.index(HELD_OUT)][:num]
    return shown


def _keep(
    kept: list[tuple[Place | None, Place | None]], pairs: Sequence[tuple[Place | None, Place | None]], num: int
) -> None:
    kept.extend(pairs[: num - len(kept)])


def _count_flips(found: Difference, before: Marks, after: Marks, known: Sequence[dict[int, str]]) -> None:
    pairs, counts = np.unique(np.column_stack([before, after]), axis=0, return_counts=True)
    for (a, b), num in zip(pairs.tolist(), counts.tolist(), strict=True):
        found.flips[(known[0].get(a, "?"), known[1].get(b, "?"))] += num


def _count_moves(found: Difference, one: Marks, other: Marks) -> None:
    before, after = split_codes(one), split_codes(other)
    moved = (before != after) & (before > 0) & (after > 0)
    pairs = Counter(zip(before[moved].tolist(), after[moved].tolist(), strict=True))
    found.moved.update({(SPLITS[a], SPLITS[b]): num for (a, b), num in pairs.items()})


def _show(
    old: Dataset, new: Dataset, names: Sequence[str], pairs: Sequence[tuple[Place | None, Place | None]]
) -> Iterator[dict[str, Any]]:
    before = iter(list(fetch(old, [a for a, _ in pairs if a])))
    after = iter(list(fetch(new, [b for _, b in pairs if b])))
    for a, b in pairs:
        first, second = next(before) if a else None, next(after) if b else None
        if first is not None and second is not None:
            changed = {name: [first[name], second[name]] for name in names if first[name] != second[name]}
            yield {ROW_ID: first[ROW_ID], **changed}
        else:
            yield first or second or {}
