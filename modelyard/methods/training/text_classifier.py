"""From labelled texts to a trained classifier: which candidates to train, how, and which to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from modelyard.base.messages import t
from modelyard.methods.data.augmentation.text import TextChanges
from modelyard.methods.training import batching, blending, linear, loop, neural, optimizers, pretrained
from modelyard.methods.training.adversarial.settings import Adversarial
from modelyard.methods.training.candidates import Candidate, Examples
from modelyard.methods.training.fair.arranging import Fair
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.settings import (
    ClassWeights,
    Compute,
    EarlyStopping,
    Ema,
    Freeze,
    Initialization,
    LinearSettings,
    Loss,
    Optimizer,
    Reading,
    Regularization,
    Schedule,
    Size,
)
from modelyard.methods.training.settings_parallel import Parallel

MIN_STEPS = 600
"""A network trained by default takes at least about so many steps, however few the rows are."""
MAX_EPOCHS = 30


@dataclass(frozen=True)
class Settings:
    """What a user may choose; see the stage's Config for the words. `precision` and `threads` are settled, whatever
    `compute` says of them."""

    size: Size = "auto"
    epochs: int | None = None
    batch_size: int | Literal["auto"] | None = None
    accumulation: int = 1
    class_weights: ClassWeights = "none"
    budget: float = 8.0
    freeze: Freeze = "nothing"
    reading: Reading = field(default_factory=Reading)
    initialization: Initialization = field(default_factory=Initialization)
    loss: Loss = field(default_factory=Loss)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    regularization: Regularization = field(default_factory=Regularization)
    early_stopping: EarlyStopping = field(default_factory=EarlyStopping)
    linear: LinearSettings = field(default_factory=LinearSettings)
    augment: TextChanges | None = None
    adversarial: Adversarial | None = None
    precision: str = "fp32"
    threads: int = 1
    compute: Compute = field(default_factory=lambda: Compute(compile="off"))
    ema: Ema = field(default_factory=Ema)
    parallel: Parallel = field(default_factory=Parallel)
    snapshots: bool = False


@dataclass(frozen=True)
class Work:
    """One training job: the rows, the settings, and where it may write and tell."""

    training: Examples
    validation: Examples
    num_labels: int
    settings: Settings
    device: torch.device
    seed: int
    scratch: Path
    hooks: Hooks
    fair: Fair | None = None


def from_scratch(work: Work) -> tuple[Candidate, tuple[Candidate, ...]]:
    """(the one to keep, all that were tried)."""
    size = work.settings.size
    if size == "linear":
        found = _linear(work)
        return found, (found,)
    if size != "auto" and size != "blend":
        found = _neural(work, size)
        return found, (found,)
    parts = (_linear(work), _neural(work, "cnn"))
    blend = blending.blend(parts, work.validation.labels)
    tried = (*parts, blend)
    return (blend if size == "blend" else _choose(work, tried)), tried


def _choose(work: Work, tried: Sequence[Candidate]) -> Candidate:
    for one in tried:
        work.hooks.say(
            t(
                "tried {name}: validation accuracy {accuracy:.4f}, loss {loss:.4f}, {parameters:,} weights",
                name=one.name,
                parameters=one.num_parameters,
                accuracy=one.metrics["accuracy"],
                loss=one.metrics["loss"],
            )
        )
    metric = work.settings.early_stopping.metric
    chosen = blending.choose(tried, len(work.validation), metric)
    work.hooks.say(
        t(
            "kept {name}: of those within one standard error of the best {metric}, the one with the least loss",
            name=chosen.name,
            metric=metric,
        )
    )
    work.hooks.say(
        t("encoders were not tried: on some thousand rows they lose to the others; `size: encoder-small` trains one")
    )
    return chosen


def from_base(work: Work, folder: Path) -> Candidate:
    """Fine-tune the model in a folder."""
    settings = work.settings
    model, tokenizer = pretrained.open_base(folder, work.num_labels, settings.regularization.dropout, work.seed)
    length = pretrained.max_length_of(model, settings.reading.max_length)
    fast = pretrained.fast_tokenizer(tokenizer, length)
    rows = neural.reading(fast, work.training, work.validation)
    plan = _plan(work, pretrained.defaults_for(model), rows, None)
    return pretrained.train(
        model, tokenizer, rows, plan, settings.class_weights, settings.freeze, work.device, work.scratch / "base",
        work.hooks, work.training.soft, neural.renewal(fast, work.training, settings.augment, work.seed), work.fair,
    )  # fmt: skip


def _linear(work: Work) -> Candidate:
    settings = work.settings
    return linear.train(
        work.training,
        work.validation,
        work.num_labels,
        settings.linear,
        settings.class_weights,
        work.seed,
        work.scratch / "linear",
        work.hooks,
        settings.early_stopping.metric,
    )


def _neural(work: Work, kind: neural.Kind) -> Candidate:
    settings = work.settings
    rows = neural.read(work.training, work.validation, settings.reading.vocabulary_size, settings.reading.max_length)
    defaults = neural.DEFAULTS[kind]
    budget = settings.budget * 1e6 if settings.size in ("auto", "blend") else None
    plan = _plan(work, defaults, rows, budget)
    dropout = settings.regularization.dropout
    rate = defaults.dropout if dropout is None else dropout
    scratch = work.scratch / kind
    return neural.train(
        kind, rows, plan, work.num_labels, settings.class_weights, rate, work.device, scratch, work.hooks,
        work.training.soft, neural.renewal(rows.tokens, work.training, settings.augment, work.seed),
        settings.initialization, work.fair,
    )  # fmt: skip


def _plan(work: Work, defaults: neural.Defaults, rows: neural.Reading, budget: float | None) -> loop.Plan:
    lengths = rows.training.lengths
    return plan_of(work.settings, work.seed, defaults, len(lengths), int(lengths.sum()), budget)


def plan_of(
    settings: Settings,
    seed: int,
    defaults: neural.Defaults,
    num_rows: int,
    num_tokens: int,
    budget: float | None = None,
) -> loop.Plan:
    """The settings as the loop takes them.

    Args:
        num_rows, num_tokens: of one epoch.
        budget: tokens that may be read in all where no epochs are set, or None.
    """
    batch_size, accumulation = settings.batch_size or defaults.batch_size, settings.accumulation
    if batch_size == "auto":
        # All rows of a step at once; the loop cuts them where memory runs out.
        batch_size, accumulation = defaults.batch_size * accumulation, 1
    steps = batching.num_steps(num_rows, batch_size, accumulation)
    epochs = settings.epochs or epochs_for(defaults.epochs, steps, num_tokens, budget)
    return loop.Plan(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=optimizers.default_rate(settings.optimizer, defaults.learning_rate),
        seed=seed,
        accumulation=accumulation,
        precision=settings.precision,
        threads=settings.threads,
        checkpoint_seconds=settings.compute.checkpoint_seconds,
        # A compiled graph would not see the hook that moves the inputs.
        compile="off" if settings.adversarial else settings.compute.compile,
        checkpoint_activations=settings.compute.checkpoint_activations,
        keep=settings.compute.keep,
        ema=settings.ema,
        optimizer=settings.optimizer,
        schedule=settings.schedule,
        loss=settings.loss,
        regularization=settings.regularization,
        early_stopping=settings.early_stopping,
        parallel=settings.parallel,
        snapshots=settings.snapshots,
        adversarial=settings.adversarial,
    )


def epochs_for(usual: int, steps: int, tokens: int, budget: float | None) -> int:
    """Epochs when none are set: the usual number, more on few rows, fewer (but 2) where the budget of tokens ends.

    Args:
        steps, tokens: of one epoch.
        budget: tokens that may be read in all, or None.
    """
    epochs = max(usual, min(MAX_EPOCHS, -(-MIN_STEPS // max(steps, 1))))
    if budget is not None:
        epochs = min(epochs, max(2, int(budget / max(tokens, 1))))
    return epochs
