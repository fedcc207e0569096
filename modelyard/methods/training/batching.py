"""Batches of rows of nearly equal length, in an order that only the seed and the epoch decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.methods.training.random import generator

POOL_BATCHES = 50
"""Rows are shuffled, then sorted by length within a pool of so many batches: little padding, enough chance."""


def order(lengths: NDArray[np.int64], rows_per_batch: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Every row once, in batches of `rows_per_batch` (the last may be smaller), batches shuffled.

    Args:
        lengths: [rows] tokens of each row.
    """
    draw = generator(seed, "order", epoch)
    shuffled = draw.permutation(len(lengths))
    pool = rows_per_batch * POOL_BATCHES
    batches = []
    for start in range(0, len(shuffled), pool):
        rows = shuffled[start : start + pool]
        rows = rows[np.argsort(-lengths[rows], kind="stable")]
        batches += [rows[cut : cut + rows_per_batch] for cut in range(0, len(rows), rows_per_batch)]
    return [batches[position] for position in draw.permutation(len(batches))]


def by_length(lengths: NDArray[np.int64], tokens: int) -> list[NDArray[np.int64]]:
    """Every row once, longest first, as many a batch as make at most `tokens` with padding; for evaluation."""
    rows = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(rows):
        size = max(1, tokens // max(int(lengths[rows[start]]), 1))
        batches.append(rows[start : start + size])
        start += size
    return batches


def num_steps(num_rows: int, rows_per_batch: int, accumulation: int) -> int:
    """Optimizer steps of one epoch."""
    batches = -(-num_rows // rows_per_batch)
    return -(-batches // accumulation)


class RowBatches(Protocol):
    """Labelled rows that any network reads: whatever gives these can be trained on by `classification.RowFeed`.

    Attributes:
        labels, names, weights: [rows], as of `Rows`.
        lengths: [rows] what a row costs, in values read.
    """

    @property
    def labels(self) -> NDArray[np.int64]: ...

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def weights(self) -> NDArray[np.float32]: ...

    @property
    def lengths(self) -> NDArray[np.int64]: ...

    def __len__(self) -> int: ...

    def batch(self, rows: NDArray[np.int64], device: torch.device, /) -> dict[str, Any]:
        """The network's inputs for these rows."""
        ...


@dataclass(frozen=True)
class Rows:
    """Rows of ragged columns, all in memory, cut into padded tensors a batch at a time.

    Attributes:
        columns: input name to (values of all rows end to end, what fills short rows).
        starts: [rows + 1] where each row begins.
        labels: [rows] int64.
        names: row ids, for messages.
        weights: [rows] of each row's loss.
        mask: name of the input that is 1 on what is real, or None.
    """

    columns: dict[str, tuple[torch.Tensor, float]]
    starts: NDArray[np.int64]
    labels: NDArray[np.int64]
    names: Sequence[str]
    weights: NDArray[np.float32]
    mask: str | None = None

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[rows] values in each row."""
        result: NDArray[np.int64] = np.diff(self.starts)
        return result

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: NDArray[np.int64], device: torch.device) -> dict[str, Any]:
        """The network's inputs for these rows, padded to the longest of them."""
        lengths = torch.from_numpy(self.lengths[rows])
        width = max(int(lengths.max()), 1)
        mask = torch.arange(width) < lengths.unsqueeze(1)
        take = torch.from_numpy(self.starts[rows]).unsqueeze(1) + torch.arange(width)
        inputs = {}
        for name, (values, fill) in self.columns.items():
            picked = values[take.clamp_(max=len(values) - 1)] if len(values) else values.new_zeros(take.shape)
            inputs[name] = picked.masked_fill(~mask, fill).to(device)
        if self.mask:
            inputs[self.mask] = mask.long().to(device)
        return inputs


def token_rows(
    ids: Sequence[Sequence[int]],
    pad_id: int,
    labels: NDArray[np.int64],
    names: Sequence[str],
    weights: NDArray[np.float32] | None = None,
) -> Rows:
    """Rows for networks that read `input_ids` and `attention_mask`."""
    starts = np.concatenate([[0], np.cumsum([len(row) for row in ids])]).astype(np.int64)
    flat = np.fromiter((token for row in ids for token in row), np.int64, int(starts[-1]))
    return Rows(
        {"input_ids": (torch.from_numpy(flat), pad_id)},
        starts,
        labels,
        names,
        _weights(weights, labels),
        "attention_mask",
    )


def ngram_rows(
    triples: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]],
    labels: NDArray[np.int64],
    names: Sequence[str],
) -> Rows:
    """Rows for networks that read `ngram_ids` and `ngram_weights`, from `Ngrams.sparse`."""
    rows, ids, weights = triples
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(labels)))]).astype(np.int64)
    columns = {"ngram_ids": (torch.from_numpy(ids), 0.0), "ngram_weights": (torch.from_numpy(weights), 0.0)}
    return Rows(columns, starts, labels, names, _weights(None, labels))


def _weights(weights: NDArray[np.float32] | None, labels: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.ones(len(labels), np.float32) if weights is None else weights
