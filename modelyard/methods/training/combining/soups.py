"""From several ingredients to one merged model: which to take and how far to go, chosen on validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from modelyard.base import files
from modelyard.base.messages import t
from modelyard.methods.training.combining import merging, statistics, weights
from modelyard.methods.training.combining.judging import Judge, Judged
from modelyard.methods.training.combining.weights import Ingredient

Tensors = dict[str, torch.Tensor]
Say = Callable[[str], None]
SCALES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Of task arithmetic and TIES, tried from small to large when none is set."""


@dataclass(frozen=True)
class Kitchen:
    """What choosing needs.

    Attributes:
        judge: None: nothing can be chosen.
        scratch: where a candidate lies while it is judged.
        rows: training records for the statistics of batch normalisation; none if the models have no such thing.
    """

    judge: Judge | None
    scratch: Path
    rows: Sequence[Mapping[str, object]]
    say: Say

    def finished(self, like: Ingredient, tensors: Mapping[str, torch.Tensor]) -> Tensors:
        """The merged weights with statistics measured on the training rows, where there are any."""
        if not weights.statistics_names(tensors):
            return dict(tensors)
        place = self._laid_out(like, tensors)
        try:
            return {**tensors, **statistics.measure(place, self.rows)}
        finally:
            files.remove_tree(place)

    def judged(self, like: Ingredient, tensors: Mapping[str, torch.Tensor]) -> Judged:
        """Of finished weights."""
        assert self.judge is not None
        place = self._laid_out(like, tensors)
        try:
            return self.judge(place)
        finally:
            files.remove_tree(place)

    def _laid_out(self, like: Ingredient, tensors: Mapping[str, torch.Tensor]) -> Path:
        place = self.scratch / "candidate"
        files.remove_tree(place)
        weights.write(like, tensors, place, {}, "unknown", None)
        return place


def greedy(models: Sequence[Ingredient], metric: str, kitchen: Kitchen) -> tuple[Tensors, list[int]]:
    """A greedy soup (Wortsman et al. 2022, recipe 1): from the best ingredient on, each joins unless it does harm.

    Returns:
        Merged weights, and the places of the ingredients in them, best first.
    """
    assert kitchen.judge is not None
    alone = [kitchen.judge(model.folder) for model in models]
    order = sorted(range(len(models)), key=lambda place: (alone[place].order(metric), place))
    taken, soup, best = [order[0]], dict(models[order[0]].tensors), alone[order[0]]
    for place in order[1:]:
        tried = kitchen.finished(models[0], merging.mean([models[one].tensors for one in (*taken, place)]))
        found = kitchen.judged(models[0], tried)
        joins = found.order(metric) <= best.order(metric)
        kitchen.say(
            t("with model {number}: loss {loss:.4f}, joins the soup", number=place + 1, loss=found.loss)
            if joins
            else t("with model {number}: loss {loss:.4f}, left out", number=place + 1, loss=found.loss)
        )
        if joins:
            taken, soup, best = [*taken, place], tried, found
    return soup, taken


def scaled(
    merge: Callable[[float], Mapping[str, torch.Tensor]], like: Ingredient, metric: str, kitchen: Kitchen
) -> tuple[Tensors, float]:
    """The scale with the best score on validation; of equals the smaller. Returns (finished weights, scale)."""
    best: tuple[tuple[float, float], Tensors, float] | None = None
    for scale in SCALES:
        tried = kitchen.finished(like, merge(scale))
        found = kitchen.judged(like, tried)
        kitchen.say(t("scale {scale}: loss {loss:.4f}", scale=scale, loss=found.loss))
        if best is None or found.order(metric) < best[0]:
            best = (found.order(metric), tried, scale)
    assert best is not None
    return best[1], best[2]
