"""`table`: a record `{column: value}` as numbers, the way the training rows were read.

Spec: `{"kind": "table", "file": "table.json"}`. The file holds the columns in order; a number column with the words
that mean "missing" there and its scaling, a category column with the values it knows. `encode` gives `table` [rows,
columns] float64 for trees (missing numbers are NaN, categories are codes) and, if there is a scaling, `numbers` and
`categories` for networks. A missing value is said with null; a column that is not in the record at all is an error.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelyard.base.canonical import canonical_json
from modelyard.base.messages import t
from modelyard.errors import InputError

FILE = "table.json"
MISSING, UNKNOWN, FIRST = 0, 1, 2
"""Codes of a category: nothing there, a value that training did not see often enough, the first that it did."""
ABSENT = frozenset({"", "?", "na", "n/a", "nan", "null", "none"})
"""Words that mean nothing is there, in any case."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
LEADING_ZERO = re.compile(r"[+-]?0\d+", re.ASCII)
SHOWN = 40
Kind = Literal["number", "category"]


class Placed(NamedTuple):
    """A record (or what stands for it) and its place in the request, for messages."""

    place: int
    record: Any


@dataclass(frozen=True)
class Column:
    """How one column is read.

    Attributes:
        words: of a category: its known values, whose codes begin at FIRST; of a number: words read as missing.
        knots, heights: of a number: what a network gets is interpolated between these points, flat beyond them.
        flagged: of a number: whether a network is told that it is missing (there were such training rows).
    """

    name: str
    kind: Kind
    words: tuple[str, ...] = ()
    knots: tuple[float, ...] = ()
    heights: tuple[float, ...] = ()
    flagged: bool = False


@dataclass(frozen=True)
class Table:
    """The columns of a model, in its order."""

    columns: tuple[Column, ...]
    codes: Mapping[str, Mapping[str, int]] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        found = {
            column.name: {word: code for code, word in enumerate(column.words, FIRST)}
            for column in self.columns
            if column.kind == "category"
        }
        object.__setattr__(self, "codes", found)

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("table", "numbers", "categories") if self.scaled else ("table",)

    @property
    def scaled(self) -> bool:
        """Whether networks can read it."""
        return any(column.knots for column in self.columns) or not self.numbers

    @property
    def numbers(self) -> list[int]:
        """Places of the number columns."""
        return [place for place, column in enumerate(self.columns) if column.kind == "number"]

    @property
    def categories(self) -> list[int]:
        """Places of the category columns."""
        return [place for place, column in enumerate(self.columns) if column.kind == "category"]

    def sample(self) -> Mapping[str, Any]:
        """A record that can be answered: nothing is known of it."""
        return {column.name: None for column in self.columns}

    def encode(self, values: Sequence[Placed]) -> dict[str, NDArray[Any]]:
        """Arrays with one row a record. Raises InputError naming the record and the column that cannot be read."""
        matrix = np.empty((len(values), len(self.columns)), np.float64)
        for row, (place, record) in enumerate(values):
            for position, column in enumerate(self.columns):
                matrix[row, position] = self._cell(column, record, place)
        return self.arrays(matrix)

    def arrays(self, matrix: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        """What `encode` gives, from numbers and codes [rows, columns]."""
        if not self.scaled:
            return {"table": matrix}
        chosen = [(place, self.columns[place]) for place in self.numbers]
        parts = [scale(matrix[:, place], column) for place, column in chosen]
        parts += [np.isnan(matrix[:, place]).astype(np.float32) for place, column in chosen if column.flagged]
        numbers = np.stack(parts, 1) if parts else np.zeros((len(matrix), 0), np.float32)
        return {"table": matrix, "numbers": numbers, "categories": matrix[:, self.categories].astype(np.int64)}

    def code(self, column: Column, value: Any) -> float:
        """A cell as a number. Raises ValueError if it cannot be read."""
        if column.kind == "number":
            return number_of(value, column.words)
        word = word_of(value)
        return MISSING if word is None else self.codes[column.name].get(word, UNKNOWN)

    def _cell(self, column: Column, record: Mapping[str, Any], place: int) -> float:
        try:
            return self.code(column, record[column.name])
        except KeyError:
            near = renamed(column.name, record, [one.name for one in self.columns])
            remedy = t("a value that is missing is said with null")
            raise InputError(
                t("the record has no column `{name}`", name=column.name),
                where=f"records[{place}]",
                expected=", ".join(one.name for one in self.columns),
                remedy=f"{near}; {remedy}" if near else remedy,
            ) from None
        except ValueError:
            found = repr(record[column.name])[:SHOWN]
            raise InputError(
                t("`{name}` is {found}", name=column.name, found=found),
                where=f"records[{place}].{column.name}",
                expected=t("a finite number, or null") if column.kind == "number" else t("a string, or null"),
            ) from None

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the file; returns the spec for `model.json`."""
        (folder / FILE).write_bytes(canonical_json([asdict(column) for column in self.columns]) + b"\n")
        return {"kind": "table", "file": FILE}


def renamed(name: str, record: Mapping[str, Any], known: Sequence[str]) -> str:
    """A remedy if the record has a column of a similar name that the model does not know; else nothing."""
    strange = [str(one)[:SHOWN] for one in record if one not in known]
    near = difflib.get_close_matches(name, strange, n=1, cutoff=0.5)
    return t("`{given}` in the record: did you mean `{name}`?", given=near[0], name=name) if near else ""


def scale(values: NDArray[np.float64], column: Column) -> NDArray[np.float32]:
    """A number column as a network reads it; missing values are 0, the middle."""
    scaled = np.interp(values, column.knots, column.heights)
    return np.where(np.isnan(values), 0.0, scaled).astype(np.float32)


def number_of(value: Any, missing: Sequence[str] = ()) -> float:
    """A cell as a number, NaN if nothing is there. Raises ValueError if it is no finite number."""
    if value is None:
        return math.nan
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in ABSENT or text in missing:
            return math.nan
        if not NUMBER.fullmatch(text):
            raise ValueError
        value = text
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError  # true is no 1: a column of them is a category
    try:
        number = float(value)
    except OverflowError:
        raise ValueError from None
    if not math.isfinite(number):
        raise ValueError
    return number


def word_of(value: Any) -> str | None:
    """A cell as a category's name, None if nothing is there: 3, 3.0 and "3" are the same. Raises ValueError."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError
        return str(int(value)) if value.is_integer() else repr(value)
    if not isinstance(value, int | str):
        raise ValueError
    text = str(value).strip()
    return None if text.lower() in ABSENT else text


def load(folder: Path, spec: Mapping[str, Any]) -> Table:
    """Raises InputError if the file is missing or not a table's."""
    path = folder / str(spec["file"])
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        columns = tuple(_column(item) for item in value)
        if not columns or len({column.name for column in columns}) != len(columns):
            raise ValueError(t("no columns, or two of one name"))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(t("the columns of the model cannot be read: {error}", error=error), where=str(path)) from None
    return Table(columns)


def _column(item: Mapping[str, Any]) -> Column:
    """Raises ValueError, TypeError or KeyError if it is none."""
    knots, heights = (tuple(float(number) for number in item[name]) for name in ("knots", "heights"))
    rising = all(low < high for low, high in pairwise(knots))
    finite = all(math.isfinite(number) for number in (*knots, *heights))
    if item["kind"] not in ("number", "category") or len(knots) != len(heights) or not rising or not finite:
        raise ValueError(t("the column `{name}` is damaged", name=str(item["name"])[:SHOWN]))
    words = tuple(str(word) for word in item["words"])
    return Column(str(item["name"]), item["kind"], words, knots, heights, bool(item["flagged"]))
