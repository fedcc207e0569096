"""How a model was come by: one of how many seeds, and how often test rows were looked at on the way.

The best of N seeds is no better made than the others: it was lucky on the rows that chose it. On 500 rows the best of
20 models that are right on 85 % of all rows looks three points better than they are. What can be said of the way of
making is the mean over the seeds (Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks",
MLSys 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.methods.evaluation.blocks import Block, Cell, Figures, Phrase, Table, Text

USUAL = ("quality.accuracy", "quality.f1_macro", "quality.r2", "quality.rmse", "quality.log_loss")
COLUMNS = 5


@dataclass(frozen=True)
class Seeds:
    """What the seeds of one way of making measured.

    Attributes:
        seeds: of each model, in order.
        own: place of the model that this is about.
        claim: what they are compared by, `quality.accuracy on test`; `` if they have nothing in common.
        values: of each model.
        higher: whether more is better.
    """

    seeds: tuple[int, ...]
    own: int
    claim: str = ""
    values: tuple[float, ...] = ()
    higher: bool = True

    @property
    def mean(self) -> float:
        return math.fsum(self.values) / len(self.values)

    @property
    def gain(self) -> float:
        """What this model has over the mean of all, positive if it is better; 0 if there is nothing to compare."""
        if not self.values:
            return 0.0
        return (self.values[self.own] - self.mean) * (1 if self.higher else -1)

    @property
    def spread(self) -> float:
        """Best less worst."""
        return max(self.values) - min(self.values) if self.values else 0.0

    @property
    def best(self) -> bool:
        """Whether no other model is better."""
        if not self.values:
            return False
        return self.values[self.own] == (max(self.values) if self.higher else min(self.values))


def compare(
    seeds: Sequence[Mapping[str, Any]], model: str, claims: Mapping[str, Mapping[str, Any]], wanted: str = ""
) -> Seeds:
    """The seeds by the claim that all of them measured: the wanted one, else the most usual; on test before validation.

    Args:
        seeds: `seed`, `model` (digest) and `values` (by `claim on split`) of each.
        model: digest of the one this is about; it must be among them, unless there are none.
        claims: `better` of each claim.
        wanted: name of a claim.
    """
    numbers = tuple(int(one["seed"]) for one in seeds)
    own = next((place for place, one in enumerate(seeds) if one["model"] == model), 0)
    shared = set.intersection(*(set(one["values"]) for one in seeds)) if seeds else set()
    order = (wanted,) if wanted else (*USUAL, *sorted({name.partition(" on ")[0] for name in shared}))
    for name in order:
        for split in ("test", "validation"):
            key = f"{name} on {split}"
            if key in shared:
                values = tuple(float(one["values"][key]) for one in seeds)
                return Seeds(numbers, own, key, values, claims.get(name, {}).get("better") != "lower")
    return Seeds(numbers, own)


def shown(found: Seeds, seeds: Sequence[Mapping[str, Any]]) -> list[Block]:
    """A page: the figures, and every seed with what it measured."""
    blocks: list[Block] = [Text(about(found)), Figures("How it was chosen", ("selection.",))]
    if len(seeds) > 1:
        shared = sorted(set.intersection(*(set(one["values"]) for one in seeds)) - {found.claim})
        columns = ([found.claim] if found.claim else []) + shared[: COLUMNS - 1]
        rows: list[tuple[Cell, ...]] = [
            (one["seed"], "★" if place == found.own else "", *(float(one["values"][name]) for name in columns))
            for place, one in enumerate(seeds)
        ]
        blocks.append(Table("Seeds", ("seed", "this model", *columns), tuple(rows)))
    return blocks


def about(found: Seeds) -> Phrase:
    """One of how many seeds it is, in words."""
    if len(found.seeds) < 2:
        return Phrase("No other seed has made a model in the way this one was made.")
    if not found.claim:
        return Phrase(
            "{num} seeds made models in the way this one was made; they have measured nothing in common.",
            {"num": len(found.seeds)},
        )
    numbers: dict[str, str | int | float] = {
        "num": len(found.seeds),
        "claim": found.claim,
        "own": round(found.values[found.own], 4),
        "mean": round(found.mean, 4),
        "low": round(min(found.values), 4),
        "high": round(max(found.values), 4),
    }
    if found.best:
        return Phrase(BEST, numbers)
    return Phrase(ONE, numbers)


BEST = (
    "The best of {num} seeds. By {claim} it has {own}; all have {low} to {high}, {mean} in the mean. What was made "
    "this way is as good as the mean; the rest is luck on these rows."
)
ONE = (
    "One of {num} seeds. By {claim} it has {own}; all have {low} to {high}, {mean} in the mean, which is what to "
    "expect of models made this way."
)
