"""What sentence embeddings minimise, and how they are judged.

- `contrastive`: of all other texts of a batch, find the one that belongs (InfoNCE: van den Oord et al. 2018; Henderson
  et al. 2017): softmax of the cosines over a temperature.
- `cosent`: pairs with a higher score shall have a higher cosine, by as much as the temperature asks for
  (Su 2022, "CoSENT"): log(1 + Σ exp((cos_j - cos_i) / temperature)) over all i, j with score_i > score_j.
- `cosine`: the squared difference of cosine and score.

With shorter lengths (Kusupati et al. 2022, "Matryoshka Representation Learning") the loss is the mean over the vector
and its beginnings, each brought to unit length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor
from torch.nn import functional

from modelyard.methods.training.axes import Batch
from modelyard.methods.training.encoders.pairs import Tokenized, vectors

POOL = 1000
"""Validation pairs among which the text that belongs is looked for, at most."""


def contrastive(first: Tensor, others: Tensor, same: Tensor, temperature: float) -> Tensor:
    """Sum over rows of -log softmax(cosines / temperature) at the row's own text.

    Args:
        first: [B, D] of unit length.
        others: [B, D] or, with negatives, [2 B, D]; row i belongs to `first[i]`.
        same: [sides, B] numbers of the texts: one that is equal to the row's own, or to the row's first text, is not
            counted against it.
    """
    scores_BN = first @ others.T / temperature
    numbers_N = same[1:].flatten()
    equal_BN = (numbers_N == same[1][:, None]) | (numbers_N == same[0][:, None])
    own = torch.arange(len(first), device=first.device)
    equal_BN[own, own] = False
    return functional.cross_entropy(scores_BN.masked_fill(equal_BN, -torch.inf), own, reduction="sum")


def cosent(first: Tensor, others: Tensor, scores: Tensor, temperature: float) -> Tensor:
    """CoSENT of one batch; 0 where all scores are equal."""
    cosines_B = (first * others).sum(1) / temperature
    differences_BB = cosines_B[None, :] - cosines_B[:, None]
    higher_BB = scores[:, None] > scores[None, :]
    terms = differences_BB[higher_BB]
    return torch.logsumexp(torch.cat([terms.new_zeros(1), terms]), 0)


def cosine(first: Tensor, others: Tensor, scores: Tensor) -> Tensor:
    """Sum over rows of (cosine - score)²."""
    return ((first * others).sum(1) - scores).square().sum()


@dataclass(frozen=True)
class Contrast:
    """The objective of a batch of `Tokenized`.

    Attributes:
        name: `contrastive`, `cosent`, `cosine`.
        lengths: beginnings of the vector that are learned too.
    """

    name: str
    temperature: float
    lengths: tuple[int, ...] = ()

    def __call__(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        found: Tensor = module(**batch.inputs)
        cuts = [found.shape[1], *(one for one in self.lengths if one < found.shape[1])]
        return torch.stack([self._one(found[:, :cut], batch) for cut in cuts]).mean()

    def _one(self, found: Tensor, batch: Batch) -> Tensor:
        scores, same = batch.targets["scores"], batch.targets["same"]
        found = functional.normalize(found.float(), dim=1)
        first, others = found[: len(scores)], found[len(scores) :]
        if self.name == "contrastive":
            return contrastive(first, others, same, self.temperature)
        others = others[: len(scores)]
        if self.name == "cosent":
            # Of a batch as a whole; `batch.weight` counts its rows.
            return cosent(first, others, scores, self.temperature) * len(scores)
        return cosine(first, others, scores)


@dataclass(frozen=True)
class PairScores:
    """Loss on validation in batches of the training's size; with scores Spearman and AUC, else how often the text that
    belongs is the nearest of at most 1,000."""

    pairs: Tokenized
    objective: Contrast
    batch_size: int
    device: torch.device
    scored: bool

    def __call__(self, module: torch.nn.Module) -> dict[str, float]:
        found = {"loss": self._loss(module)}
        first, others = (self._unit(module, side) for side in self.pairs.sides[:2])
        if self.scored:
            return found | agreement((first * others).sum(1), self.pairs.scores)
        return found | nearest(first, others, self.pairs.same)

    def _loss(self, module: torch.nn.Module) -> float:
        was_training = module.training
        module.eval()
        total = rows = 0.0
        with torch.inference_mode():
            for start in range(0, len(self.pairs), self.batch_size):
                end = min(start + self.batch_size, len(self.pairs))
                batch = self.pairs.batch(range(start, end), self.device)
                total += float(self.objective(module, batch))
                rows += batch.weight
        module.train(was_training)
        return total / rows

    def _unit(self, module: torch.nn.Module, side: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        found = vectors(module, side, self.pairs.pad_id, self.device).astype(np.float64)
        result: NDArray[np.float64] = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        return result


def agreement(cosines: NDArray[np.float64], scores: NDArray[np.float32]) -> dict[str, float]:
    """`spearman` (correlation of ranks, ties by their mean) and, of scores 0 and 1, `auc` (Mann & Whitney 1947); 0 and
    0.5 where all scores are equal."""
    ranks, wanted = rankdata(cosines), rankdata(scores)
    varied = ranks.std() > 0 and wanted.std() > 0
    found = {"spearman": float(np.corrcoef(ranks, wanted)[0, 1]) if varied else 0.0}
    if set(np.unique(scores).tolist()) <= {0.0, 1.0}:
        ones = int((scores == 1).sum())
        zeros = len(scores) - ones
        above = ranks[scores == 1].sum() - ones * (ones + 1) / 2
        found["auc"] = float(above / (ones * zeros)) if ones and zeros else 0.5
    return found


def nearest(first: NDArray[np.float64], others: NDArray[np.float64], same: NDArray[np.int64]) -> dict[str, float]:
    """`nearest`: the share of rows whose own text (or one equal to it) has the highest cosine of the first POOL."""
    first, others, numbers = first[:POOL], others[:POOL], same[1][:POOL]
    best = (first @ others.T).argmax(1)
    return {"nearest": float((numbers[best] == numbers).mean())}
