"""How a recommender reads a record: the user first, the item second, then what else is known of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.preprocessing import table_fitting
from modelyard.methods.preprocessing.table import Column, Table, word_of

NUM_IDS = 2
"""The user and the item: the first categories of every recommender's table."""


def as_features(data: Dataset, user: str, item: str) -> Dataset:
    """The data set with user and item as features, whatever role they have (`subject`, `group`, …).

    Raises:
        InputError: a column is not there, is the label, or one is both.
    """
    free = [column.name for column in data.columns if column.role != "label" and column.name != ROW_ID]
    problems = [
        Problem(t("setting `{name}`", name=setting), t("no column `{name}`", name=name), ", ".join(free),
                did_you_mean(name, free))
        for setting, name in (("user", user), ("item", item))
        if name not in free
    ]  # fmt: skip
    if not problems and user == item:
        problems = [
            Problem(t("setting `{name}`", name="item"), t("user and item are the same column"), t("two columns"))
        ]
    if problems:
        raise InputError.of(problems)
    columns = [replace(one, role="feature") if one.name in (user, item) else one for one in data.columns]
    return replace(data, columns=tuple(columns))


@dataclass(frozen=True)
class Fitted:
    """A table whose first two columns are user and item, and lines for the user of the platform."""

    table: Table
    notes: tuple[str, ...]


def fit(rows: pa.Table, user: str, item: str, categories: Collection[str], min_rows: int, min_id_rows: int) -> Fitted:
    """Learn the columns from training rows. Users and items are names even if they look like numbers, and stay if
    most stand in one row only, which other columns of names do not."""
    others = [name for name in rows.column_names if name not in (user, item)]
    found = table_fitting.fit(rows, others, "standard", categories, min_rows)
    ids = [ids_column(rows, name, min_id_rows) for name in (user, item)]
    return Fitted(Table((*ids, *found.table.columns)), found.notes)


def ids_column(rows: pa.Table, name: str, min_rows: int) -> Column:
    """The users or items of at least so many rows, in the order of their names.

    Raises:
        InputError: the column holds neither numbers nor strings, or fewer than two names that count.
    """
    values = table_fitting.distinct(rows.column(name))
    if values is None:
        raise InputError(
            t("`{name}` is of the type {type}", name=name, type=rows.column(name).type),
            where="data/train",
            expected=t("numbers or strings"),
        )
    counts: dict[str, int] = {}
    for value, count in zip(values.values, values.counts().tolist(), strict=True):
        word = _word(value)
        if word is not None:
            counts[word] = counts.get(word, 0) + count
    words = tuple(sorted(word for word, count in counts.items() if count >= min_rows))
    if len(words) < 2:
        raise InputError(
            t("`{name}` has {count} values in at least {rows} rows", name=name, count=len(words), rows=min_rows),
            where="data/train",
            expected=t("at least two"),
            remedy=t("check the settings `user`, `item` and `embedding.min_rows`"),
        )
    return Column(name, "category", words)


def _word(value: object) -> str | None:
    try:
        return word_of(value)
    except ValueError:
        return None


def constant_columns(rows: pa.Table, of: str, names: Sequence[str]) -> list[str]:
    """Which of the columns say the same in every row of the same user or item: what is known of it."""
    owner = table_fitting.distinct(rows.column(of))
    if owner is None:
        return []
    first = np.full(len(owner.values) + 1, -1, np.int64)
    first[owner.index[::-1] + 1] = np.arange(rows.num_rows)[::-1]
    found = []
    for name in names:
        values = table_fitting.distinct(rows.column(name))
        if values is not None and (values.index == values.index[first[owner.index + 1]]).all():
            found.append(name)
    return found
