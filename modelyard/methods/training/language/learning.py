"""What the ways of training a language model share: a job, its plan, and one run of the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from modelyard.base.messages import t
from modelyard.methods.training import loop, optimizers
from modelyard.methods.training.axes import Feed, Objective, Validator
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.loader.ahead import FeedAhead
from modelyard.methods.training.settings import Compute, EarlyStopping, Ema, Optimizer, Schedule
from modelyard.methods.training.settings_parallel import Parallel

EVALUATIONS = 10
"""About so many in a run, if nothing is said."""


@dataclass(frozen=True)
class Learning:
    """How long and how to learn; see the stages' Configs for the words.

    Attributes:
        epochs, max_steps: at most; None: what the way of training does by default.
        evaluate_every: optimizer steps; None: about ten times in all.
        patience: evaluations without a lower loss before it stops; 0 never stops.
    """

    epochs: float | None = None
    max_steps: int | None = None
    accumulation: int = 1
    evaluate_every: int | None = None
    patience: int = 0
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    ema: Ema = field(default_factory=Ema)
    parallel: Parallel = field(default_factory=Parallel)


@dataclass(frozen=True)
class Job:
    """One training: where it computes, where it may write and tell. `precision` and `threads` are settled."""

    device: torch.device
    precision: str
    threads: int
    compute: Compute
    seed: int
    scratch: Path
    hooks: Hooks


def steps_for(learning: Learning, epoch_steps: int, usual_epochs: float) -> int:
    """Optimizer steps in all."""
    epochs = learning.epochs
    if epochs is None:
        if learning.max_steps is not None:
            return learning.max_steps
        epochs = usual_epochs
    steps = max(1, round(epochs * epoch_steps))
    return min(steps, learning.max_steps or steps)


def plan_for(
    learning: Learning, job: Job, batch_size: int, epoch_steps: int, steps: int, usual_rate: float
) -> loop.Plan:
    """The loop's plan of so many steps."""
    return loop.Plan(
        epochs=-(-steps // epoch_steps),
        batch_size=batch_size,
        learning_rate=optimizers.default_rate(learning.optimizer, usual_rate),
        seed=job.seed,
        accumulation=learning.accumulation,
        max_steps=steps,
        evaluate_every=min(learning.evaluate_every or max(1, steps // EVALUATIONS), steps),
        precision=job.precision,
        threads=job.threads,
        checkpoint_seconds=job.compute.checkpoint_seconds,
        compile=job.compute.compile,
        checkpoint_activations=job.compute.checkpoint_activations,
        keep=job.compute.keep,
        ema=learning.ema,
        optimizer=learning.optimizer,
        schedule=learning.schedule,
        early_stopping=EarlyStopping(metric="loss", patience=learning.patience),
        parallel=learning.parallel,
    )


def run(
    module: torch.nn.Module, feed: Feed, objective: Objective, validator: Validator, plan: loop.Plan, job: Job
) -> loop.Outcome:
    """Train in place; on a device, a thread makes the next batches meanwhile."""
    job.hooks.say(
        t(
            "{steps:,} steps, {epochs:.2f} epochs, at a rate of {rate:.3g}",
            steps=plan.max_steps,
            epochs=(plan.max_steps or 0) / feed.epoch_steps,
            rate=plan.learning_rate,
        )
    )
    ahead = FeedAhead(feed) if job.device.type != "cpu" else None
    try:
        return loop.train(module, ahead or feed, objective, validator, plan, job.device, job.scratch, job.hooks)
    finally:
        if ahead is not None:
            ahead.close()


def details(plan: loop.Plan, outcome: loop.Outcome) -> Mapping[str, Any]:
    """What the model's provenance says of how it was trained; no times."""
    return {
        "learning_rate": plan.learning_rate,
        "optimizer": plan.optimizer.name,
        "schedule": plan.schedule.name,
        "batch_size": plan.batch_size,
        "accumulation": plan.accumulation,
        "precision": plan.precision,
        "threads": plan.threads,
        "steps": outcome.steps,
        "best_step": outcome.best_step,
    }
