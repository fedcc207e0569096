"""Which rows make which batch: a function of the rows' lengths, the seed and the epoch, of nothing else.

Rows are planned a window at a time, so that the first batches wait for no more than a window's tokens. A window takes
its pieces from all over the data, evenly spaced: sorted data is mixed all the same. Epochs take the windows in
another order and mix the rows of each anew; how many batches a window gives stays the same, and so does the number of
batches of an epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.training.random import generator

Ints = NDArray[np.int64]
RAMP, LARGE = (1, 1, 2, 4), 4
"""Sizes of the first windows where there are more than so many windows' pieces."""


@dataclass(frozen=True)
class Layout:
    """How rows share batches.

    Attributes:
        kind: `buckets`: rows of nearly equal length, padded; `packs`: several rows one after the other in one line.
        tokens: of one batch, padding included, at most (one row may have more by itself in buckets).
        length: of a line of packs; longer rows are cut into several pieces. Not used by buckets.
        window: pieces of the store planned together.
    """

    kind: Literal["buckets", "packs"]
    tokens: int
    length: int = 512
    window: int = 8


@dataclass(frozen=True)
class Batch:
    """Segments of rows, in lines of a batch.

    Attributes:
        rows: [segments] row of each.
        offsets: [segments] first token of the row that it has.
        counts: [segments] its tokens.
        lines: [segments] the line it stands in, ascending from 0.
        filler: made only so that every rank has as many batches; to be learned from with weight 0.
    """

    rows: Ints
    offsets: Ints
    counts: Ints
    lines: Ints
    filler: bool = False

    @property
    def num_lines(self) -> int:
        return int(self.lines[-1]) + 1

    @property
    def width(self) -> int:
        """Tokens of the longest line."""
        return int(np.bincount(self.lines, self.counts).max())


def window_batches(
    rows: Ints, lengths: Ints, layout: Layout, seed: int, epoch: int, window: int, world: int = 1
) -> list[Batch]:
    """Every row once, in batches, in this epoch's order; a multiple of `world`.

    Args:
        rows: [rows] their numbers.
        lengths: [rows] tokens of each; rows without tokens are in no batch.
        window: its number, for the draw.
    """
    there = lengths > 0
    rows, lengths = rows[there], lengths[there]
    draw = generator(seed, "window", epoch, window)
    shuffled = draw.permutation(len(rows))
    order = shuffled[np.argsort(-lengths[shuffled], kind="stable")]
    make = _buckets if layout.kind == "buckets" else _packs
    batches = _even(make(rows[order], lengths[order], layout, draw), world)
    return [batches[place] for place in draw.permutation(len(batches))]


def windows(num_pieces: int, size: int) -> tuple[tuple[int, ...], ...]:
    """The pieces of each window: `size` of them, evenly spaced over the data.

    Of much data the first windows are small (RAMP): they are the first to be tokenized, while an accelerator waits.
    """
    step = -(-num_pieces // size)
    order = [piece for start in range(step) for piece in range(start, num_pieces, step)]
    sizes = [some for some in RAMP if some < size] if num_pieces > LARGE * size else []
    result: list[tuple[int, ...]] = []
    while order:
        count = sizes[len(result)] if len(result) < len(sizes) else size
        result.append(tuple(order[:count]))
        order = order[count:]
    return tuple(result)


def window_order(sizes: Sequence[int], seed: int, epoch: int) -> list[int]:
    """The windows (their sizes are given) in the order this epoch takes them; the first begins with the small."""
    order: list[int] = generator(seed, "windows", epoch).permutation(len(sizes)).tolist()
    if epoch:
        return order
    small = list(takewhile(lambda window: sizes[window] < max(sizes), range(len(sizes))))
    return small + [window for window in order if window not in small]


def _buckets(rows: Ints, lengths: Ints, layout: Layout, draw: np.random.Generator) -> list[Batch]:
    """As many rows of a batch as keep to the tokens; rows come longest first."""
    batches = []
    start = 0
    while start < len(rows):
        end = start + max(1, layout.tokens // int(lengths[start]))
        some = rows[start:end]
        batches.append(Batch(some, np.zeros(len(some), np.int64), lengths[start:end], np.arange(len(some))))
        start = end
    return batches


def _packs(rows: Ints, lengths: Ints, layout: Layout, draw: np.random.Generator) -> list[Batch]:
    """Lines of `length` tokens filled with whole rows (longer ones cut), shuffled and put together."""
    counts = -(-lengths // layout.length)
    which = np.repeat(np.arange(len(rows)), counts)
    offsets = (np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)) * layout.length
    sizes = np.minimum(lengths[which] - offsets, layout.length)
    order = np.argsort(-sizes, kind="stable")
    line = np.empty(len(order), np.int64)
    line[order] = best_fit(sizes[order], layout.length)
    num_lines = int(line.max(initial=-1)) + 1
    line = draw.permutation(num_lines)[line]
    order = np.lexsort((offsets, line))
    which, offsets, sizes, line = which[order], offsets[order], sizes[order], line[order]
    per_batch = max(1, layout.tokens // layout.length)
    cuts = np.searchsorted(line, np.arange(0, num_lines + per_batch, per_batch))
    return [
        Batch(rows[which[start:end]], offsets[start:end], sizes[start:end], line[start:end] - line[start])
        for start, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)
        if end > start
    ]


def best_fit(sizes: Ints, capacity: int) -> Ints:
    """[items] the bin of each of the items, which come largest first: the fullest bin that still has room.

    Best-fit decreasing needs at most 11/9 of the bins of the best packing, plus 4, as first-fit decreasing does
    (Johnson et al. 1974, SIAM J. Comput. 3); the room of bins is a small number, so that one look-up finds the bin.
    """
    bins = np.empty(len(sizes), np.int64)
    by_room: list[list[int]] = [[] for _ in range(capacity + 1)]
    open_ = 0  # bit r is set where a bin has room for r
    num_bins = 0
    for place, size in enumerate(sizes.tolist()):
        fitting = open_ >> size
        if fitting:
            room = size + (fitting & -fitting).bit_length() - 1
            chosen = by_room[room].pop()
            if not by_room[room]:
                open_ ^= 1 << room
        else:
            room, chosen = capacity, num_bins
            num_bins += 1
        left = room - size
        if left:
            by_room[left].append(chosen)
            open_ |= 1 << left
        bins[place] = chosen
    return bins


def _even(batches: list[Batch], world: int) -> list[Batch]:
    """The batches, some split in two and, where lines run out, fillers added: a multiple of `world`."""
    batches = list(batches)
    while batches and len(batches) % world:
        place = max(range(len(batches)), key=lambda number: batches[number].num_lines)
        found = batches[place]
        if found.num_lines < 2:
            batches.append(Batch(found.rows[:1], found.offsets[:1], found.counts[:1], found.lines[:1], True))
            continue
        middle = int(np.searchsorted(found.lines, found.num_lines // 2))
        parts = [(slice(None, middle), 0), (slice(middle, None), found.num_lines // 2)]
        batches[place : place + 1] = [
            Batch(found.rows[cut], found.offsets[cut], found.counts[cut], found.lines[cut] - first)
            for cut, first in parts
        ]
    return batches
