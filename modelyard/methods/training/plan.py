"""How to train and what training ends in, whatever is learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelyard.methods.training.adversarial.settings import Adversarial
from modelyard.methods.training.settings import (
    CompileName,
    EarlyStopping,
    Ema,
    Keeping,
    Loss,
    Optimizer,
    Regularization,
    Schedule,
    Stopping,
)
from modelyard.methods.training.settings_parallel import Parallel


@dataclass(frozen=True)
class Plan:
    """How to train, whatever is learned.

    Attributes:
        epochs: passes over the training rows, at most.
        batch_size: rows of one forward pass.
        accumulation: forward passes a step; the step is that of one batch `accumulation` times as large.
        learning_rate: peak.
        max_steps: optimizer steps, at most; None: as many as the epochs have.
        evaluate_every: optimizer steps between evaluations; None: at the end of each epoch.
        precision: `fp32`, `bf16`, `fp16` or `fp8`.
        threads: of the CPU; the result depends on them.
        checkpoint_seconds: at least so long between two checkpoints that are not at an evaluation.
        compile: compiled graphs; `auto` measures whether they pay.
        checkpoint_activations: compute layers again on the way back instead of keeping what they gave.
        snapshots: weights at the ends of the schedule's cycles are kept (snapshots.py).
        parallel: how a step is cut over the processes, if there are several.
        adversarial: also learn from inputs moved where the loss grows; None: from the rows alone.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int = 0
    accumulation: int = 1
    max_steps: int | None = None
    evaluate_every: int | None = None
    precision: str = "fp32"
    threads: int = 1
    checkpoint_seconds: float = 30.0
    compile: CompileName = "off"
    checkpoint_activations: bool = False
    snapshots: bool = False
    keep: Keeping = field(default_factory=Keeping)
    ema: Ema = field(default_factory=Ema)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    loss: Loss = field(default_factory=Loss)
    regularization: Regularization = field(default_factory=Regularization)
    early_stopping: Stopping = field(default_factory=EarlyStopping)
    parallel: Parallel = field(default_factory=Parallel)
    adversarial: Adversarial | None = None


@dataclass(frozen=True)
class Outcome:
    """What training ends in; the module holds the best weights.

    Attributes:
        metrics: of the best weights, as the validator measured them.
        best_step, steps: optimizer steps at the best evaluation, and done in all.
        history: one entry an evaluation: step and metrics.
        compiled: whether the forward and backward passes were compiled.
    """

    metrics: Mapping[str, float]
    best_step: int
    steps: int
    history: tuple[Mapping[str, float], ...]
    compiled: bool = False
