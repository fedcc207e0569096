"""Train an image classifier, from scratch or from a pretrained one.

From scratch: `size: cnn` is a small network of convolutions, good on small images; `resnet`, `mobilenet` and `vit` are
those of transformers. `base` names a local Hugging Face folder to fine-tune instead. Images are changed anew in every
epoch (`augment`). Everything is learned from the train split; validation only chooses. A run that was killed goes on
from its last checkpoint and ends with the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.base.canonical import Json
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.data.augmentation.settings import ImageSettings
from modelyard.methods.training.adversarial.settings import Adversarial
from modelyard.methods.training.settings import (
    ClassWeights,
    Compute,
    EarlyStopping,
    Ema,
    Loss,
    Optimizer,
    Regularization,
    Schedule,
    check_snapshots,
)

if TYPE_CHECKING:
    from modelyard.methods.training.loop import Plan
    from modelyard.methods.training.vision.work import Classifier, Settings

SCRATCH = "scratch"
GENTLE = ImageSettings(crop=0.1, flip=0, rotate=0, colour=0)


class Config(BaseModel):
    """Settings of train.image_classification."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field(
        SCRATCH, min_length=1, max_length=1000, description="`scratch`, or a Hugging Face folder (relative: project's)"
    )
    size: Literal["cnn", "resnet", "vit", "mobilenet"] = Field("cnn", description="What to train from scratch")
    freeze: Literal["nothing", "encoder"] = Field("nothing", description="With a base: the part that keeps its weights")
    image_size: int | None = Field(
        None,
        ge=8,
        le=1024,
        description="Side of the square that is read (pixels); by default by the images or the base",
    )
    fit: Literal["crop", "stretch"] = Field("crop", description="`crop` cuts what is too long, `stretch` squeezes it")
    augment: ImageSettings | None = Field(
        GENTLE, description="How images are changed in every epoch; a little cropping if not set, null for not at all"
    )
    epochs: int | None = Field(None, ge=1, le=10_000, description="Passes over the training rows at most (epochs)")
    batch_size: int | None = Field(None, ge=1, le=65_536, description="Rows of one forward pass (rows)")
    accumulation: int = Field(1, ge=1, le=4096, description="Forward passes a step: acts as one batch so much larger")
    class_weights: ClassWeights = Field("none", description="`balanced` lets rows of rare classes count more")
    licence: str = Field("unknown", min_length=1, max_length=100, description="SPDX expression for the model made")
    optimizer: Optimizer | None = Field(
        None, description="How weights follow gradients; by default `muon` for `size: cnn`, AdamW for the others"
    )
    schedule: Schedule = Field(default_factory=Schedule, description="How the learning rate moves")
    regularization: Regularization = Field(default_factory=Regularization, description="Against overfitting")
    loss: Loss = Field(default_factory=Loss, description="What is minimised on each row")
    ema: Ema = Field(default_factory=Ema, description="Average the weights over the steps")
    early_stopping: EarlyStopping = Field(EarlyStopping(patience=5), description="When to stop")
    snapshots: int = Field(
        0,
        ge=0,
        le=100,
        description="With `schedule: {name: cycles}`: weights at the ends of the last so many cycles answer together",
    )
    adversarial: Adversarial | None = Field(None, description="Also learn from pixels moved where the loss grows")
    compute: Compute = Field(default_factory=Compute, description="Where and how it is computed")

    @model_validator(mode="after")
    def _has_cycles(self) -> Config:
        check_snapshots(self.snapshots, self.schedule)
        return self


def run(config: Config, context: Context) -> None:
    import torch

    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.statistics.wilson import wilson
    from modelyard.methods.training import choices
    from modelyard.methods.training.hooks import Hooks
    from modelyard.methods.training.vision import rows, saving, work

    hooks = Hooks(context.log, context.progress, context.say)
    data = Dataset.open(context.input("data"))
    labels = rows.labels_of(data)
    settings = _settings(config, context.base)
    settled = choices.settle(config.compute, context.scratch(), hooks)
    plan = _plan(config, settings, settled.precision, settled.threads, context.seed)
    found = work.train(data, labels, settings, plan, torch.device(settled.device), context.scratch(), hooks)
    provenance = {
        "stage": "train.image_classification",
        "seed": context.seed,
        "rows": {"train": len(found.training), "validation": len(found.validation)},
        "base": Path(config.base).name,
        "kept": config.size if config.base == SCRATCH else "base",
        "details": dict(found.details),
        "validation": work.scores(found),
    }
    if config.snapshots:
        found = _write_snapshots(config, found, labels, provenance, context)
    else:
        saving.write_model(found, context.output("model"), labels, provenance, config.licence)
    count = len(found.validation)
    hits = round(work.scores(found)["accuracy"] * count)
    context.measure(
        "train.validation_accuracy",
        hits / count,
        about="model",
        on="data/validation",
        n=count,
        interval=wilson(hits, count),
    )
    context.measure(
        "train.parameters", found.num_parameters, about="model", on="", n=1, unit="weights", interval="exact"
    )


def _write_snapshots(
    config: Config, found: Classifier, labels: Sequence[str], provenance: Mapping[str, Any], context: Context
) -> Classifier:
    """An ensemble of the last cycles' ends; what was trained, with the ensemble's answers in place of its own."""
    from modelyard.methods.training import snapshots
    from modelyard.methods.training.combining import cycles
    from modelyard.methods.training.vision import saving, work

    scratch, target = context.scratch(), context.output("model")
    paths = snapshots.paths(scratch / work.FOLDER, config.snapshots)

    def write(folder: Path) -> None:
        saving.write_model(found, folder, labels, provenance, config.licence)

    cycles.write_model(write, found.learner, paths, scratch, target, provenance, config.licence)
    answers = cycles.outputs(target, [saving.record(pixels) for pixels in found.validation.pixels])
    together = replace(found, outputs=answers)
    accuracy = [work.scores(one)["accuracy"] for one in (together, found)]
    context.say(cycles.line(len(paths), "accuracy", *accuracy))
    return together


def _settings(config: Config, project: Path) -> Settings:
    from modelyard.methods.data.augmentation.images import ImageChanges
    from modelyard.methods.training.vision.work import Settings

    return Settings(
        size=config.size,
        base=None if config.base == SCRATCH else _folder(config.base, project),
        freeze=config.freeze,
        side=config.image_size,
        fit=config.fit,
        changes=None if config.augment is None else ImageChanges(**config.augment.model_dump()),
        class_weights=config.class_weights,
    )


def _plan(config: Config, settings: Settings, precision: str, threads: int, seed: int) -> Plan:
    from modelyard.methods.training import optimizers
    from modelyard.methods.training.loop import Plan

    defaults = settings.defaults
    optimizer = config.optimizer or defaults.optimizer
    return Plan(
        epochs=config.epochs or defaults.epochs,
        batch_size=config.batch_size or defaults.batch_size,
        learning_rate=optimizers.default_rate(optimizer, defaults.learning_rate),
        seed=seed,
        accumulation=config.accumulation,
        precision=precision,
        threads=threads,
        checkpoint_seconds=config.compute.checkpoint_seconds,
        compile="off" if config.adversarial else config.compute.compile,
        checkpoint_activations=config.compute.checkpoint_activations,
        keep=config.compute.keep,
        ema=config.ema,
        loss=config.loss,
        optimizer=optimizer,
        schedule=config.schedule,
        regularization=config.regularization,
        early_stopping=config.early_stopping.patient() if config.snapshots else config.early_stopping,
        snapshots=config.snapshots > 0,
        adversarial=config.adversarial,
    )


def _folder(base: str, project: Path) -> Path:
    """Raises InputError if there is no such folder."""
    from modelyard.methods.training import pretrained

    return pretrained.locate(base, project)


def fingerprint(config: Config, base: Path) -> Json:
    """Digest of every file of the base; nothing from scratch."""
    if config.base == SCRATCH:
        return SCRATCH
    from modelyard.methods.training.vision import models

    return models.fingerprint(_folder(config.base, base))


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("train", "validation"), description="labelled images")},
    outputs={"model": Port("model", description="a model folder")},
    claims=(
        Claim(
            "train.validation_accuracy",
            "share of validation rows answered rightly; validation chose the model, so it flatters",
            sizing="rate",
            any_split=True,
        ),
        Claim("train.parameters", "weights that were learned", "weights", better="lower", any_split=True),
    ),
    libraries=("torch", "transformers", "kornia", "pillow", "numpy", "accelerate", "safetensors", "pyarrow"),
    loads=MODEL_CODE,
    external=("base",),
    fingerprint=fingerprint,
)
