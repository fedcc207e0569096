"""Learning how to read a table from its training rows: which columns are numbers, which values a category has.

A column of strings (all of a CSV are) is one of numbers if at least 99 % of its values are; a value with a leading
zero (`007`) makes it one of codes, which are categories. What is left of it is read as missing, and counted. Distinct
values are looked at once each, so a column of a million rows costs what its distinct values cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.special import ndtri

from modelyard.base.messages import t
from modelyard.methods.preprocessing.table import LEADING_ZERO, MISSING, Column, Table, number_of, word_of

MOSTLY = 0.99
QUANTILES = 129
FAR = 10.0
"""Standard deviations beyond which a number is read as so many."""
NAMES_SHARE, NAMES_ROWS = 0.5, 200
"""A column of words of which most stand in one row only is a name or a number of the row: nothing to learn from."""
Scaling = Literal["none", "standard", "quantile"]


@dataclass(frozen=True)
class Distinct:
    """A column as its distinct values: `values[index]` is a row's, -1 where nothing is there."""

    values: Sequence[Any]
    index: NDArray[np.int64]

    def counts(self) -> NDArray[np.int64]:
        found: NDArray[np.int64] = np.bincount(self.index + 1, minlength=len(self.values) + 1)[1:]
        return found

    def spread(self, read: Callable[[Any], float], nothing: float) -> NDArray[np.float64]:
        """Every row's value as `read` gives it, which is called once a distinct value."""
        table = np.array([nothing, *(read(value) for value in self.values)], np.float64)
        return table[self.index + 1]


@dataclass(frozen=True)
class Fitted:
    """A table, the columns left out with the reason, and lines for the user."""

    table: Table
    notes: tuple[str, ...]


def fit(
    rows: pa.Table, names: Sequence[str], scaling: Scaling, categories: Collection[str] = (), min_rows: int = 5
) -> Fitted:
    """Learn the columns `names` from training rows.

    Args:
        scaling: for networks: `standard` (mean 0, variance 1), `quantile` (normal scores of 129 quantiles, as in
            Gorishniy et al. 2021), or `none`.
        categories: columns whose values are names, also if they look like numbers.
        min_rows: a value of a category counts if it stands in so many rows; others are the one value "unknown".
    """
    columns: list[Column] = []
    notes: list[str] = []
    for name in names:
        values = distinct(rows.column(name))
        column = None if values is None else _column(name, values, name in categories, min_rows)
        if values is None:
            notes.append(t("`{name}` is of the type {type}: left out", name=name, type=rows.column(name).type))
        elif isinstance(column, str):
            notes.append(column)
        elif column is not None:
            if column.kind == "number" and column.words:
                some = ", ".join(column.words[:3])
                notes.append(t("`{name}` is a column of numbers: {some} is read as missing", name=name, some=some))
            columns.append(column)
    table = Table(tuple(columns))
    if scaling != "none":
        matrix = encode(table, rows)
        scaled = [_scaled(column, matrix[:, place], scaling) for place, column in enumerate(columns)]
        table = Table(tuple(scaled))
    return Fitted(table, tuple(notes))


def encode(table: Table, rows: pa.Table) -> NDArray[np.float64]:
    """[rows, columns] numbers and codes, the same as `Table.encode` makes of records; a value in a column of numbers
    that is none is missing."""
    matrix = np.empty((rows.num_rows, len(table.columns)), np.float64)
    for place, column in enumerate(table.columns):
        values = distinct(rows.column(column.name))
        if values is None:
            raise TypeError(column.name)
        nothing = math.nan if column.kind == "number" else MISSING
        matrix[:, place] = values.spread(_reader(table, column, nothing), nothing)
    return matrix


def _reader(table: Table, column: Column, nothing: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        try:
            return table.code(column, value)
        except ValueError:
            return nothing

    return read


def distinct(column: pa.ChunkedArray) -> Distinct | None:
    """The distinct values of a column; None if they are neither numbers, truth values nor strings."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    readable = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_null,
    )
    if pa.types.is_decimal(kind):
        column, kind = column.cast(pa.float64()), pa.float64()
    if not any(test(kind) for test in readable):
        return None
    if pa.types.is_null(kind):
        return Distinct([], np.full(len(column), -1, np.int64))
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    encoded = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().chunk(0) if encoded.num_chunks else pa.array([], encoded.type)
    index = pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    return Distinct(encoded.dictionary.to_pylist(), index)


def _column(name: str, values: Distinct, as_category: bool, min_rows: int) -> Column | str:
    """The column, or why it is left out."""
    counts = values.counts()
    words = [_or_none(word_of, value) for value in values.values]
    present = {word for word, count in zip(words, counts, strict=True) if word is not None and count}
    if len(present) < 2 and (not present or (counts.sum() == len(values.index) and None not in words)):
        return t("`{name}` has the same value in every row: left out", name=name)
    strings = any(isinstance(value, str) for value in values.values)
    truths = any(isinstance(value, bool) for value in values.values)
    if not as_category and not truths and (not strings or _are_numbers(values, counts)):
        return Column(name, "number", tuple(sorted(_strange(values))))
    of_word: dict[str, int] = {}
    for word, count in zip(words, counts.tolist(), strict=True):
        if word is not None:
            of_word[word] = of_word.get(word, 0) + count
    single = sum(count == 1 for count in of_word.values())
    if single > NAMES_SHARE * len(values.index) and single > NAMES_ROWS:
        return t("`{name}` has another value in most rows, as a name or a number has: left out", name=name)
    return Column(name, "category", tuple(sorted(word for word, count in of_word.items() if count >= min_rows)))


def _or_none(read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except ValueError:
        return None


def _are_numbers(values: Distinct, counts: NDArray[np.int64]) -> bool:
    """Whether nearly all that is there are numbers, and none is a code with a leading zero."""
    there = numbers = 0
    for value, count in zip(values.values, counts.tolist(), strict=True):
        if isinstance(value, str) and LEADING_ZERO.fullmatch(value.strip()):
            return False
        number = _or_none(number_of, value)
        if number is None or not math.isnan(number):
            there += count
            numbers += count if number is not None else 0
    return numbers >= MOSTLY * there and numbers > 0


def _strange(values: Distinct) -> set[str]:
    """Words among the numbers."""
    return {value.strip() for value in values.values if isinstance(value, str) and _or_none(number_of, value) is None}


def _scaled(column: Column, values: NDArray[np.float64], scaling: Scaling) -> Column:
    """The column with the points between which a network's number is interpolated."""
    if column.kind == "category":
        return column
    there = values[~np.isnan(values)]
    flagged = len(there) < len(values)
    if not len(there):
        return replace(column, knots=(0.0,), heights=(0.0,), flagged=flagged)
    if scaling == "standard":
        mean, deviation = float(there.mean()), float(there.std()) or 1.0
        ends = (mean - FAR * deviation, mean + FAR * deviation)
        return replace(column, knots=ends, heights=(-FAR, FAR), flagged=flagged)
    ordered = np.sort(there)
    knots = np.unique(np.quantile(ordered, np.linspace(0, 1, QUANTILES)))
    # The middle of the ranks of equal values, kept off 0 and 1, where normal scores are infinite.
    ranks = (np.searchsorted(ordered, knots, "left") + np.searchsorted(ordered, knots, "right")) / 2 / len(ordered)
    edge = 1 / (2 * QUANTILES)
    heights = ndtri(np.clip(ranks, edge, 1 - edge))
    return replace(column, knots=tuple(knots.tolist()), heights=tuple(heights.tolist()), flagged=flagged)
