"""How far a data set has moved from a reference: population stability index and a test, column by column.

Bins are fixed on the reference, each with an equal share of it, and are never fitted again; counts are smoothed
(Laplace, one row a bin), so that an empty bin is no infinity. A p-value says whether a difference is more than chance,
the index whether it is large: with many rows every test rejects, with few rows every index is large. So a column has
moved only if both say so. All columns of a comparison are corrected together (Holm 1979).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelyard.methods.data.dataset import ROW_ID, Column, Dataset
from modelyard.methods.data.statistics.columns import as_floats, as_mask, kind_of
from modelyard.methods.data.statistics.hashing import draws
from modelyard.methods.data.statistics.sketches import Sample

NUM_BINS = 10
MOST_CATEGORIES = 50
"""More categories are one bin, `other`; their commonest by the reference stay."""
MOST_COUNTED = 100_000
FEWEST_ROWS = 500
"""Of either side. Below, the index of two samples of the same thing is easily above 0.1."""
BOOTSTRAPS = 200

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Moved:
    """How far one column moved.

    Attributes:
        column: its name; of texts and bytes the length is compared.
        what: `value`, `length` or `category`.
        psi: population stability index: sum of (p - q) ln(p / q) over the bins.
        by_chance: what it comes to on average without any drift, (bins - 1) (1/n + 1/m).
        num_reference, num_rows: rows behind it.
        test: `ks` (two samples; on at most 32,768 rows of each side) or `chi2` (bins expected below 5 joined).
        num_tested: rows of the smaller side that the test saw.
        p_value: corrected for the number of columns compared.
        bins: names of the bins.
        reference, rows: counts by bin.
    """

    column: str
    what: str
    psi: float
    by_chance: float
    num_reference: int
    num_rows: int
    test: Literal["ks", "chi2"]
    statistic: float
    num_tested: int
    p_value: float
    bins: tuple[str, ...] = ()
    reference: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()

    def moved(self, max_psi: float, alpha: float) -> bool:
        """Whether the difference is large and more than chance."""
        return self.psi > max_psi and self.p_value < alpha

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "bins": list(self.bins), "reference": list(self.reference), "rows": list(self.rows)}


def compare(
    reference: Dataset, data: Dataset, splits: tuple[Sequence[str], Sequence[str]], columns: Sequence[str] | None = None
) -> list[Moved]:
    """Every column both have and whose kind can be compared, the one that moved most first.

    Args:
        splits: of the reference and of the data.
        columns: names; all if None. Times always move and are left out.
    """
    chosen = shared_columns(reference, data, columns)
    gauges = {column.name: _gauge(column) for column in chosen}
    for side, (source, names) in enumerate(zip((reference, data), splits, strict=True)):
        for gauge in gauges.values():
            gauge.begin(side)
        for split in names:
            for batch in source.batches(split, [ROW_ID, *gauges]):
                drawn = draws(batch.column(ROW_ID), side, "drift")
                for name, gauge in gauges.items():
                    gauge.take(side, batch.column(name), drawn)
    for split in splits[0]:
        for batch in reference.batches(split, list(gauges)) if gauges else ():
            for name, gauge in gauges.items():
                gauge.count_reference(batch.column(name))
    found = [moved for gauge in gauges.values() if (moved := gauge.result()) is not None]
    return sorted(_holm(found), key=lambda item: (-item.psi, item.column))


def shared_columns(reference: Dataset, data: Dataset, columns: Sequence[str] | None = None) -> list[Column]:
    """Columns of the data that the reference has too, of a kind that can be compared."""
    kinds = {column.name: kind_of(column) for column in reference.columns}
    return [
        column
        for column in data.columns
        if column.name != ROW_ID
        and (columns is None or column.name in columns)
        and column.role not in ("group", "subject", "split")
        and kind_of(column) not in ("time", "other")
        and kinds.get(column.name) == kind_of(column)
    ]


def psi(reference: Counts, rows: Counts) -> float:
    """Population stability index of two counts over the same bins, Laplace-smoothed."""
    p = (reference + 1) / (reference.sum() + len(reference))
    q = (rows + 1) / (rows.sum() + len(rows))
    return float(((p - q) * np.log(p / q)).sum())


def psi_interval(moved: Sequence[Moved], seed: int) -> tuple[float, float]:
    """95 % interval of the greatest index: both sides drawn again from their own shares (parametric bootstrap).

    Drawing again adds chance to chance, so the upper end is a little high; the point always lies within.
    """
    generator = np.random.Generator(np.random.Philox(key=seed))
    greatest = np.zeros(BOOTSTRAPS)
    for item in moved:
        sides = [np.array(side, dtype=np.int64) for side in (item.reference, item.rows)]
        again = [generator.multinomial(side.sum(), side / side.sum(), size=BOOTSTRAPS) for side in sides]
        values = [psi(one, other) for one, other in zip(*again, strict=True)]
        greatest = np.maximum(greatest, values)
    low, high = np.quantile(greatest, [0.025, 0.975])
    point = max(item.psi for item in moved)
    return min(float(low), point), max(float(high), point)


@dataclass
class _Lengths:
    """A column of numbers, or of things with a length."""

    column: Column
    what: str
    samples: list[Sample] = field(default_factory=lambda: [Sample(), Sample()])
    edges: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    counts: list[Counts] = field(default_factory=list)

    def begin(self, side: int) -> None:
        if side == 1:
            self.edges = np.unique(self.samples[0].quantiles(np.linspace(0, 1, NUM_BINS + 1)[1:-1].tolist()))
            self.counts = [np.zeros(len(self.edges) + 2, dtype=np.int64) for _ in range(2)]

    def take(self, side: int, values: pa.Array, drawn: NDArray[np.uint64]) -> None:
        numbers = self._numbers(values)
        finite = np.isfinite(numbers)
        self.samples[side].update(drawn[finite], numbers[finite])
        if side == 1:
            self.counts[1] += self._binned(numbers)

    def count_reference(self, values: pa.Array) -> None:
        self.counts[0] += self._binned(self._numbers(values))

    def _numbers(self, values: pa.Array) -> NDArray[np.float64]:
        if self.what == "value":
            return as_floats(values)
        measure = pc.utf8_length if kind_of(self.column) == "text" else pc.binary_length
        return as_floats(measure(values))

    def _binned(self, numbers: NDArray[np.float64]) -> Counts:
        """Rows by bin, the last bin for what is missing or not finite."""
        finite = np.isfinite(numbers)
        places = np.searchsorted(self.edges, numbers[finite], side="left")
        counts = np.bincount(places, minlength=len(self.edges) + 2).astype(np.int64)
        counts[-1] += int((~finite).sum())
        return counts

    def result(self) -> Moved | None:
        from scipy.stats import ks_2samp

        sides = [sample.values() for sample in self.samples]
        if not all(len(side) for side in sides):
            return None
        tested = ks_2samp(*sides, method="asymp")
        names = ["≤ " + _short(edge) for edge in self.edges] + [
            "> " + _short(self.edges[-1]) if len(self.edges) else "",
            "missing",
        ]
        return _moved(
            self.column, self.what, names, self.counts, "ks", float(tested.statistic), min(map(len, sides)),
            float(tested.pvalue),
        )  # fmt: skip


@dataclass
class _Categories:
    """A column of names."""

    column: Column
    counted: list[Counter[Any]] = field(default_factory=lambda: [Counter(), Counter()])
    other: list[int] = field(default_factory=lambda: [0, 0])
    missing: list[int] = field(default_factory=lambda: [0, 0])

    def begin(self, side: int) -> None:
        pass

    def take(self, side: int, values: pa.Array, drawn: NDArray[np.uint64]) -> None:
        self.missing[side] += values.null_count
        counts = self.counted[side]
        for item in pc.value_counts(values.filter(as_mask(values.is_valid()))):
            value, num = str(item["values"].as_py()), item["counts"].as_py()
            if value in counts or len(counts) < MOST_COUNTED:
                counts[value] += num
            else:
                self.other[side] += num

    def count_reference(self, values: pa.Array) -> None:
        pass

    def result(self) -> Moved | None:
        both = self.counted[0] + self.counted[1]
        ranked = sorted(both, key=lambda name: (-self.counted[0][name], -self.counted[1][name], name))
        names = ranked[:MOST_CATEGORIES]
        counts = []
        for side in range(2):
            rest = sum(self.counted[side][name] for name in ranked[MOST_CATEGORIES:]) + self.other[side]
            found = [self.counted[side][name] for name in names]
            counts.append(np.array([*found, rest, self.missing[side]], dtype=np.int64))
        if not all(side.sum() for side in counts):
            return None
        statistic, p_value = _chi2(*counts)
        num = int(min(side.sum() for side in counts))
        return _moved(self.column, "category", [*names, "other", "missing"], counts, "chi2", statistic, num, p_value)


def _gauge(column: Column) -> _Lengths | _Categories:
    kind = kind_of(column)
    return _Categories(column) if kind == "category" else _Lengths(column, "value" if kind == "number" else "length")


def _moved(
    column: Column,
    what: str,
    names: Sequence[str],
    counts: Sequence[Counts],
    test: Literal["ks", "chi2"],
    statistic: float,
    num_tested: int,
    p_value: float,
) -> Moved:
    """Bins that no row of either side is in are left out: smoothing would count them as alike."""
    used = (counts[0] + counts[1]) > 0
    reference, rows = counts[0][used], counts[1][used]
    num_reference, num_rows = int(reference.sum()), int(rows.sum())
    return Moved(
        column=column.name,
        what=what,
        psi=psi(reference, rows),
        by_chance=(len(reference) - 1) * (1 / num_reference + 1 / num_rows),
        num_reference=num_reference,
        num_rows=num_rows,
        test=test,
        statistic=statistic,
        num_tested=num_tested,
        p_value=p_value,
        bins=tuple(name for name, use in zip(names, used, strict=True) if use),
        reference=tuple(reference.tolist()),
        rows=tuple(rows.tolist()),
    )


def _chi2(reference: Counts, rows: Counts) -> tuple[float, float]:
    """Pearson's test of equal shares; bins whose expected count is below 5 on a side are joined (Cochran 1954)."""
    from scipy.stats import chi2_contingency

    total = reference + rows
    smaller = min(reference.sum(), rows.sum()) / total.sum()
    rare = total * smaller < 5
    table = np.array([[*side[~rare], side[rare].sum()] for side in (reference, rows)])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return 0.0, 1.0
    found = chi2_contingency(table, correction=False)
    return float(found.statistic), float(found.pvalue)


def _holm(found: list[Moved]) -> list[Moved]:
    """P-values corrected step by step, Holm 1979: the chance of any false alarm stays below the level asked for."""
    corrected: list[Moved] = []
    floor = 0.0
    for place, item in enumerate(sorted(found, key=lambda one: (one.p_value, one.column))):
        floor = max(floor, min(1.0, item.p_value * (len(found) - place)))
        corrected.append(Moved(**{**vars(item), "p_value": floor}))
    return corrected


def _short(value: float) -> str:
    return f"{value:,.4g}" if math.isfinite(value) else str(value)
