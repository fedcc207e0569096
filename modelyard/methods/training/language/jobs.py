"""What the stages of language models do alike around the training: settle where it computes, find the base, measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch

from modelyard.base.canonical import digest_file
from modelyard.methods.training import choices, pretrained
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language.learning import Job, Learning
from modelyard.methods.training.language.pretraining import Trained, num_weights
from modelyard.methods.training.settings import Compute, Optimizer, Schedule

SCRATCH = "scratch"
PORT = "base"


class Lengths(Protocol):
    """The settings of how long and how to learn, which the stages' Configs share."""

    @property
    def accumulation(self) -> int: ...
    @property
    def epochs(self) -> float | None: ...
    @property
    def max_steps(self) -> int | None: ...
    @property
    def evaluate_every(self) -> int | None: ...
    @property
    def patience(self) -> int: ...
    @property
    def optimizer(self) -> Optimizer: ...
    @property
    def schedule(self) -> Schedule: ...


def begin(compute: Compute, context: Any) -> Job:
    """Settle device, number format and threads of a stage's run."""
    hooks = Hooks(context.log, context.progress, context.say)
    settled = choices.settle(compute, context.scratch(), hooks)
    return Job(
        device=torch.device(settled.device),
        precision=settled.precision,
        threads=settled.threads,
        checkpoint_seconds=compute.checkpoint_seconds,
        seed=context.seed,
        scratch=context.scratch(),
        hooks=hooks,
    )


def learning(config: Lengths) -> Learning:
    return Learning(
        epochs=config.epochs,
        max_steps=config.max_steps,
        accumulation=config.accumulation,
        evaluate_every=config.evaluate_every,
        patience=config.patience,
        optimizer=config.optimizer,
        schedule=config.schedule,
    )


def base_folder(base: str, context: Any) -> Path | None:
    """The model to go on from: of the setting, if it names one, else of the port; None: fresh weights."""
    if base != SCRATCH:
        return pretrained.locate(base, context.base)
    if context.bound(PORT):
        return Path(context.input(PORT))
    return None


def base_name(base: str, context: Any) -> str:
    """The base as a model may carry it about: a folder's place on this machine is nobody's business."""
    if base == SCRATCH:
        return f"port {PORT}" if context.bound(PORT) else SCRATCH
    is_path = base.startswith((".", "/", "~")) or "\\" in base
    return Path(base).name if is_path else base


def weights_digest(folder: Path) -> str:
    """What an adapter remembers of its base."""
    return digest_file(folder / "model.safetensors")


def measure(context: Any, trained: Trained) -> None:
    """Evidence of the trained model: its loss on validation, and its size."""
    on = {"about": "model", "on": "data/validation", "n": trained.num_targets}
    metrics, interval = trained.metrics, trained.interval
    context.measure("train.validation_loss", metrics["loss"], unit="nats", interval=interval, **on)
    if "bits_per_byte" in metrics:
        scale = metrics["bits_per_byte"] / metrics["loss"]
        both = None if interval is None else (interval[0] * scale, interval[1] * scale)
        context.measure("train.validation_bits_per_byte", metrics["bits_per_byte"], unit="bits", interval=both, **on)
    context.measure(
        "train.parameters", num_weights(trained.model), about="model", on="", n=1, unit="weights", interval="exact"
    )
