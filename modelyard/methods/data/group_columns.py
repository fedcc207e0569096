"""Rows by group: the values of a column, bins of a number, and what two or three columns make together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError

MISSING = "(missing)"
"""A group of its own: rows that do not say are never left out of sight."""
MAX_GROUPS = 60
JOIN = ", "


@dataclass(frozen=True)
class Grouping:
    """One way to divide the rows.

    Attributes:
        by: the columns.
        names: of the groups that occur, in order.
        codes: int64 [n]: place of each row's group in `names`.
    """

    by: tuple[str, ...]
    names: tuple[str, ...]
    codes: NDArray[np.int64]

    @property
    def title(self) -> str:
        """What evidence and reports call it: `sex, race`."""
        return JOIN.join(self.by)

    def sizes(self) -> NDArray[np.int64]:
        """Rows of each group."""
        return np.bincount(self.codes, minlength=len(self.names))


def divide(
    columns: Mapping[str, Sequence[Any]], bins: Mapping[str, Sequence[float]], together: int = 1
) -> list[Grouping]:
    """Groupings by every column, and by every two (three …) together up to `together`.

    Args:
        columns: values by name, all of one length.
        bins: where a number is cut, by name: `{age: [25, 45]}` gives below 25, 25 to below 45, 45 and more.

    Raises:
        InputError: a column has too many values, or is cut and is no number.
    """
    words = {name: labels(name, values, bins.get(name)) for name, values in columns.items()}
    found = []
    for count in range(1, min(together, len(words)) + 1):
        found += [_grouping(by, [words[name] for name in by]) for by in combinations(words, count)]
    return found


def labels(name: str, values: Sequence[Any], cuts: Sequence[float] | None) -> list[str]:
    """The group of each value. Raises InputError as `divide` does."""
    words = [label(name, value, cuts) for value in values]
    kinds = len(set(words))
    if kinds > MAX_GROUPS:
        raise InputError(
            t("column `{name}` has {count} values: too many for groups", name=name, count=kinds),
            where="columns",
            expected=t("at most {count} groups", count=MAX_GROUPS),
            remedy=t("cut a number into bins: `bins: {{{name}: [25, 45, 65]}}`", name=name),
        )
    return words


def label(name: str, value: Any, cuts: Sequence[float] | None) -> str:
    """The group of one value. Raises InputError for what is to be cut and is no number."""
    return _bin(name, value, cuts) if cuts else _word(value)


def _word(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return MISSING
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() or MISSING


def _bin(name: str, value: Any, cuts: Sequence[float]) -> str:
    if _word(value) == MISSING:
        return MISSING
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(
            t("`{value}` in column `{name}` is no number", value=str(value)[:40], name=name),
            where="bins",
            expected=t("a column of numbers"),
        ) from None
    place = int(np.searchsorted(np.asarray(cuts, np.float64), number, side="right"))
    if place == 0:
        return f"< {cuts[0]:g}"
    return f">= {cuts[-1]:g}" if place == len(cuts) else f"{cuts[place - 1]:g} to < {cuts[place]:g}"


def _grouping(by: tuple[str, ...], words: Sequence[Sequence[str]]) -> Grouping:
    joined = [JOIN.join(parts) for parts in zip(*words, strict=True)]
    names = tuple(sorted(set(joined)))
    places = {name: place for place, name in enumerate(names)}
    return Grouping(by, names, np.fromiter((places[one] for one in joined), np.int64, len(joined)))
