"""The group of every row that is learned from, out of columns that the model need not see."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.data.group_columns import JOIN, labels
from modelyard.methods.training.fair.settings import Fairness

Ints = NDArray[np.int64]
NONE = -1
"""Code of a row in no group."""
FEW = "(few)"
SHOWN = 5


@dataclass(frozen=True)
class Groups:
    """Groups of train and validation.

    Attributes:
        names: of the groups, two at least.
        training, validation: [rows] place of each row's group in `names`; NONE for rows in no group.
        notes: lines for the user.
    """

    names: tuple[str, ...]
    training: Ints
    validation: Ints
    notes: tuple[str, ...] = ()


def columns_of(data: Dataset, settings: Fairness) -> tuple[str, ...]:
    """The columns that make groups: those named, else the one of role `group`.

    Raises:
        InputError: there is no such column, or none has the role.
    """
    there = [column.name for column in data.columns]
    for name in settings.columns:
        if name not in there:
            raise InputError(
                t("no column `{name}`", name=name),
                where="fairness.columns",
                expected=", ".join(there),
                remedy=did_you_mean(name, there),
            )
    if settings.columns:
        return settings.columns
    role = data.role("group")
    if role is None:
        raise InputError(
            t("no column has the role `group`"),
            where="fairness.columns",
            expected=t("columns whose values are groups"),
            remedy=t("name them: `columns: [sex]`"),
        )
    return (role,)


def unseen(data: Dataset, settings: Fairness | None, left_out: Collection[str] = ()) -> list[str]:
    """Features that make groups, and are not to be read but for that."""
    if settings is None or settings.sees_groups:
        return []
    features = {column.name for column in data.columns if column.role == "feature"} - set(left_out)
    return [name for name in columns_of(data, settings) if name in features]


def read(data: Dataset, settings: Fairness, training: Sequence[str], validation: Sequence[str]) -> Groups:
    """Groups of the rows with these ids.

    Groups with fewer than `min_rows` rows in train are taken together; if they are too few even so, their rows are in
    no group. A missing value is a group like others.

    Raises:
        InputError: an unknown column, a column that makes too many groups, fewer than two groups, or fewer than two
            of them in validation.
    """
    columns = columns_of(data, settings)
    words = [
        _words(data, split, columns, settings.bins, names)
        for split, names in (("train", training), ("validation", validation))
    ]
    sizes = {name: words[0].count(name) for name in sorted(set(words[0]))}
    names, joined, notes = _large(sizes, settings.min_rows)
    if len(names) < 2:
        found = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise InputError(
            t("fewer than two groups have {count} training rows: {found}", count=settings.min_rows, found=found),
            where="fairness.columns",
            expected=t("at least two groups"),
            remedy=t("name another column, or lower `min_rows`"),
        )
    places = {name: place for place, name in enumerate(names)}
    codes = [np.array([places.get(FEW if name in joined else name, NONE) for name in each], np.int64) for each in words]
    return Groups(names, codes[0], codes[1], (*notes, *_validation_notes(names, words[1], sizes, codes[1])))


def _words(
    data: Dataset, split: str, columns: Sequence[str], bins: Mapping[str, Sequence[float]], names: Sequence[str]
) -> list[str]:
    """The group of each row id, in the order of `names`."""
    table = data.table(split, [*columns, ROW_ID])
    parts = [labels(name, table.column(name).to_pylist(), bins.get(name)) for name in columns]
    ids = [str(one) for one in table.column(ROW_ID).to_pylist()]
    found = dict(zip(ids, (JOIN.join(each) for each in zip(*parts, strict=True)), strict=True))
    return [found[name] for name in names]


def _large(sizes: Mapping[str, int], min_rows: int) -> tuple[tuple[str, ...], set[str], list[str]]:
    """(names of groups, those that are taken together, notes)."""
    small = {name for name, size in sizes.items() if size < min_rows}
    if not small:
        return tuple(sizes), set(), []
    rows = sum(sizes[name] for name in small)
    names = [name for name in sizes if name not in small]
    listed = ", ".join(sorted(small)[:SHOWN]) + (", …" if len(small) > SHOWN else "")
    if rows >= min_rows:
        note = t("groups with fewer than {count} training rows are taken together: {names}", count=min_rows,
                 names=listed)  # fmt: skip
        return (*names, FEW), small, [note]
    note = t("{rows} training rows are in groups with fewer than {count} rows and not minded: {names}", rows=rows,
             count=min_rows, names=listed)  # fmt: skip
    return tuple(names), small, [note]


def _validation_notes(names: Sequence[str], words: Sequence[str], sizes: Mapping[str, int], codes: Ints) -> list[str]:
    """What validation lacks, or has and train has not. Raises InputError if no two groups are in it."""
    there = set(codes.tolist()) - {NONE}
    if len(there) < 2:
        raise InputError(
            t("fewer than two of the groups are in validation"),
            where="data/validation",
            expected=", ".join(names[:10]),
            remedy=t("use data.split with a larger `validation`"),
        )
    notes = []
    lacking = [name for place, name in enumerate(names) if place not in there]
    if lacking:
        notes.append(t("validation has no row of the groups {names}", names=", ".join(lacking[:SHOWN])))
    strange = sorted(set(words) - set(sizes))
    if strange:
        notes.append(t("groups of validation that train has not are not minded: {names}",
                       names=", ".join(strange[:SHOWN])))  # fmt: skip
    return notes
