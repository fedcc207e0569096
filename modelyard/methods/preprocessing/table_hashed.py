"""`table_hashed`: a row of a table in a table of weights of fixed size, read from the first row of a stream on.

A cell that is a number counts twice: as the number itself, with mean 0 and variance 1 so far, and as the half standard
deviation it lies in, which lets a linear model bend. Any other cell is a name. Means and variances are those of the
rows learned so far (Welford 1962).

Spec: `{"kind": "table_hashed", "file": "table_hashed.json", "bits": 18}`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.canonical import canonical_json
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.preprocessing import hashing
from modelyard.methods.preprocessing.ngrams import pad_rows
from modelyard.methods.preprocessing.ngrams_hashed import LEAST_BITS, MOST_BITS
from modelyard.methods.preprocessing.table import LEADING_ZERO, Placed, number_of, renamed, word_of

FILE = "table_hashed.json"
FAR = 6.0
"""Standard deviations beyond which a number is read as so many."""
SHOWN = 40


@dataclass(frozen=True)
class Column:
    """A column and what was seen of its numbers.

    Attributes:
        named: whether all its cells are names, also those that look like numbers.
        count, mean, spread: of the numbers so far; `spread` is the sum of squared distances from the mean.
    """

    name: str
    named: bool = False
    count: int = 0
    mean: float = 0.0
    spread: float = 0.0

    def seen(self, value: float) -> Column:
        """The column after one more number."""
        count = self.count + 1
        mean = self.mean + (value - self.mean) / count
        return replace(self, count=count, mean=mean, spread=self.spread + (value - self.mean) * (value - mean))

    def scaled(self, value: float) -> float:
        """Standard deviations from the mean, at most FAR; 0 while nothing varies."""
        if self.spread <= 0:
            return 0.0
        return min(FAR, max(-FAR, (value - self.mean) / math.sqrt(self.spread / self.count)))


@dataclass(frozen=True)
class HashedTable:
    """The columns of a model. `bits`: the table of weights has 2^bits places, of which 0 is padding."""

    columns: tuple[Column, ...]
    bits: int = 18

    input_names = ("ngram_ids", "ngram_weights")

    @property
    def num_features(self) -> int:
        """Rows a weight table needs."""
        return 1 << self.bits

    def sample(self) -> Mapping[str, Any]:
        """A record that can be answered: nothing is known of it."""
        return {column.name: None for column in self.columns}

    def cells(self, record: Mapping[str, Any]) -> list[float | str | None]:
        """Each column's number, name or nothing. Raises KeyError or ValueError with the column's name."""
        found: list[float | str | None] = []
        for column in self.columns:
            value = record[column.name]
            try:
                found.append(_cell(value, column.named))
            except ValueError:
                raise ValueError(column.name) from None
        return found

    def weigh(self, cells: Sequence[float | str | None]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Ids and weights of one row, ids rising; weights of equal ids are added up, and none is 0."""
        names: list[str] = []
        weights: list[float] = []
        for column, cell in zip(self.columns, cells, strict=True):
            if isinstance(cell, float):
                scaled = column.scaled(cell)
                names += [column.name, f"{column.name}\0{math.floor(2 * scaled)}"]
                weights += [scaled, 1.0]
            else:
                names.append(f"{column.name}\1{'' if cell is None else cell}")
                weights.append(1.0)
        hashes = np.array([hashing.name_hash(name) for name in names], np.uint64)
        ids, inverse = np.unique(hashing.places(hashes, self.bits), return_inverse=True)
        sums = np.bincount(inverse, weights, minlength=len(ids)).astype(np.float32)
        return ids[sums != 0], sums[sums != 0]

    def encode(self, values: Sequence[Placed]) -> dict[str, NDArray[Any]]:
        """`ngram_ids` and `ngram_weights` [rows, longest]. Raises InputError naming the record and the column."""
        rows = [self.weigh(self._placed(place, record)) for place, record in values]
        lengths = [len(ids) for ids, _ in rows]
        none: tuple[NDArray[Any], ...] = (np.zeros(0, np.int64),)
        return pad_rows(
            np.repeat(np.arange(len(rows)), lengths),
            np.concatenate([ids for ids, _ in rows] or none),
            np.concatenate([weights for _, weights in rows] or none).astype(np.float32),
            len(rows),
        )

    def _placed(self, place: int, record: Mapping[str, Any]) -> list[float | str | None]:
        try:
            return self.cells(record)
        except KeyError as error:
            name = str(error.args[0])
            near = renamed(name, record, [one.name for one in self.columns])
            remedy = t("a value that is missing is said with null")
            raise InputError(
                t("the record has no column `{name}`", name=name),
                where=f"records[{place}]",
                expected=", ".join(one.name for one in self.columns),
                remedy=f"{near}; {remedy}" if near else remedy,
            ) from None
        except ValueError as error:
            name = str(error.args[0])
            raise InputError(
                t("`{name}` is {found}", name=name, found=repr(record[name])[:SHOWN]),
                where=f"records[{place}].{name}",
                expected=t("a finite number, a string, or null"),
            ) from None

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the file; returns the spec for `model.json`."""
        (folder / FILE).write_bytes(canonical_json([asdict(column) for column in self.columns]) + b"\n")
        return {"kind": "table_hashed", "file": FILE, "bits": self.bits}


def _cell(value: Any, named: bool) -> float | str | None:
    """A number, a name, or None if nothing is there. Raises ValueError if it is neither."""
    if isinstance(value, bool) or named or (isinstance(value, str) and LEADING_ZERO.fullmatch(value.strip())):
        return word_of(value)
    try:
        number = number_of(value)
    except ValueError:
        if not isinstance(value, str):
            raise
        return word_of(value)
    return None if math.isnan(number) else number


def load(folder: Path, spec: Mapping[str, Any]) -> HashedTable:
    """Raises InputError if the file is missing or not a table's."""
    path, bits = folder / str(spec["file"]), spec["bits"]
    try:
        if not isinstance(bits, int) or not LEAST_BITS <= bits <= MOST_BITS:
            raise ValueError(t("`bits` is {found}", found=str(bits)[:20]))
        columns = tuple(_column(item) for item in json.loads(path.read_text(encoding="utf-8")))
        if not columns or len({column.name for column in columns}) != len(columns):
            raise ValueError(t("no columns, or two of one name"))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(t("the columns of the model cannot be read: {error}", error=error), where=str(path)) from None
    return HashedTable(columns, bits)


def _column(item: Mapping[str, Any]) -> Column:
    """Raises ValueError, TypeError or KeyError if it is none."""
    mean, spread = float(item["mean"]), float(item["spread"])
    if not math.isfinite(mean) or not 0 <= spread < math.inf or not isinstance(item["count"], int):
        raise ValueError(t("the column `{name}` is damaged", name=str(item["name"])[:SHOWN]))
    if spread and item["count"] < 1:
        raise ValueError(t("the column `{name}` is damaged", name=str(item["name"])[:SHOWN]))
    return Column(str(item["name"]), bool(item["named"]), item["count"], mean, spread)
