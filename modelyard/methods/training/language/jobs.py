"""What the stages of language models do alike around the training: settle where it computes, find the base, measure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from modelyard.base.canonical import digest_file
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.training import choices, pretrained
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language import costs
from modelyard.methods.training.language.fitting import Beside, Trained, num_weights
from modelyard.methods.training.language.learning import Job, Learning
from modelyard.methods.training.language.settings import Adapter
from modelyard.methods.training.parallel import world
from modelyard.methods.training.settings import Compute, Ema, Optimizer, Schedule

SCRATCH = "scratch"
PORT = "base"
WEIGHTS = "model.safetensors"


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
    @property
    def ema(self) -> Ema: ...


def begin(compute: Compute, context: Any) -> Job:
    """Settle device, number format and threads of a stage's run."""
    hooks = Hooks(context.log, context.progress, context.say)
    settled = choices.settle(compute, context.scratch(), hooks)
    return Job(
        device=torch.device(settled.device),
        precision=settled.precision,
        threads=settled.threads,
        compute=compute,
        seed=context.seed,
        scratch=context.scratch(),
        hooks=hooks,
    )


def say_size(job: Job, model: Any, tokenizer: Any) -> None:
    """Tell the user what is trained."""
    count, tokens = num_weights(model), len(tokenizer)
    job.hooks.say(t("{count:,} weights, {tokens:,} kinds of token", count=count, tokens=tokens))


def say_cost(job: Job, model: Any, context: int) -> None:
    """Tell the user what a token costs and what the weights' state takes."""
    found = costs.cost(model, context)
    job.hooks.say(
        t(
            "{operations:.3g} operations a token, {state:.3g} GiB of weights, gradients and moments",
            operations=found.operations,
            state=found.state_bytes / 2**30,
        )
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
        ema=config.ema,
    )


def base_folder(base: str | None, context: Any) -> Path | None:
    """The model to go on from: of the setting, if it names one, else of the port; None: fresh weights."""
    if base not in (None, SCRATCH):
        return pretrained.locate(str(base), context.base)
    if context.bound(PORT):
        return Path(context.input(PORT))
    return None


def needed_base(base: str | None, context: Any) -> Path:
    """As `base_folder`. Raises InputError if there is no model."""
    folder = base_folder(base, context)
    if folder is None:
        raise InputError(
            t("there is no model to teach"),
            where="base",
            expected=t("a Hugging Face folder, or an id of the hub"),
            remedy=t("name one as `base`, or put a step above that makes one, such as train.language_model"),
        )
    return folder


def base_name(base: str | None, context: Any) -> str:
    """The base as a model may carry it about: a folder's place on this machine is nobody's business."""
    if base is None or base == SCRATCH:
        return f"port {PORT}" if context.bound(PORT) else SCRATCH
    is_path = base.startswith((".", "/", "~")) or "\\" in base
    return Path(base).name if is_path else base


def check_adapter(shape: Adapter | None, folder: Path | None) -> None:
    """Raises InputError if an adapter is wanted beside fresh weights, which would stay what they are."""
    if shape is not None and folder is None:
        raise InputError(
            t("an adapter needs a base: fresh weights would stay what they are"),
            where="adapter",
            expected=t("a Hugging Face folder, or an id of the hub"),
            remedy=t("name one as `base`, or put a step above that makes one, such as train.language_model"),
        )


def beside(
    shape: Adapter | None, folder: Path | None, context: Any, tokens: Sequence[int] = (), start: str | None = None
) -> Beside | None:
    """The adapter that is wanted beside the model of a folder; kept as `adapter/` in the output."""
    if shape is None or folder is None:
        return None
    return Beside(
        shape=shape,
        # Beside 4 bits it learns to mend what they lost: beside the whole weights it would be another change.
        base=digest_file(folder / WEIGHTS) + ("" if shape.base == "fp32" else f" {shape.base}"),
        tokens=tokens,
        start=None if start is None else (context.base / Path(start).expanduser()).resolve(),
        keep=context.output("model") / "adapter" if world.rank() == 0 else None,
    )


def batch_size(wanted: int | None, context: int, tokens: int) -> int:
    """Lines of one forward pass: what was wanted, or as many as make so many tokens."""
    return wanted or max(1, tokens // context)


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
