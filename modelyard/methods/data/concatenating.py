"""Several data sets as one: columns united by role and by name, row ids kept apart, and how far the sets overlap.

Constant memory but for 8 bytes a row for ids and 8 for texts: rows stream from one set after another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Column, Dataset, SplitWriter
from modelyard.methods.data.text import text_key

ONE_EACH = ("text", "image", "label", "soft_label", "group", "subject", "time", "weight", "split")
"""Roles of which a set has one column, so that it is known whatever it is called."""
RENAMED = "row id taken"
FILLED = ("feature", "other")
"""Roles whose columns a set may lack."""
INTEGERS = ("int8", "int16", "int32", "int64")
FLOATS = ("float", "double")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class United:
    """Columns of the whole, and where each set has them.

    Attributes:
        columns: of the whole, `row_id` first.
        places: for each set, the whole's column name to its own.
        renamed: for each set, its own names that become others in the whole.
        lacking: for each set, columns it lacks, whose values are empty.
        mixed: columns whose texts were not repaired in the same way in all sets: the whole says of none that they were.
    """

    columns: tuple[Column, ...]
    places: tuple[Mapping[str, str], ...]
    renamed: tuple[Mapping[str, str], ...]
    lacking: tuple[tuple[str, ...], ...]
    mixed: tuple[str, ...] = ()


def unite(sets: Sequence[Sequence[Column]], names: Sequence[str], may_lack: bool) -> United:
    """Columns of one role are one column (a set has one text, whatever it is called); others go by name.

    Args:
        sets: columns of each data set.
        names: of the sets, for messages.
        may_lack: whether a set may also lack a column that has a role.

    Raises:
        InputError: columns of one name differ in role or type, or a set lacks one with a role: every problem.
    """
    whole: dict[str, Column] = {}
    by_role: dict[str, str] = {}
    places: list[dict[str, str]] = []
    problems: list[Problem] = []
    mixed: dict[str, None] = {}
    for columns, name in zip(sets, names, strict=True):
        mine: dict[str, str] = {}
        for column in columns:
            target = by_role.get(column.role, column.name) if column.role in ONE_EACH else column.name
            known = whole.get(target)
            taken = {item.name: item.role for item in columns}
            if target != column.name and target in taken:
                problems.append(_two_claims(name, column, target, taken[target]))
                continue
            if known is None:
                whole[target] = replace(column, name=target)
                if column.role in ONE_EACH:
                    by_role.setdefault(column.role, target)
            elif known.role != column.role:
                problems.append(_conflict(name, column.name, column.role, known.role))
            elif (kind := wider(known.type, column.type)) is None:
                problems.append(_conflict(name, column.name, column.type, known.type))
            else:
                if column.repairs != known.repairs:
                    mixed.setdefault(target)
                repairs = known.repairs if column.repairs == known.repairs else ()
                whole[target] = Column(target, known.role, kind, repairs)
            mine[target] = column.name
        places.append(mine)
    lacking = [tuple(target for target in whole if target not in mine) for mine in places]
    for name, missing in zip(names, lacking, strict=True):
        needed = [target for target in missing if whole[target].role not in FILLED]
        if needed and not may_lack:
            problems.append(_lacks(name, [whole[target] for target in needed]))
    if problems:
        raise InputError.of(problems)
    renamed = [{own: target for target, own in mine.items() if own != target} for mine in places]
    return United(tuple(whole.values()), tuple(places), tuple(renamed), tuple(lacking), tuple(mixed))


def wider(first: str, second: str) -> str | None:
    """The type that holds both without loss, by Arrow's names; None if there is none."""
    if first == second:
        return first
    for order in (INTEGERS, FLOATS):
        if first in order and second in order:
            return max(first, second, key=order.index)
    small = ("int8", "int16", "int32")
    if (first in small and second in FLOATS) or (second in small and first in FLOATS):
        return "double"
    return None


def _two_claims(name: str, column: Column, target: str, role: str) -> Problem:
    return Problem(
        name,
        t("its {role} is `{own}`, and it has a column `{target}` too ({other})", role=column.role, own=column.name,
          target=target, other=role),
        t("`{target}` holds the {role} in the sets before it", target=target, role=column.role),
        t("leave it out where the set is read: `keep: [...]`"),
    )  # fmt: skip


def _conflict(name: str, column: str, mine: str, theirs: str) -> Problem:
    return Problem(
        name,
        t("the column `{name}` is {mine}", name=column, mine=mine),
        t("{theirs}, as in the sets before it", theirs=theirs),
        t("give it the same role and type where it is read, or leave it out: `keep: [...]`"),
    )


def _lacks(name: str, columns: Sequence[Column]) -> Problem:
    return Problem(
        name,
        t("no column for {names}", names=", ".join(f"{column.role} (`{column.name}`)" for column in columns)),
        t("the roles that the other sets have"),
        t("name it where the set is read, or leave it empty: `missing: fill`"),
    )


class Ids:
    """Row ids of all sets, by eight bytes of a hash each: by chance an id may be taken for another; then it is renamed.

    Args:
        keys: of each set, in the order of its rows.
    """

    def __init__(self, keys: Sequence[NDArray[np.uint64]]) -> None:
        self.taken: list[NDArray[np.bool_]] = []
        seen = np.array([], dtype=np.uint64)
        for mine in keys:
            self.taken.append(np.isin(mine, seen))
            seen = np.union1d(seen, mine)
        self._every = seen
        self._made: set[int] = set()

    def renamed(self, row_id: str, position: int) -> str:
        """An id that no row has: the position of its set before it, as often as it takes."""
        found = f"{position}.{row_id}"
        while (key := _short(found.encode())) in self._made or self._is_there(key):
            found = f"{position}.{found}"
        self._made.add(key)
        return found

    def _is_there(self, key: int) -> bool:
        place = int(np.searchsorted(self._every, np.uint64(key)))
        return place < len(self._every) and int(self._every[place]) == key


def _short(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def write(
    sets: Sequence[Dataset],
    united: United,
    source: tuple[str, Sequence[str]] | None,
    writer: SplitWriter,
    log: ChangeLog,
    progress: Progress,
) -> None:
    """Write the rows of all sets, in order.

    Args:
        source: name of a column for where a row comes from, and its value for each set; None for no such column.
        log: gets every row whose id was taken.
    """
    columns = list(united.columns)
    kinds = {column.name: pa.type_for_alias(column.type) for column in columns}
    ids = Ids([_keys(item, ROW_ID, lambda value: _short(value.encode())) for item in sets])
    total = sum(len(taken) for taken in ids.taken)
    for position, (item, places) in enumerate(zip(sets, united.places, strict=True), start=1):
        start = 0
        for batch in item.batches("all", rows=1_024):
            old = batch.column(ROW_ID).to_pylist()
            taken = ids.taken[position - 1][start : start + batch.num_rows].tolist()
            new = [
                ids.renamed(row_id, position) if is_taken else row_id
                for row_id, is_taken in zip(old, taken, strict=True)
            ]
            start += batch.num_rows
            for before, after in zip(old, new, strict=True):
                if before != after:
                    log.changed(after, RENAMED, ROW_ID, before, after)
            log.account.num_in += batch.num_rows
            log.kept(batch.num_rows, sum(taken))
            arrays = {
                name: batch.column(places[name]).cast(kind) if name in places else pa.nulls(batch.num_rows, kind)
                for name, kind in kinds.items()
            }
            arrays[ROW_ID] = pa.array(new, pa.string())
            if source is not None:
                arrays[source[0]] = pa.array([source[1][position - 1]] * batch.num_rows, pa.string())
            writer.write(pa.table(arrays))
            progress(log.account.num_in, total)


def whole_columns(united: United, source: str | None) -> tuple[Column, ...]:
    """Columns of the data set that `write` fills. Raises InputError if the sets have one called as `source`."""
    if source is None:
        return united.columns
    if any(column.name == source for column in united.columns):
        raise InputError(
            t("a column `{name}` is there already", name=source), remedy=t("name another one: `source: origin`")
        )
    return (*united.columns, Column(source, "other", "string"))


@dataclass(frozen=True)
class Overlap:
    """Rows of each set whose content also stands in another set, and rows in all.

    Attributes:
        role: what was compared: `text` (as data.clean compares texts) or `image` (byte for byte).
    """

    role: str
    shared: tuple[int, ...]
    rows: tuple[int, ...]

    @property
    def rate(self) -> float:
        return sum(self.shared) / max(1, sum(self.rows))


def overlap(sets: Sequence[Dataset]) -> Overlap | None:
    """How far the sets hold the same; None where they have neither texts nor images in common."""
    role = next((role for role in ("text", "image") if all(item.role(role) for item in sets)), None)
    if role is None:
        return None
    keys = [_keys(item, item.need(role), _key) for item in sets]
    shared = []
    for place, mine in enumerate(keys):
        others = np.unique(np.concatenate([other for index, other in enumerate(keys) if index != place]))
        shared.append(int(np.isin(mine, others).sum()))
    return Overlap(role, tuple(shared), tuple(len(mine) for mine in keys))


def _keys(data: Dataset, column: str, key: Callable[[Any], int]) -> NDArray[np.uint64]:
    """Keys of a column's values, in the order of the rows."""
    parts = [
        np.array([key(value) for value in batch.column(0).to_pylist()], dtype=np.uint64)
        for batch in data.batches("all", [column], rows=1_024)
    ]
    return np.concatenate(parts) if parts else np.array([], dtype=np.uint64)


def _key(value: Any) -> int:
    if isinstance(value, bytes):
        return _short(value)
    return int.from_bytes(text_key(value or "")[:8], "big")
