"""Batches of a token store in order, made ahead by a thread; goes on where a state says, and shares with other ranks.

What comes is a function of the data, the tokenizer, the layout, the seed, the epoch and the rank. How many processes
tokenize, whether tokens were there already, and where a run was cut off change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from modelyard.methods.training.loader.ahead import Ahead
from modelyard.methods.training.loader.collating import Loaded, collate
from modelyard.methods.training.loader.plans import Batch, Layout, window_batches, window_order, windows
from modelyard.methods.training.loader.store import TokenStore


class Loader:
    """Iterate over it for the rest of the current epoch; the next iteration is the next epoch.

    Args:
        store: its workers tokenize ahead in the order of the epoch.
        rank, world: this process among those that train together; all have equally many batches an epoch, and
            together every row once.
        depth: batches ready ahead of need.
        pin: see `collate`.

    Attributes:
        epoch, cursor: batches of this epoch that were handed out.
        wait_seconds: that the taker has waited for batches, in all.
    """

    def __init__(
        self,
        store: TokenStore,
        layout: Layout,
        seed: int,
        *,
        rank: int = 0,
        world: int = 1,
        depth: int = 4,
        pin: bool = False,
    ) -> None:
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} of {world}")
        self.store, self.layout, self.seed = store, layout, seed
        self.rank, self.world, self.depth, self.pin = rank, world, depth, pin
        self.epoch = self.cursor = 0
        self.wait_seconds = 0.0
        self.windows = windows(len(store.pieces), layout.window)
        self._count = lru_cache(maxsize=None)(self._count_window)

    def __iter__(self) -> Iterator[Loaded]:
        ahead = Ahead(lambda: self._batches(self.epoch, self.cursor), self.depth)
        before = self.wait_seconds
        try:
            for loaded in ahead:
                self.cursor += 1
                self.wait_seconds = before + ahead.wait_seconds
                yield loaded
            self.epoch, self.cursor = self.epoch + 1, 0
        finally:
            self.wait_seconds = before + ahead.wait_seconds
            ahead.close()

    def state_dict(self) -> dict[str, Any]:
        """Where it stands: after the last batch handed out."""
        return {"epoch": self.epoch, "cursor": self.cursor, "seed": self.seed, "world": self.world}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there. Raises ValueError if the state is of another seed or number of ranks."""
        for name in ("seed", "world"):
            if state[name] != getattr(self, name):
                raise ValueError(f"the state is of {name} {state[name]}, this loader of {getattr(self, name)}")
        self.epoch, self.cursor = int(state["epoch"]), int(state["cursor"])

    @property
    def num_batches(self) -> int:
        """Batches of every epoch, of this rank. Waits until all rows are tokenized."""
        self.store.ahead(range(len(self.store.pieces)))
        return sum(map(self._count, range(len(self.windows))))

    def plan(self, epoch: int, window: int) -> list[Batch]:
        """This rank's batches of one window, in order."""
        rows, lengths = [], []
        for number in self.windows[window]:
            piece = self.store.pieces[number]
            rows.append(np.arange(piece.first, piece.first + piece.num_rows))
            lengths.append(self.store.lengths(number))
        every = window_batches(
            np.concatenate(rows), np.concatenate(lengths), self.layout, self.seed, epoch, window, self.world
        )
        return every[self.rank :: self.world]

    def _batches(self, epoch: int, cursor: int) -> Iterator[Loaded]:
        order = window_order([len(window) for window in self.windows], self.seed, epoch)
        self.store.ahead(number for window in order for number in self.windows[window])
        for window in order:
            if cursor and cursor >= (count := self._count(window)):
                cursor -= count
                continue
            for batch in self.plan(epoch, window)[cursor:]:
                yield collate(self.store, batch, self.pin)
            cursor = 0

    def _count_window(self, window: int) -> int:
        return len(self.plan(0, window))
