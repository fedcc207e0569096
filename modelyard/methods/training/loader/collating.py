"""Tensors of a planned batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.methods.training.loader.plans import Batch
from modelyard.methods.training.loader.store import TokenStore


@dataclass(frozen=True)
class Loaded:
    """A batch as a network takes it.

    Attributes:
        inputs: `input_ids`, `attention_mask` (1 on what is real), `position_ids` (from 0 in each segment) and
            `document_ids` (1, 2, … in each line, 0 on padding), each [lines, width] int64.
        rows: [segments] row of each.
        num_tokens: without padding.
        weight: 0 for a filler, else 1.
    """

    inputs: Mapping[str, torch.Tensor]
    rows: NDArray[np.int64] = field(repr=False)
    num_tokens: int = 0
    weight: float = 1.0


def collate(store: TokenStore, batch: Batch, pin: bool = False) -> Loaded:
    """Gather the tokens of a batch.

    Args:
        pin: in memory from which a device copies while the processor goes on.
    """
    shape = (batch.num_lines, batch.width)
    inside = np.arange(int(batch.counts.sum())) - np.repeat(np.cumsum(batch.counts) - batch.counts, batch.counts)
    first = np.searchsorted(batch.lines, batch.lines)
    before = np.cumsum(batch.counts) - batch.counts
    places = np.repeat(batch.lines * shape[1] + before - before[first], batch.counts) + inside
    arrays = {
        name: np.zeros(shape, np.int64) for name in ("input_ids", "attention_mask", "position_ids", "document_ids")
    }
    arrays["input_ids"].fill(store.reading.pad_id)
    arrays["input_ids"].ravel()[places] = store.take(batch.rows, batch.offsets, batch.counts)
    arrays["attention_mask"].ravel()[places] = 1
    arrays["position_ids"].ravel()[places] = inside
    documents = np.arange(len(batch.lines)) - first + 1
    arrays["document_ids"].ravel()[places] = np.repeat(documents, batch.counts)
    tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
    if pin:
        tensors = {name: tensor.pin_memory() for name, tensor in tensors.items()}
    return Loaded(tensors, batch.rows, int(batch.counts.sum()), 0.0 if batch.filler else 1.0)


def attention(document_ids: torch.Tensor, causal: bool = False) -> torch.Tensor:
    """Who may look at whom: [lines, 1, width, width] bool, True within one document (and, if causal, backwards).

    Padding looks at itself alone, so that no softmax is empty.
    """
    width = document_ids.shape[1]
    same = (document_ids[:, :, None] == document_ids[:, None, :]) & (document_ids[:, :, None] > 0)
    if causal:
        same &= torch.ones(width, width, dtype=torch.bool, device=document_ids.device).tril()
    same |= torch.eye(width, dtype=torch.bool, device=document_ids.device)
    return same[:, None]
