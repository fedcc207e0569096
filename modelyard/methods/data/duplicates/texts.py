"""Texts near each other, found in two passes over the data: sketches of all, then the shingles of candidates.

What is held is a few numbers a row (4 bytes a band, 16 for what repeats exactly, 8 for its length), whatever the
texts' length. Both passes work on pieces of a batch, in threads where there are several; the outcome does not depend
on how many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.duplicates import candidates, folding, ragged
from modelyard.methods.data.duplicates.banding import Banding
from modelyard.methods.data.duplicates.candidates import Buckets, Rows
from modelyard.methods.data.duplicates.exact import ShingleSets
from modelyard.methods.data.duplicates.graph import Edges, joined
from modelyard.methods.data.duplicates.minhash import Sketcher
from modelyard.methods.data.duplicates.shingles import Shingles, Unit, fingerprints, shingles

PIECE_BYTES = 1 << 18
PAIRS = 1 << 20
HELD = 1 << 25
"""So many shingles of the first pass are held (4 bytes each); of more texts the second pass makes them again."""
FIRST_LIMIT, GROWTH, ROUNDS = 24, 4, 4
"""All pairs of a bucket of so many rows are compared; of larger ones some, and the rest of those that stay in more
rounds, each with a limit so many times as large."""
SAMPLE_ROWS, SAMPLE_CHARACTERS = 1_024, 1_024
Progress = Callable[[int], None]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class TextSettings:
    """What counts as near.

    Attributes:
        unit: of shingles; `auto` takes characters where most letters are of scripts without spaces, else words.
        size: units in a shingle.
        threshold: Jaccard similarity from which two texts are near duplicates.
        verify: compare the shingles of candidates; without, every candidate counts.
    """

    unit: Unit | Literal["auto"] = "auto"
    size: int = 5
    threshold: float = 0.8
    banding: Banding = field(default_factory=lambda: Banding(16, 7))
    verify: bool = True
    seed: int = 0


@dataclass
class Found:
    """Which texts are near each other.

    Attributes:
        texts: [rows] the first row with the same shingles; texts without shingles have their own.
        lengths: [rows] characters.
        edges: between first rows.
        unit: of shingles, as chosen.
        num_empty: rows without a shingle: compared with nothing.
        num_candidates: pairs that were compared.
        num_uncompared: at least so many pairs of buckets too large were not.
    """

    texts: NDArray[np.int64]
    lengths: NDArray[np.int32]
    edges: Edges
    unit: Unit
    num_empty: int = 0
    num_candidates: int = 0
    num_uncompared: int = 0


@dataclass
class Sketches:
    """One pass over all texts: what is kept of each row."""

    keys: NDArray[np.uint32]
    prints: NDArray[np.uint64]
    lengths: NDArray[np.int32]
    filled: NDArray[np.bool_]


class TextSearch:
    """Finds near duplicates among one column's texts."""

    def __init__(
        self, data: Dataset, column: str, settings: TextSettings, scratch: Path, threads: int, progress: Progress
    ) -> None:
        self._data, self._column, self._settings = data, column, settings
        self._scratch, self._threads, self._progress = scratch, threads, progress
        chosen = settings.unit
        self.unit: Unit = choose_unit(data, column) if chosen == "auto" else chosen
        self._sets: ShingleSets | None = None
        self._held: list[tuple[int, NDArray[np.uint32], NDArray[np.int64]]] | None = []

    def run(self, resolve: Callable[[Found], NDArray[np.bool_]]) -> Found:
        """Search until nothing is left to compare.

        Args:
            resolve: which rows stay, given what was found so far; asked after each round.
        """
        sketches = self._sketch()
        texts = first_with_same(sketches.prints, sketches.filled)
        sketches.prints = np.zeros((0, 2), np.uint64)  # 16 bytes a row that are not needed any more
        lone = np.zeros(0, np.int64)
        found = Found(texts, sketches.lengths, Edges(lone, lone, np.zeros(0)), self.unit)
        found.num_empty = int((~sketches.filled).sum())
        rows = np.flatnonzero(sketches.filled & (texts == np.arange(len(texts)))).astype(np.int32)
        every = [candidates.buckets(keys, rows) for keys in sketches.keys]
        if self._settings.verify:
            self._sets = self._collect(every, len(texts))
        limit = FIRST_LIMIT
        for _ in range(ROUNDS):
            self._compare(found, every, sketches.keys, limit)
            alive = resolve(found)
            every = [one.of(one.sizes > limit).among(alive) for one in every]
            if not any(len(one.members) for one in every):
                break
            limit *= GROWTH
        found.num_uncompared = sum(int((one.sizes * (one.sizes - 1) // 2).sum()) for one in every)
        return found

    def similarity(self, firsts: Rows, seconds: Rows) -> NDArray[np.float64]:
        """Jaccard similarity of first rows that have an edge; not a number without `verify`."""
        if self._sets is None:
            return np.full(len(firsts), np.nan)
        return self._sets.similarity(firsts, seconds)

    def close(self) -> None:
        """Remove the file of shingle sets."""
        if self._sets is not None:
            self._sets.close()

    def _sketch(self) -> Sketches:
        num = self._data.num_rows("all")
        sketcher = Sketcher(self._settings.banding, self._settings.seed)
        result = Sketches(
            np.empty((self._settings.banding.bands, num), np.uint32),
            np.empty((num, 2), np.uint64),
            np.empty(num, np.int32),
            np.empty(num, dtype=bool),
        )

        def work(piece: tuple[int, Any]) -> tuple[int, Any, Any]:
            start, texts = piece
            made = self._shingles(texts)
            rows = slice(start, start + len(texts))
            result.keys[:, rows] = sketcher.keys(made)
            result.prints[rows] = fingerprints(made)
            result.lengths[rows] = made.lengths
            result.filled[rows] = np.diff(made.starts) > 0
            return start, ragged.clip(made.hashes), made.starts

        num_held = 0
        for start, hashes, starts in mapped(work, pieces(self._data, self._column), self._threads):
            num_held += len(hashes)
            if num_held > HELD or not self._settings.verify:
                self._held = None
            if self._held is not None:
                self._held.append((start, hashes, starts))
            self._progress(len(starts) - 1)
        return result

    def _shingles(self, texts: Any) -> Shingles:
        return shingles(folding.fold(texts), self.unit, self._settings.size)

    def _collect(self, every: list[Buckets], num_rows: int) -> ShingleSets:
        """The shingles of all rows that share a bucket."""
        involved = np.zeros(num_rows, dtype=bool)
        for one in every:
            involved[one.members] = True
        sets = ShingleSets(self._scratch / "shingles", np.flatnonzero(involved).astype(np.int32))

        def prepare(piece: tuple[int, NDArray[np.uint32], NDArray[np.int64]]) -> tuple[int, Any]:
            start, hashes, starts = piece
            chosen = involved[start : start + len(starts) - 1]
            return len(chosen), ragged.distinct(*ragged.rows_of(hashes, starts, chosen))

        def make(piece: tuple[int, Any]) -> tuple[int, Any]:
            start, texts = piece
            chosen = involved[start : start + len(texts)]
            made = self._shingles(texts.filter(pa.array(chosen)))
            return len(chosen), ragged.distinct(ragged.clip(made.hashes), made.starts)

        if self._held is not None:
            results = mapped(prepare, iter(self._held), self._threads)
        else:
            results = mapped(make, pieces(self._data, self._column), self._threads)
        for num_done, prepared in results:
            sets.add(*prepared)
            self._progress(num_done)
        self._held = None
        sets.seal()
        return sets

    def _compare(self, found: Found, every: list[Buckets], keys: NDArray[np.uint32], limit: int) -> None:
        """Add the edges among pairs that share a bucket and were not seen in an earlier band."""
        parts = [found.edges]
        waiting: list[tuple[Rows, Rows]] = []
        for band, one in enumerate(every):
            firsts, seconds = candidates.unique(*candidates.pairs(one, limit))
            fresh = np.ones(len(firsts), dtype=bool)
            for earlier in keys[:band]:
                fresh &= earlier[firsts] != earlier[seconds]
            waiting.append((firsts[fresh], seconds[fresh]))
            found.num_candidates += len(waiting[-1][0])
            # Many pairs at a time compare faster; not all, since they must fit into memory.
            if sum(len(pair[0]) for pair in waiting) > PAIRS or band + 1 == len(every):
                parts.append(self._near(*(np.concatenate(column) for column in zip(*waiting, strict=True))))
                waiting = []
        found.edges = _once(parts)

    def _near(self, firsts: Rows, seconds: Rows) -> Edges:
        """The edges among candidate pairs."""
        if self._sets is None:
            near, weights = np.ones(len(firsts), dtype=bool), np.full(len(firsts), np.nan)
        else:
            weights = self._sets.similarity(firsts, seconds, self._settings.threshold)
            near = weights >= self._settings.threshold
        return Edges(firsts[near].astype(np.int64), seconds[near].astype(np.int64), weights[near])


def pieces(data: Dataset, column: str) -> Iterator[tuple[int, Any]]:
    """(number of the first row, texts as an Arrow array) for every row, about PIECE_BYTES at a time."""
    row = 0
    for batch in data.batches("all", [column]):
        texts = batch.column(0).cast(pa.string()) if batch.num_rows else batch.column(0)
        sizes = np.cumsum(pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False).astype(np.int64))
        start = 0
        while start < len(texts):
            before = sizes[start - 1] if start else 0
            end = max(start + 1, int(np.searchsorted(sizes, before + PIECE_BYTES, "right")))
            yield row + start, texts.slice(start, end - start)
            start = end
        row += batch.num_rows


def mapped(work: Callable[[Item], Result], items: Iterator[Item], threads: int) -> Iterator[Result]:
    """Results in the order of the items, `threads` at a time."""
    if threads < 2:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def choose_unit(data: Dataset, column: str) -> Unit:
    """Characters if most letters at the start of each shard are of scripts without spaces, else words."""
    counts = np.zeros(3, np.int64)
    for shard in data.shards("all"):
        batch = next(pq.ParquetFile(shard).iter_batches(SAMPLE_ROWS, columns=[column]), None)
        if batch is not None:
            cut = pc.utf8_slice_codeunits(batch.column(0).cast(pa.string()), 0, SAMPLE_CHARACTERS)
            counts += np.bincount(folding.fold(cut).kinds, minlength=3)
    return "characters" if counts[folding.WHOLE] > counts[folding.PART] else "words"


def first_with_same(prints: NDArray[np.uint64], filled: NDArray[np.bool_]) -> NDArray[np.int64]:
    """[rows] the first row with the same fingerprint; its own number for a row that is not filled.

    Args:
        prints: [rows, parts].
    """
    texts = np.arange(len(prints), dtype=np.int64)
    rows = np.flatnonzero(filled)
    order = rows[np.lexsort(tuple(prints[rows, part] for part in range(prints.shape[1])))]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (prints[order[1:]] != prints[order[:-1]]).any(axis=1)
    heads = order[new]  # lexsort is stable: the first of a run is the first row
    texts[order] = np.repeat(heads, np.diff(np.append(np.flatnonzero(new), len(order))))
    return texts


def _once(parts: list[Edges]) -> Edges:
    edges = joined(parts)
    places = np.unique((edges.firsts << 32) | edges.seconds, return_index=True)[1]
    return Edges(edges.firsts[places], edges.seconds[places], edges.weights[places])
