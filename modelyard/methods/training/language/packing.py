"""Several documents one after the other in each line of a batch: no padding to speak of, and nothing crosses over.

A line holds `context` inputs. Each input has a target, the token that follows it in its document; a document longer
than a line goes on in another, so that every token but a document's first is a target exactly once an epoch.
Positions start anew with each document, and attention is causal inside one and blind between two (Krell et al. 2021,
"Efficient Sequence Packing without Cross-contamination"): what the network says of a token is what it would say if the
document stood alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch

from modelyard.methods.training.axes import Batch
from modelyard.methods.training.language.documents import Documents, Ints
from modelyard.methods.training.loader import plans
from modelyard.methods.training.loader.collating import attention
from modelyard.methods.training.random import generator

NAMED = 8
KEPT = 4
"""Plans of windows kept at a time."""


@dataclass(frozen=True)
class Layout:
    """How documents share batches.

    Attributes:
        context: inputs of a line, at most.
        lines: of one forward pass.
        accumulation: forward passes a step.
        seed: of the order.
        kind: `packs`, or `buckets`: a document a line, lines of nearly equal length together.
    """

    context: int
    lines: int
    accumulation: int = 1
    seed: int = 0
    kind: Literal["packs", "buckets"] = "packs"


class PackedFeed:
    """Packed batches in an order that the seed and the epoch decide.

    Raises ValueError if there is no target at all.

    Attributes:
        num_batches: of an epoch.
        num_targets: tokens of an epoch that have one before them (learned or not).
    """

    def __init__(self, documents: Documents, layout: Layout, device: torch.device) -> None:
        self._documents, self._layout, self._device = documents, layout, device
        self._plan = lru_cache(maxsize=KEPT)(self._plan_window)
        # A window has as many batches in every epoch: the lengths decide, not the order.
        first = [self._plan_window(0, window) for window in range(documents.num_windows)]
        self._counts = [len(plan) for plan in first]
        self.num_batches = sum(self._counts)
        self.num_targets = sum(int(batch.counts.sum()) for plan in first for batch in plan)
        if not self.num_batches:
            raise ValueError("no document has a token to predict")
        self.epoch_steps = -(-self.num_batches // layout.accumulation)

    def step(self, epoch: int, position: int) -> Sequence[Batch]:
        start = position * self._layout.accumulation
        end = min(start + self._layout.accumulation, self.num_batches)
        return [self.batch(epoch, number) for number in range(start, end)]

    def batch(self, epoch: int, number: int) -> Batch:
        """The batch of that number in that epoch."""
        for window in generator(self._layout.seed, "windows", epoch).permutation(len(self._counts)).tolist():
            if number < self._counts[window]:
                return self._collate(self._plan(epoch, window)[number], epoch)
            number -= self._counts[window]
        raise IndexError(number)

    def _inputs(self, lengths: Ints) -> Ints:
        """Inputs of documents of so many tokens: the last token has nothing to say."""
        return np.maximum(lengths - 1, 0)

    def _collate(self, plan: plans.Batch, epoch: int) -> Batch:
        return collate(self._documents, plan, self._device)

    def _plan_window(self, epoch: int, window: int) -> list[plans.Batch]:
        rows, lengths = self._documents.window(window)
        layout = self._layout
        shape = plans.Layout(layout.kind, layout.lines * layout.context, layout.context)
        return plans.window_batches(rows, self._inputs(lengths), shape, layout.seed, epoch, window)


@dataclass(frozen=True)
class Line:
    """Arrays of a batch before they are tensors, each [lines, width] int64.

    Attributes:
        ids: inputs; 0 on padding, which no other position sees and whose outputs are not used.
        documents: 1, 2, … in each line, 0 on padding.
        positions: from 0 in each document.
        targets: what follows each input; -1 where nothing is learned.
    """

    ids: Ints = field(repr=False)
    documents: Ints = field(repr=False)
    positions: Ints = field(repr=False)
    targets: Ints = field(repr=False)


def empty_lines(plan: plans.Batch, pad_id: int = 0) -> tuple[Line, Ints]:
    """(lines of padding in which documents and positions are marked, places [tokens] of the tokens in them)."""
    counts, shape = plan.counts, (plan.num_lines, plan.width)
    ends = np.cumsum(counts)
    inside = np.arange(int(ends[-1])) - np.repeat(ends - counts, counts)
    first = np.searchsorted(plan.lines, plan.lines)
    begins = ends - counts
    places = np.repeat(plan.lines * shape[1] + begins - begins[first], counts) + inside
    found = Line(*(np.full(shape, fill, np.int64) for fill in (pad_id, 0, 0, -1)))
    found.documents.ravel()[places] = np.repeat(np.arange(len(first)) - first + 1, counts)
    found.positions.ravel()[places] = inside
    return found, places


def lines(documents: Documents, plan: plans.Batch) -> Line:
    """Gather the tokens of a planned batch."""
    counts = plan.counts
    found, places = empty_lines(plan)
    found.ids.ravel()[places] = documents.take(plan.rows, plan.offsets, counts)
    targets = documents.take(plan.rows, plan.offsets + 1, counts)
    learned = documents.learned(plan.rows, plan.offsets + 1, counts)
    found.targets.ravel()[places] = targets if learned is None else np.where(learned, targets, -1)
    return found


def collate(documents: Documents, plan: plans.Batch, device: torch.device) -> Batch:
    """A planned batch as the network of `network.py` takes it."""
    found = lines(documents, plan)
    names = [documents.name(row) for row in plan.rows[:NAMED].tolist()]
    return Batch(
        inputs=inputs_of(found, device),
        weight=float((found.targets >= 0).sum()),
        names=names,
        tokens=int(plan.counts.sum()),
    )


def take_lines(inputs: Mapping[str, Any], lines: torch.Tensor) -> tuple[dict[str, Any], torch.Tensor]:
    """Some lines of a batch's inputs, in ascending order, and which of its targets are theirs, [targets] bool."""
    num_lines, width = inputs["input_ids"].shape
    place_of = torch.full((num_lines,), -1, device=lines.device)
    place_of[lines] = torch.arange(len(lines), device=lines.device)
    places = inputs.get("places")
    if places is None:
        places = torch.arange(num_lines * width, device=lines.device)
    line = place_of[places // width]
    mine = line >= 0
    found = {name: inputs[name][lines] for name in ("input_ids", "position_ids", "attention_mask") if name in inputs}
    return {**found, "labels": inputs["labels"][mine], "places": (line * width + places % width)[mine]}, mine


def inputs_of(found: Line, device: torch.device) -> dict[str, torch.Tensor]:
    """`input_ids`, `labels` [targets], `places` [targets] of them in the flattened lines, and if any line holds two
    documents, `position_ids` and `attention_mask` [lines, 1, width, width]."""
    flat = found.targets.ravel()
    places = np.flatnonzero(flat >= 0)
    inputs = {"input_ids": torch.from_numpy(found.ids), "labels": torch.from_numpy(flat[places])}
    if len(places) < flat.size:
        inputs["places"] = torch.from_numpy(places)
    if found.documents.max(initial=0) > 1:
        inputs["position_ids"] = torch.from_numpy(found.positions)
    inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
    if "position_ids" in inputs:
        inputs["attention_mask"] = attention(torch.from_numpy(found.documents).to(device), causal=True)
    return inputs
