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
        claim: what they are compared by, `quality.accuracy on test`, of one of several tasks
            `quality.accuracy of mood on test`; `` if they have nothing in common.
        values: of each model.
        higher: whether more is better.
        task: which of several; `` of a model of one.
    """

    seeds: tuple[int, ...]
    own: int
    claim: str = ""
    values: tuple[float, ...] = ()
    higher: bool = True
    task: str = ""

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
    seeds: Sequence[Mapping[str, Any]],
    model: str,
    claims: Mapping[str, Mapping[str, Any]],
    wanted: str = "",
    task: str = "",
) -> Seeds:
    """The seeds by the claim that all of them measured: the wanted one, else the most usual; on test before validation.

    Args:
        seeds: `seed`, `model` (digest) and `values` (by `claim on split`) of each.
        model: digest of the one this is about; it must be among them, unless there are none.
        claims: `better` of each claim.
        wanted: name of a claim.
        task: of a model of several tasks, the one whose figures count.
    """
    numbers = tuple(int(one["seed"]) for one in seeds)
    own = next((place for place, one in enumerate(seeds) if one["model"] == model), 0)
    shared = {(name, split): key for key in _shared(seeds) for name, of, split in [_parts(key)] if of == task}
    order = (wanted,) if wanted else (*USUAL, *sorted({name for name, _ in shared}))
    for name in order:
        for split in ("test", "validation"):
            if key := shared.get((name, split)):
                values = tuple(float(one["values"][key]) for one in seeds)
                return Seeds(numbers, own, key, values, claims.get(name, {}).get("better") != "lower", task)
    return Seeds(numbers, own, task=task)


def by_task(
    seeds: Sequence[Mapping[str, Any]], model: str, claims: Mapping[str, Mapping[str, Any]], wanted: str = ""
) -> list[Seeds]:
    """The seeds task by task, a comparison for each that all have measured; one of the whole if that is what is usual,
    or if there are no tasks. Arguments as of `compare`."""
    whole = compare(seeds, model, claims, wanted)
    tasks = sorted({task for _, task, _ in map(_parts, _shared(seeds)) if task})
    found = [one for task in tasks if (one := compare(seeds, model, claims, wanted, task)).claim]
    usual = any(one.claim.partition(" ")[0] in USUAL for one in found)
    if found and (not whole.claim or (usual and whole.claim.partition(" ")[0] not in (*USUAL, wanted))):
        return found
    return [whole]


def _shared(seeds: Sequence[Mapping[str, Any]]) -> set[str]:
    """What every one of them has measured."""
    return set.intersection(*(set(one["values"]) for one in seeds)) if seeds else set()


def _parts(key: str) -> tuple[str, str, str]:
    """Claim, task and split of a key of `values`."""
    about, _, split = key.rpartition(" on ")
    claim, _, task = about.partition(" of ")
    return claim, task, split


def shown(found: Sequence[Seeds], seeds: Sequence[Mapping[str, Any]]) -> list[Block]:
    """A page: the figures, and every seed with what it measured. `found` is what `by_task` gives."""
    blocks: list[Block] = [Text(about(one)) for one in found]
    blocks.append(Figures("How it was chosen", ("selection.",)))
    if len(seeds) > 1:
        first = [one.claim for one in found if one.claim]
        columns = (first + sorted(_shared(seeds) - set(first)))[: max(COLUMNS, len(first))]
        rows: list[tuple[Cell, ...]] = [
            (one["seed"], "★" if place == found[0].own else "", *(float(one["values"][name]) for name in columns))
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
