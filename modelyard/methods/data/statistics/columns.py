"""What is known of a column after one pass: one accumulator for each kind of column, all in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelyard.methods.data.dataset import Column, column_json
from modelyard.methods.data.profile import SCRIPTS, main_scripts
from modelyard.methods.data.statistics.hashing import Hashes, hashes
from modelyard.methods.data.statistics.sketches import SHARES, Distinct, Moments, Sample, Top

NAMES = ("label", "group", "subject", "split")
"""Roles whose values are names to be counted, whatever their type."""
SHOWN_CHARACTERS = 80


def kind_of(column: Column) -> str:
    """`category`, `text`, `number`, `time`, `bytes` or `other`, from role and Arrow type."""
    if column.role in NAMES or column.type == "bool":
        return "category"
    if column.role == "time" or column.type.startswith(("timestamp", "date")):
        return "time" if column.type.startswith(("timestamp", "date")) else "category"
    if column.type in ("string", "large_string"):
        return "text"
    if column.type.startswith(("int", "uint", "float", "double", "halffloat")):
        return "number"
    return "bytes" if column.type.endswith("binary") else "other"


class Figures(Protocol):
    """What an accumulator does: takes batches (with each row's draw), and says what it found."""

    def update(self, values: pa.Array, drawn: Hashes) -> None: ...

    def to_json(self) -> dict[str, Any]: ...


class Numbers:
    """Moments, quantiles, the most frequent values; what is not finite is counted apart."""

    def __init__(self, sample: int) -> None:
        self._moments, self._sample, self._top = Moments(), Sample(sample), Top()
        self._not_finite = self._nan = 0

    def update(self, values: pa.Array, drawn: Hashes) -> None:
        there = values.is_valid()
        numbers, drawn = as_floats(values.filter(there)), drawn[as_mask(there)]
        finite = np.isfinite(numbers)
        self._not_finite += int((~finite).sum())
        self._nan += int(np.isnan(numbers).sum())
        self._moments.update(numbers[finite])
        self._sample.update(drawn[finite], numbers[finite])
        self._top.update(hashes(values.filter(there)), shower(values.filter(there)))

    def to_json(self) -> dict[str, Any]:
        found = {**self._moments.to_json(), **quantiles_json(self._sample), **top_json(self._top)}
        strange = {"not_finite": self._not_finite, "nan": self._nan}
        return {**found, **{name: num for name, num in strange.items() if num}}


class Texts:
    """Lengths in characters, empty texts, the most repeated texts, and for the text itself its scripts."""

    def __init__(self, sample: int, scripts: bool) -> None:
        self._moments, self._sample, self._top = Moments(), Sample(sample), Top()
        self._scripts = np.zeros(len(SCRIPTS), dtype=np.int64) if scripts else None
        self._empty = 0

    def update(self, values: pa.Array, drawn: Hashes) -> None:
        there = values.is_valid()
        texts, drawn = values.filter(there), drawn[as_mask(there)]
        lengths = as_floats(pc.utf8_length(texts))
        self._empty += int((lengths == 0).sum())
        self._moments.update(lengths)
        self._sample.update(drawn, lengths)
        self._top.update(hashes(texts), shower(texts))
        if self._scripts is not None and len(texts):
            self._scripts += np.bincount(main_scripts(texts.to_pylist()), minlength=len(SCRIPTS))

    def to_json(self) -> dict[str, Any]:
        lengths = {"unit": "characters", **self._moments.to_json(), **quantiles_json(self._sample)}
        found: dict[str, Any] = {"empty": self._empty, "length": lengths, **top_json(self._top)}
        found["top"] = [item for item in found["top"] if item["rows"] > 1]  # once is no repetition
        if self._scripts is not None:
            names = {name or "none": int(count) for name, count in zip(SCRIPTS, self._scripts, strict=True) if count}
            total = max(1, sum(names.values()))
            found["scripts"] = {name: round(count / total, 4) for name, count in _by_count(names)}
        return found


class Categories:
    """The most frequent values."""

    def __init__(self) -> None:
        self._top = Top()

    def update(self, values: pa.Array, drawn: Hashes) -> None:
        there = values.filter(values.is_valid())
        self._top.update(hashes(there), shower(there))

    def to_json(self) -> dict[str, Any]:
        return top_json(self._top, most=100)


class Times:
    """The oldest and the newest moment, ISO 8601."""

    def __init__(self) -> None:
        self._ends: list[Any] = []

    def update(self, values: pa.Array, drawn: Hashes) -> None:
        ends = pc.min_max(values).as_py()
        self._ends += [value for value in ends.values() if value is not None]
        self._ends = [min(self._ends), max(self._ends)] if self._ends else []

    def to_json(self) -> dict[str, Any]:
        return {"oldest": self._ends[0].isoformat(), "newest": self._ends[1].isoformat()} if self._ends else {}


class Blobs:
    """Sizes in bytes."""

    def __init__(self, sample: int) -> None:
        self._moments, self._sample = Moments(), Sample(sample)

    def update(self, values: pa.Array, drawn: Hashes) -> None:
        there = values.is_valid()
        sizes = as_floats(pc.binary_length(values.filter(there)))
        self._moments.update(sizes)
        self._sample.update(drawn[as_mask(there)], sizes)

    def to_json(self) -> dict[str, Any]:
        return {"length": {"unit": "bytes", **self._moments.to_json(), **quantiles_json(self._sample)}}


class Nothing:
    """Of lists and records only missing and distinct values are counted."""

    def update(self, values: pa.Array, drawn: Hashes) -> None:
        pass

    def to_json(self) -> dict[str, Any]:
        return {}


class ColumnFigures:
    """One column: rows, missing and distinct values, and what its kind knows besides."""

    def __init__(self, column: Column, sample: int) -> None:
        self.column, self.kind = column, kind_of(column)
        self._num = self._missing = 0
        self._distinct = Distinct()
        makers: dict[str, Callable[[], Figures]] = {
            "number": lambda: Numbers(sample),
            "text": lambda: Texts(sample, scripts=column.role == "text"),
            "category": Categories,
            "time": Times,
            "bytes": lambda: Blobs(sample),
            "other": Nothing,
        }
        self._figures = makers[self.kind]()

    def update(self, values: pa.Array, drawn: Hashes) -> None:
        self._num += len(values)
        self._missing += values.null_count
        self._distinct.update(hashes(values.filter(values.is_valid())))
        self._figures.update(values, drawn)

    def to_json(self) -> dict[str, Any]:
        return {
            **column_json(self.column),
            "kind": self.kind,
            "rows": self._num,
            "missing": self._missing,
            "distinct": self._distinct.count,
            "distinct_exact": self._distinct.exact,
            **self._figures.to_json(),
        }


def as_floats(values: pa.Array) -> NDArray[np.float64]:
    """Numbers as float64; missing ones as NaN."""
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def as_mask(values: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=bool)


def shower(values: pa.Array) -> Callable[[int], str]:
    """The text of a value, cut: it is held for as long as the value is among the frequent ones."""

    def show(place: int) -> str:
        text = str(values[place].as_py())
        return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"

    return show


def quantiles_json(sample: Sample) -> dict[str, Any]:
    found = sample.quantiles()
    if not found:
        return {}
    named = {f"{share:g}": value for share, value in zip(SHARES, found, strict=True)}
    return {"quantiles": named, "quantiles_exact": sample.exact, "quantiles_rank_error": round(sample.rank_error, 5)}


def top_json(top: Top, most: int = 20) -> dict[str, Any]:
    found = [{"value": value, "rows": count} for value, count in top.most(most)]
    return {"top": found, "top_error": top.error}


def _by_count(names: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(names.items(), key=lambda item: (-item[1], item[0]))
