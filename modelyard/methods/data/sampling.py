"""A few rows of many: uniform or by stratum, seeded by row, in constant memory.

The rows with the smallest draws are taken (see `statistics/hashing.py`), so that the sample is a function of the seed
and the set of rows alone, and a larger sample contains the smaller one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modelyard.base.messages import t
from modelyard.errors import UsageError
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.data.statistics.hashing import Hashes, draws

PURPOSE = "sample"
MOST_STRATA = 1_000
Place = tuple[str, int]
"""A split, and the position of a row in it."""


@dataclass
class _Least:
    """The rows of one stratum with the smallest draws."""

    size: int
    num_rows: int = 0
    drawn: Hashes | None = None
    places: Any = None

    def update(self, drawn: Hashes, places: Any) -> None:
        self.num_rows += len(drawn)
        if self.drawn is not None:
            drawn, places = np.concatenate([self.drawn, drawn]), np.concatenate([self.places, places])
        if len(drawn) > self.size:
            kept = np.argpartition(drawn, self.size - 1)[: self.size]
            drawn, places = drawn[kept], places[kept]
        self.drawn, self.places = drawn, places

    def first(self, num: int) -> list[tuple[int, int]]:
        """The `num` rows with the smallest draws: draw and place."""
        if self.drawn is None:
            return []
        order = np.argsort(self.drawn, kind="stable")[:num]
        return [(int(self.drawn[i]), int(self.places[i])) for i in order]


def sample(dataset: Dataset, splits: Sequence[str], num: int, seed: int, by: str | None = None) -> list[dict[str, Any]]:
    """`num` rows as values by column, in the order of the data.

    Args:
        by: a column; each of its values gets its share of the sample, and at least one row where `num` allows.

    Raises:
        UsageError: there is no such column, or it has more than MOST_STRATA values.
    """
    places, offsets = drawn_places(dataset, splits, num, seed, by)
    return list(fetch(dataset, [_split_of(place, offsets) for place in places]))


def drawn_places(
    dataset: Dataset, splits: Sequence[str], num: int, seed: int, by: str | None = None
) -> tuple[list[int], dict[str, int]]:
    """Positions of the drawn rows over all splits, rising, and where each split begins. As `sample`."""
    if by is not None and by not in {column.name for column in dataset.columns}:
        names = ", ".join(column.name for column in dataset.columns)
        raise UsageError(t("there is no column `{name}`", name=by), expected=t("one of: {names}", names=names))
    strata: dict[object, _Least] = {}
    offsets, start = {}, 0
    for split in splits:
        offsets[split] = start
        for batch in dataset.batches(split, [ROW_ID, *([by] if by and by != ROW_ID else [])]):
            drawn = draws(batch.column(ROW_ID), seed, PURPOSE)
            places = np.arange(start, start + batch.num_rows)
            for value, chosen in _groups(batch, by):
                strata.setdefault(value, _Least(num)).update(drawn[chosen], places[chosen])
            if len(strata) > MOST_STRATA:
                raise UsageError(
                    t("`{name}` has more than {most:,} values: too many to sample by", name=by, most=MOST_STRATA)
                )
            start += batch.num_rows
    shares = allot({value: least.num_rows for value, least in strata.items()}, num)
    return sorted(place for value, least in strata.items() for _, place in least.first(shares[value])), offsets


def allot(rows: Mapping[object, int], num: int) -> dict[object, int]:
    """How many of `num` each stratum gives: its share by largest remainder, at least one where there is room."""
    total = sum(rows.values())
    num = min(num, total)
    least = 1 if len(rows) <= num else 0
    exact = {value: num * count / total for value, count in rows.items()} if total else {}
    given = {value: max(least, int(share)) for value, share in exact.items()}
    order = sorted(exact, key=lambda value: (-(exact[value] - int(exact[value])), str(value)))
    while sum(given.values()) < num:
        for value in order:
            if sum(given.values()) < num and given[value] < rows[value]:
                given[value] += 1
    while sum(given.values()) > num:
        given[max(given, key=lambda value: (given[value], str(value)))] -= 1
    return given


def fetch(dataset: Dataset, places: Iterable[Place], columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Rows at places, in the order asked for; only row groups that hold one are read."""
    wanted = list(places)
    found: dict[Place, dict[str, Any]] = {}
    for split in dict.fromkeys(split for split, _ in wanted):
        positions = sorted({place for name, place in wanted if name == split})
        for position, row in _rows_at(dataset, split, positions, columns):
            found[(split, position)] = {**row, "split": split} if split != "all" and "split" not in row else row
    yield from (found[place] for place in wanted)


def _rows_at(
    dataset: Dataset, split: str, positions: Sequence[int], columns: Sequence[str] | None
) -> Iterator[tuple[int, dict[str, Any]]]:
    start, waiting = 0, list(positions)
    for shard in dataset.shards(split):
        file = pq.ParquetFile(shard)
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            inside = [place for place in waiting if start <= place < end]
            if inside:
                table = file.read_row_group(group, columns=list(columns) if columns else None)
                rows = table.take(pa.array([place - start for place in inside])).to_pylist()
                yield from zip(inside, rows, strict=True)
                waiting = waiting[len(inside) :]
            start = end
            if not waiting:
                return


def _groups(batch: pa.RecordBatch, by: str | None) -> Iterator[tuple[object, Any]]:
    """Values of the column and the rows of the batch that have them; one group without a column."""
    if by is None:
        yield None, slice(None)
        return
    encoded = batch.column(by).dictionary_encode(null_encoding="encode")
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    for code, value in enumerate(encoded.dictionary.to_pylist()):
        yield value, codes == code


def _split_of(place: int, offsets: Mapping[str, int]) -> Place:
    split = next(name for name, start in reversed(list(offsets.items())) if start <= place)
    return split, place - offsets[split]
