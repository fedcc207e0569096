"""From a trained classifier and a lesson to the same classifier, gone on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from modelyard.base.messages import t
from modelyard.methods.training import checkpoints, classification, devices, evaluation, finite, loop, objectives
from modelyard.methods.training.axes import Objective
from modelyard.methods.training.batching import RowBatches
from modelyard.methods.training.continual.distillation import Distilled
from modelyard.methods.training.continual.elastic import ElasticWeights, Springs, fisher_diagonal
from modelyard.methods.training.continual.heads import grown
from modelyard.methods.training.continual.judging import BothScores
from modelyard.methods.training.continual.lessons import Lesson
from modelyard.methods.training.continual.opening import Known
from modelyard.methods.training.continual.settings import Elastic
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.loader.ahead import FeedAhead
from modelyard.methods.training.settings import ClassWeights

FISHER = "fisher"


@dataclass(frozen=True)
class Keeping:
    """What is done against forgetting, beside replay, which is in the lesson.

    Attributes:
        elastic: springs on the weights.
        distillation: λ of the old model's answers; 0: none.
        temperature: of both models' answers.
    """

    elastic: Elastic = field(default_factory=Elastic)
    distillation: float = 0.0
    temperature: float = 2.0


@dataclass(frozen=True)
class Updated:
    """The model that went on.

    Attributes:
        module: on the CPU, in evaluation mode.
        network: its spec; empty for a network of transformers.
        metrics: of the best weights on the new validation rows.
        old_before, old_after: accuracy on old validation rows; None without them.
        details: choices made on the way; no times.
    """

    module: Any
    network: Mapping[str, Any]
    metrics: Mapping[str, float]
    old_before: float | None
    old_after: float | None
    details: Mapping[str, Any]


def update(
    known: Known,
    lesson: Lesson,
    keeping: Keeping,
    plan: loop.Plan,
    class_weights: ClassWeights,
    device: torch.device,
    scratch: Path,
    hooks: Hooks,
) -> Updated:
    """Train on, from the newest checkpoint in `scratch` if there is one; validation, new and old, chooses the weights.

    Raises:
        InputError: weights of rows are not finite.
        StageError: the loss is no longer a number.
    """
    finite.require_finite({"weight": lesson.training.weights}, lesson.training.names, "train")
    num_old = len(known.card.labels)
    module, network = grown(known.module, known.card.network, num_old, len(lesson.labels))
    if plan.regularization.dropout is not None:
        _set_dropout(module, plan.regularization.dropout)
    before = _accuracy(known.module.to(device), lesson.old_validation, device)
    objective: Objective = classification.objective_of(plan)
    if keeping.distillation:
        objective = Distilled(objective, known.module, keeping.distillation, keeping.temperature)
    if keeping.elastic.strength:
        springs = _springs(module.to(device), lesson, num_old, keeping.elastic, plan, device, scratch, hooks)
        objective = ElasticWeights(objective, springs, keeping.elastic.strength)
    outcome = _fit(module, lesson, objective, plan, class_weights, device, scratch / "network", hooks)
    after = _accuracy(module, lesson.old_validation, device)
    new = evaluation.scores(evaluation.logits_of(module, lesson.validation, device), lesson.validation.labels)
    return Updated(module.cpu().eval(), network, new, before, after, _details(plan, lesson, keeping, outcome))


def _set_dropout(module: torch.nn.Module, rate: float) -> None:
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = rate


def _accuracy(module: Any, rows: RowBatches | None, device: torch.device) -> float | None:
    if rows is None:
        return None
    return evaluation.scores(evaluation.logits_of(module, rows, device), rows.labels)["accuracy"]


def _springs(
    module: torch.nn.Module,
    lesson: Lesson,
    num_old: int,
    elastic: Elastic,
    plan: loop.Plan,
    device: torch.device,
    scratch: Path,
    hooks: Hooks,
) -> Springs:
    """At rest where the old model is; the stiffness is measured once and kept beside the checkpoints."""
    rows = lesson.old if lesson.old is not None else lesson.training
    found = checkpoints.load(scratch / FISHER, hooks.say)
    if found is None:
        source = t("old rows") if lesson.old is not None else t("new rows, for there are no old ones")
        hooks.say(
            t(
                "elastic weights: stiffness from the old model's own answers to {count:,} {source}",
                count=min(elastic.rows, len(rows)),
                source=source,
            )
        )
        with devices.reproducible(device, plan.threads):
            stiffness = fisher_diagonal(module, rows, num_old, elastic.rows, plan.seed, device, hooks.progress)
        found = checkpoints.Checkpoint(1, {FISHER: stiffness}, {})
        checkpoints.save(scratch / FISHER, found)
    stiff = {name: value.to(device) for name, value in found.tensors[FISHER].items()}
    rest = {name: parameter.detach().clone() for name, parameter in module.named_parameters() if name in stiff}
    return Springs(rest, stiff)


def _fit(
    module: torch.nn.Module,
    lesson: Lesson,
    objective: Objective,
    plan: loop.Plan,
    class_weights: ClassWeights,
    device: torch.device,
    scratch: Path,
    hooks: Hooks,
) -> loop.Outcome:
    rows = lesson.training
    of_class = objectives.class_weights(rows.labels, len(lesson.labels), class_weights)
    feed = classification.RowFeed(rows, of_class[rows.labels] * rows.weights, plan, device)
    scores = BothScores(lesson.validation, lesson.old_validation, device)
    # A device computes while a thread makes its next batches; on the processor the two would share the cores.
    ahead = FeedAhead(feed) if device.type != "cpu" else None
    try:
        return loop.train(module, ahead or feed, objective, scores, plan, device, scratch, hooks)
    finally:
        if ahead is not None:
            ahead.close()


def _details(plan: loop.Plan, lesson: Lesson, keeping: Keeping, outcome: loop.Outcome) -> dict[str, Any]:
    names = ("learning_rate", "batch_size", "accumulation", "epochs", "precision", "threads")
    return {
        "replayed": len(lesson.training) - lesson.num_new,
        "ewc": {
            **keeping.elastic.model_dump(),
            "stiffness_from": "old rows" if lesson.old is not None else "new rows",
        },
        "distillation": {"weight": keeping.distillation, "temperature": keeping.temperature},
        "steps": outcome.steps,
        "best_step": outcome.best_step,
        **{name: getattr(plan, name) for name in names},
    }
