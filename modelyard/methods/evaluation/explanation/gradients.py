"""Attribution by gradients: integrated gradients and gradient x input, shown on a row's own players.

Both are of the log-odds of the target (or the value of a model that answers a number), as the network computes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modelyard.methods.evaluation.explanation.game import Attribution, Floats, Players
from modelyard.methods.evaluation.explanation.ngram_places import Places
from modelyard.methods.evaluation.explanation.players import ImagePlayers, TextPlayers
from modelyard.methods.preprocessing.ngrams import Ngrams
from modelyard.methods.preprocessing.table import Table
from modelyard.methods.preprocessing.tokens import Tokens
from modelyard.methods.runtimes.batching import Arrays
from modelyard.methods.runtimes.differentiable import Differentiable, Leaves
from modelyard.methods.runtimes.predictor import Record

PIECE = 16
"""Points of a path computed in one go."""


def score(logits: Tensor, target: int) -> Tensor:
    """[B] log-odds of the target among softmax's classes; the value where there is one output."""
    if logits.shape[1] == 1:
        return logits[:, 0]
    others = torch.cat([logits[:, :target], logits[:, target + 1 :]], 1)
    return logits[:, target] - others.logsumexp(1)


@dataclass
class Gradients:
    """A network to explain by its gradients."""

    model: Differentiable
    _places: Places | None = None

    def times_input(self, record: Record, target: int, players: Players) -> Attribution:
        """Gradient x (input - baseline) (Shrikumar, Greenside & Kundaje 2017); the baseline as `integrated` has it."""
        arrays = self.model.encode([record])
        here, start = self.model.embed(arrays), self.baseline(record, arrays)
        slopes = self._slopes(arrays, here, target)
        parts = {name: slopes[name] * (here[name] - start[name]).detach() for name in here}
        return Attribution(self.to_players(record, arrays, parts, players))

    def integrated(self, record: Record, target: int, players: Players, steps: int = 32) -> Attribution:
        """Integrated gradients (Sundararajan, Taly & Yan 2017) by Gauss-Legendre quadrature.

        The values of all players, and what no player carries (special tokens), add up to `whole` - `base`.
        """
        arrays = self.model.encode([record])
        here, start = self.model.embed(arrays), self.baseline(record, arrays)
        nodes, shares = np.polynomial.legendre.leggauss(steps)
        sums = {name: torch.zeros_like(leaf) for name, leaf in here.items()}
        for first in range(0, steps, PIECE):
            at = torch.tensor((nodes[first : first + PIECE] + 1) / 2, dtype=torch.float32)
            weights = torch.tensor(shares[first : first + PIECE] / 2, dtype=torch.float32)
            many = {name: np.repeat(array, len(at), 0) for name, array in arrays.items()}
            path = {
                name: (start[name] + _wide(at, leaf) * (leaf - start[name])).detach().requires_grad_(True)
                for name, leaf in here.items()
            }
            slopes = self._slopes(many, path, target)
            for name, slope in slopes.items():
                sums[name] += (_wide(weights, slope) * slope).sum(0, keepdim=True)
        parts = {name: sums[name] * (here[name] - start[name]).detach() for name in here}
        with torch.no_grad():
            base = score(self.model.logits(arrays, start), target)
            whole = score(self.model.logits(arrays), target)
        return Attribution(self.to_players(record, arrays, parts, players), float(base), float(whole))

    def baseline(self, record: Record, arrays: Arrays) -> Leaves:
        """Where nothing is said: padding for tokens (special ones stay), no n-grams, the mean colour, an empty row."""
        here = self.model.embed(arrays)
        found = {name: torch.zeros_like(leaf) for name, leaf in here.items()}
        if "tokens" in here:
            special = torch.tensor([start == end for start, end in self.spans(record)], dtype=torch.bool)
            pad = self.model.table[_find(self.model.preprocessor, Tokens).pad_id]
            found["tokens"] = torch.where(
                special[None, :, None], here["tokens"].detach(), pad.expand_as(here["tokens"])
            )
        if "columns" in here or "numbers" in here:
            empty = self.model.encode([self.model.preprocessor.sample()])
            found = {name: leaf.detach() for name, leaf in self.model.embed(empty).items()}
        return found

    def to_players(self, record: Record, arrays: Arrays, parts: Mapping[str, Tensor], players: Players) -> Floats:
        """[players] what the parts of all leaves [1, …] say."""
        found = np.zeros(len(players.names))
        for name, part in parts.items():
            values = part.detach().double().numpy()[0]
            if isinstance(players, ImagePlayers):
                found += players.means(values.sum(0)) * values[0].size / len(found)
            elif isinstance(players, TextPlayers) and name == "tokens":
                found += values.sum(1) @ players.shares(self.spans(record))
            elif isinstance(players, TextPlayers):
                found += self._of_ngrams(players, arrays, values)
            else:
                per_slot = values[1:].sum(1) if name == "columns" else values
                for column, value in zip(slots(self.model.preprocessor), per_slot, strict=True):
                    found[players.names.index(column)] += value
        return found

    def _of_ngrams(self, players: TextPlayers, arrays: Arrays, values: Floats) -> Floats:
        if self._places is None:
            self._places = Places(_find(self.model.preprocessor, Ngrams))
        ids = arrays["ngram_ids"][0].tolist()
        weights = {key: float(value) for key, value in zip(ids, values, strict=True) if key}
        letters = self._places.spread(players.text, weights)
        found: Floats = np.add.reduceat(letters, players.starts) if len(letters) else np.zeros(1)
        return found

    def spans(self, record: Record) -> list[tuple[int, int]]:
        tokens = _find(self.model.preprocessor, Tokens)
        spans: list[tuple[int, int]] = tokens.tokenizer.encode(str(record["text"])[: tokens.max_chars]).offsets
        return spans

    def _slopes(self, arrays: Arrays, leaves: Leaves, target: int) -> Leaves:
        names = list(leaves)
        total = score(self.model.logits(arrays, leaves), target).sum()
        return dict(zip(names, torch.autograd.grad(total, [leaves[name] for name in names]), strict=True))


def explained(model: Differentiable) -> str:
    """Why this model's gradients cannot be shown on its records; empty if they can."""
    from modelyard.methods.runtimes.differentiable import DIRECT

    kinds = {"tokens": Tokens, "ngrams": Ngrams}
    leaves = {*model.hooks, *(DIRECT[name] for name in model.input_names if name in DIRECT)}
    missing = [leaf for leaf in sorted(leaves) if leaf in kinds and _find(model.preprocessor, kinds[leaf]) is None]
    return "hashed n-grams have no place in the text" if missing else ""


def slots(table: Table) -> list[str]:
    """The column of each place of a network's columns: numbers, flags of missing numbers, categories."""
    numbers = [table.columns[place] for place in table.numbers]
    flags = [column for column in numbers if column.flagged]
    return [column.name for column in (*numbers, *flags, *(table.columns[place] for place in table.categories))]


def _wide(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1))


def _find(preprocessor: Any, kind: type) -> Any:
    """The part of a preprocessor that is of a kind; None if there is none."""
    parts = (preprocessor, *getattr(preprocessor, "parts", ()))
    return next((part for part in parts if isinstance(part, kind)), None)
