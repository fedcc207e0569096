"""From a language model and a lesson to the same model, gone on."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from modelyard.base.messages import t
from modelyard.methods.training import checkpoints, devices
from modelyard.methods.training.axes import Objective
from modelyard.methods.training.continual.elastic import ElasticWeights, Springs
from modelyard.methods.training.continual.language.reading import Lesson
from modelyard.methods.training.continual.language.stiffness import AdapterSprings, fisher_diagonal
from modelyard.methods.training.continual.language.taught import TaughtLosses
from modelyard.methods.training.continual.updating import FISHER, Keeping
from modelyard.methods.training.language import learning, models, objectives
from modelyard.methods.training.language.documents import Documents
from modelyard.methods.training.language.fitting import Settings
from modelyard.methods.training.language.learning import Job
from modelyard.methods.training.language.network import TokenLosses
from modelyard.methods.training.language.objectives import NextToken, TokenScores
from modelyard.methods.training.language.packing import Layout, PackedFeed


@dataclass(frozen=True)
class Judged:
    """Validation documents under one model.

    Attributes:
        loss: nats a token.
        interval: 95 %; None if there are too few lines to tell.
    """

    loss: float
    interval: tuple[float, float] | None
    num_targets: int


@dataclass(frozen=True)
class Updated:
    """The model that went on.

    Attributes:
        model: on the CPU, adapters merged.
        new: of the new validation documents.
        old_before, old_after: of the old ones; None without them.
        details: choices made on the way; no times.
    """

    model: Any
    new: Judged
    old_before: Judged | None
    old_after: Judged | None
    details: Mapping[str, Any]


@dataclass(frozen=True)
class BothTokenScores:
    """Loss of new and of old validation, each with one voice: their mean is `loss`."""

    new: TokenScores
    old: TokenScores | None

    def __call__(self, module: torch.nn.Module) -> dict[str, float]:
        new = self.new(module)
        if self.old is None:
            return new
        old = self.old(module)
        means = {name: (new[name] + old[name]) / 2 for name in old}
        return {**means, "loss_new": new["loss"], "loss_old": old["loss"]}


def update(model: Any, lesson: Lesson, keeping: Keeping, settings: Settings, job: Job) -> Updated:
    """Train on, from the newest checkpoint if there is one; validation, new and old, chooses the weights.

    Raises:
        StageError: the loss is no longer a number.
    """
    layout = Layout(settings.context, settings.batch_size, settings.learning.accumulation, job.seed)
    feed = PackedFeed(lesson.training, layout, job.device)
    scores = {
        name: TokenScores(PackedFeed(one, replace(layout, accumulation=1), job.device), job.device, job.precision)
        for name, one in (("new", lesson.validation), ("old", lesson.old_validation))
        if one is not None
    }
    before = _judged(model, scores.get("old"), job)
    stiff = _stiffness(model, lesson, keeping, settings.context, job) if keeping.elastic.strength else None
    teacher = copy.deepcopy(model).to(job.device) if keeping.distillation else None
    rest = None if stiff is None or settings.adapter else _rest(model, job.device)
    rate = models.usual_rate(model, False, settings.adapter is not None)
    adapted = None if settings.adapter is None else settings.adapter.add(model, job)
    module = TokenLosses(model)
    if teacher is not None:
        module = TaughtLosses(model, teacher, keeping.distillation, keeping.temperature)
    objective: Objective = NextToken()
    if stiff is not None:
        springs = AdapterSprings(stiff) if rest is None else Springs(rest, stiff)
        objective = ElasticWeights(objective, springs, keeping.elastic.strength)
    steps = learning.steps_for(settings.learning, feed.epoch_steps, settings.usual_epochs or 1.0)
    plan = learning.plan_for(settings.learning, job, settings.batch_size, feed.epoch_steps, steps, rate)
    judge = BothTokenScores(scores["new"], scores.get("old"))
    outcome = learning.run(module, feed, objective, judge, plan, replace(job, scratch=job.scratch / "network"))
    if settings.adapter is not None and adapted is not None:
        model = settings.adapter.merge(adapted)
    new, after = _judged(model, scores["new"], job), _judged(model, scores.get("old"), job)
    assert new is not None
    details = {
        **learning.details(plan, outcome),
        "context": settings.context,
        "replayed": lesson.num_replayed,
        "ewc": {**keeping.elastic.model_dump(), "stiffness_from": _source(lesson)},
        "distillation": {"weight": keeping.distillation, "temperature": keeping.temperature},
        "adapter": None if settings.adapter is None else settings.adapter.shape.model_dump(mode="json"),
    }
    return Updated(model.cpu().eval(), new, before, after, details)


def _source(lesson: Lesson) -> str:
    return "old rows" if lesson.old is not None else "new rows"


def _judged(model: Any, scores: TokenScores | None, job: Job) -> Judged | None:
    """In fp32, as the predictor computes."""
    if scores is None:
        return None
    with devices.reproducible(job.device, job.threads):
        lines = replace(scores, precision="fp32").lines(TokenLosses(model).to(job.device))
    return Judged(objectives.scores(lines)["loss"], objectives.interval(lines), int(lines[:, 1].sum()))


def _rest(model: Any, device: torch.device) -> dict[str, torch.Tensor]:
    return {name: one.detach().clone().to(device) for name, one in TokenLosses(model).named_parameters()}


def _stiffness(model: Any, lesson: Lesson, keeping: Keeping, context: int, job: Job) -> dict[str, torch.Tensor]:
    """Measured once and kept beside the checkpoints."""
    found = checkpoints.load(job.scratch / FISHER, job.hooks.say)
    if found is None:
        documents: Documents = lesson.old if lesson.old is not None else lesson.training
        source = t("old rows") if lesson.old is not None else t("new rows, for there are no old ones")
        count = keeping.elastic.rows
        job.hooks.say(
            t(
                "elastic weights: stiffness from the old model's own answers to {count:,} {source}",
                count=count,
                source=source,
            )
        )
        with devices.reproducible(job.device, job.threads):
            stiff = fisher_diagonal(
                TokenLosses(model).to(job.device), documents, context, count, job.seed, job.device, job.hooks.progress
            )
        found = checkpoints.Checkpoint(1, {FISHER: stiff}, {})
        checkpoints.save(job.scratch / FISHER, found)
    return {name: value.to(job.device) for name, value in found.tensors[FISHER].items()}
