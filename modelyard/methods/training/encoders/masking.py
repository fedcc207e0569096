"""Hiding tokens (Devlin et al. 2019, section 3.1): what is hidden is a function of (seed, epoch, row, place) alone.

A share of the units (words, or tokens) of each piece is chosen, at least one; of the chosen tokens most are replaced
by the mask, some by another token drawn at random, and the rest stand as they are. All have to be told. Another epoch
hides others; a run that goes on after a kill hides what it would have hidden.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.encoders import models
from modelyard.methods.training.encoders.corpus import Corpus, Ints
from modelyard.methods.training.encoders.settings import Masking
from modelyard.methods.training.language.packing import NAMED, Layout, Line, PackedFeed, empty_lines
from modelyard.methods.training.loader import plans
from modelyard.methods.training.loader.collating import attention
from modelyard.methods.training.random import uniform


@dataclass(frozen=True)
class Kinds:
    """The tokens of a tokenizer by what may become of them.

    Attributes:
        mask: id of the mask.
        pad: id that fills lines.
        ordinary: ids that may be hidden, and that replace others: all but the marks.
        is_ordinary: [vocabulary] the same as a table.
    """

    mask: int
    pad: int
    ordinary: Ints = field(repr=False)
    is_ordinary: NDArray[np.bool_] = field(repr=False)

    @classmethod
    def of(cls, tokenizer: Any) -> Kinds:
        """Of a tokenizer of transformers. Raises InputError if it has no mask."""
        if tokenizer.mask_token_id is None:
            raise InputError(
                t("the tokenizer has no mask"),
                where="base",
                expected=t("the tokenizer of a masked language model, with a token such as [MASK]"),
            )
        table = np.ones(len(tokenizer), np.bool_)
        table[[one for one in tokenizer.all_special_ids if one < len(table)]] = False
        return cls(tokenizer.mask_token_id, tokenizer.pad_token_id or 0, np.flatnonzero(table), table)


def hide(
    ids: Ints, begins: NDArray[np.bool_], rows: Ints, places: Ints, kinds: Kinds, settings: Masking, seed: int,
    epoch: int,
) -> tuple[Ints, Ints]:  # fmt: skip
    """(what the network sees, what it has to tell: the token that was there, -1 where nothing was chosen).

    Args:
        ids: [tokens] of whole pieces, end to end.
        begins: [tokens] whether a unit begins.
        rows: [tokens] number of the piece.
        places: [tokens] in its piece.
    """
    firsts = np.flatnonzero(places == 0)
    units = np.cumsum(begins)
    units = units - np.repeat(units[firsts], np.diff([*firsts, len(ids)]))
    draws = uniform(seed, "hide", epoch, rows, units)
    draws[~kinds.is_ordinary[ids]] = 2.0
    least = np.repeat(np.minimum.reduceat(draws, firsts), np.diff([*firsts, len(ids)]))
    chosen = ((draws < settings.share) | (draws == least)) & (draws < 2.0)
    how = uniform(seed, "how", epoch, rows, places)
    other = kinds.ordinary[(uniform(seed, "other", epoch, rows, places) * len(kinds.ordinary)).astype(np.int64)]
    seen = np.where(how < settings.masked, kinds.mask, ids)
    seen = np.where((how >= settings.masked) & (how < settings.masked + settings.replaced), other, seen)
    return np.where(chosen, seen, ids), np.where(chosen, ids, -1)


class MaskedFeed(PackedFeed):
    """Batches of pieces with hidden tokens: several pieces share a line, and none sees another.

    Args:
        first_position: what the network counts a piece's positions from.
    """

    def __init__(
        self,
        corpus: Corpus,
        layout: Layout,
        device: torch.device,
        kinds: Kinds,
        settings: Masking,
        first_position: int = 0,
    ) -> None:
        self._corpus, self._kinds, self._settings, self._first = corpus, kinds, settings, first_position
        super().__init__(corpus, layout, device)

    def _inputs(self, lengths: Ints) -> Ints:
        return lengths

    def _collate(self, plan: plans.Batch, epoch: int) -> Batch:
        found, at = empty_lines(plan, self._kinds.pad)
        ids = self._corpus.take(plan.rows, plan.offsets, plan.counts)
        begins = self._corpus.take_begins(plan.rows, plan.offsets, plan.counts)
        rows = np.repeat(plan.rows, plan.counts)
        places = found.positions.ravel()[at]
        seen, targets = hide(
            ids, begins, rows, places, self._kinds, self._settings, self._layout.seed, epoch
        )  # fmt: skip
        found.ids.ravel()[at] = seen
        found.targets.ravel()[at] = targets
        return Batch(
            inputs=inputs_of(found, self._device, self._layout.kind == "packs", self._first),
            weight=float((targets >= 0).sum()),
            names=[self._corpus.name(row) for row in plan.rows[:NAMED].tolist()],
            tokens=len(ids),
        )


def inputs_of(found: Line, device: torch.device, packed: bool, first_position: int) -> dict[str, torch.Tensor]:
    """`input_ids`, `labels` and `places` [targets] of them in the flattened lines, `attention_mask`: [lines, width], or
    where lines share, [lines, 1, width, width] with `position_ids`."""
    flat = found.targets.ravel()
    places = np.flatnonzero(flat >= 0)
    inputs = {
        "input_ids": torch.from_numpy(found.ids),
        "labels": torch.from_numpy(flat[places]),
        "places": torch.from_numpy(places),
    }
    documents = torch.from_numpy(found.documents)
    if packed:
        inputs["position_ids"] = torch.from_numpy(found.positions + first_position)
    inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
    inputs["attention_mask"] = attention(documents.to(device)) if packed else (documents > 0).long().to(device)
    return inputs


def is_packable(model: Any) -> bool:
    """Whether several pieces may share a line of this model."""
    return model.config.model_type in models.PACKABLE
