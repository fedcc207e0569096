"""Train a text classifier, from scratch or from a pretrained encoder.

From scratch, `size: auto` trains a linear model on n-grams and a small convolutional network, lets both answer
together, and keeps what is best on validation; it says what it tried. `base` names a local Hugging Face folder or an id
of the hub to fine-tune instead; the input `base` a step above that made one, such as train.masked_language_model.
Everything is learned from the train split; validation only chooses. A run that was killed goes on from its last
checkpoint and ends with the same bytes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.data.augmentation.settings import TextSettings
from modelyard.methods.training.adversarial.settings import Adversarial
from modelyard.methods.training.bases import SCRATCH, fingerprint
from modelyard.methods.training.fair.settings import Fairness
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
    check_snapshots,
)
from modelyard.methods.training.settings_parallel import Parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelyard.methods.training.candidates import Candidate, Examples
    from modelyard.methods.training.text_classifier import Settings


class Config(BaseModel):
    """Settings of train.text_classification."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field(
        SCRATCH,
        min_length=1,
        max_length=1000,
        description="`scratch`; a Hugging Face folder (relative to the project); or a hub id: `name`, `name@revision`, "
        "`modelscope:owner/name`. It goes before the port `base`",
    )
    size: Size = Field("auto", description="What to train from scratch; `auto` tries several and says which")
    freeze: Freeze = Field("nothing", description="With a base: the part that keeps its weights")
    epochs: int | None = Field(None, ge=1, le=10_000, description="Passes over the training rows at most (epochs)")
    batch_size: Annotated[int, Field(ge=1, le=65_536)] | Literal["auto"] | None = Field(
        None,
        description="Rows of one forward pass (rows); `auto`: those of a whole step, halved where memory runs out",
    )
    accumulation: int = Field(1, ge=1, le=4096, description="Forward passes a step: acts as one batch so much larger")
    budget: float = Field(
        8, gt=0, le=1e6, description="`auto`, `blend`: tokens the network may read without `epochs` set (millions)"
    )
    class_weights: ClassWeights = Field("none", description="`balanced` lets rows of rare classes count more")
    licence: str = Field("unknown", min_length=1, max_length=100, description="SPDX expression for the model made")
    reading: Reading = Field(default_factory=Reading, description="How texts become tokens")
    linear: LinearSettings = Field(default_factory=LinearSettings, description="The linear model")
    initialization: Initialization = Field(
        default_factory=Initialization, description="How weights begin (networks from scratch)"
    )
    loss: Loss = Field(default_factory=Loss, description="What is minimised on each row")
    optimizer: Optimizer = Field(default_factory=Optimizer, description="How weights follow gradients")
    schedule: Schedule = Field(default_factory=Schedule, description="How the learning rate moves")
    regularization: Regularization = Field(default_factory=Regularization, description="Against overfitting")
    ema: Ema = Field(default_factory=Ema, description="Average the weights over the steps")
    early_stopping: EarlyStopping = Field(default_factory=EarlyStopping, description="When to stop")
    snapshots: int = Field(
        0,
        ge=0,
        le=100,
        description="With `schedule: {name: cycles}`: weights at the ends of the last so many cycles answer together",
    )
    augment: TextSettings | None = Field(
        None, description="Change training texts anew in every epoch (networks only), beside data.augment"
    )
    adversarial: Adversarial | None = Field(
        None, description="Also learn from embeddings moved where the loss grows (networks only)"
    )
    fairness: Fairness | None = Field(
        None, description="Groups of rows between which the model is not to differ (networks only)"
    )
    compute: Compute = Field(default_factory=Compute, description="Where and how it is computed")
    parallel: Parallel = Field(default_factory=Parallel, description="How work is cut over the profile's processes")

    @model_validator(mode="after")
    def _fits(self) -> Config:
        check_snapshots(self.snapshots, self.schedule)
        if self.adversarial and self.base == SCRATCH and self.size == "linear":
            raise ValueError("`adversarial` moves token embeddings, which `size: linear` has not: `cnn` or an encoder")
        if self.adversarial and self.parallel != Parallel():
            raise ValueError("`adversarial` trains in one process: leave `parallel` out")
        if self.fairness and self.fairness.kind == "exponentiated_gradient":
            raise ValueError("`fairness` of texts is `group_dro` or `gradient_reversal`")
        if self.fairness and (self.parallel != Parallel() or self.snapshots):
            raise ValueError("`fairness` goes with neither `parallel` nor `snapshots`")
        return self


def run(config: Config, context: Context) -> None:
    import torch

    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.statistics.wilson import wilson
    from modelyard.methods.training import carrying, choices, saving, text_classifier
    from modelyard.methods.training.fair import arranging
    from modelyard.methods.training.hooks import Hooks
    from modelyard.methods.training.language import jobs
    from modelyard.methods.training.rows import read_splits

    hooks = Hooks(context.log, context.progress, context.say)
    data = Dataset.open(context.input("data"))
    training, validation, labels, notes = read_splits(data)
    for note in notes:
        context.say(note)
    base = jobs.base_folder(config.base, context)
    _check_network(config, base is None)
    fair = None
    if config.fairness is not None:
        fair = arranging.opened(data, config.fairness, (training.names, validation.names), labels, context.say)
    is_linear = config.base == SCRATCH and config.size == "linear"
    settled = choices.settle(config.compute, context.scratch(), hooks, not is_linear)
    work = text_classifier.Work(
        training=training,
        validation=validation,
        num_labels=len(labels),
        settings=_settings(config, settled.precision, settled.threads),
        device=torch.device(settled.device),
        seed=context.seed,
        scratch=context.scratch(),
        hooks=hooks,
        fair=fair,
    )
    if base is None:
        kept, tried = text_classifier.from_scratch(work)
    else:
        kept = text_classifier.from_base(work, base)
        tried = (kept,)
    provenance = {
        "stage": "train.text_classification",
        "seed": context.seed,
        "rows": {"train": len(training), "validation": len(validation)},
        "base": jobs.base_name(config.base, context),
        "kept": kept.name,
        "details": dict(kept.details),
        "tried": [{"name": one.name, "weights": one.num_parameters, **one.metrics} for one in tried],
    }
    write = partial(
        saving.write_model, kept, labels=labels, provenance=provenance, licence=config.licence, golden=validation.texts
    )
    hits, count = round(kept.metrics["accuracy"] * len(validation)), len(validation)
    if config.snapshots:
        hits = _write_snapshots(config, kept, write, provenance, validation, context)
    else:
        write(context.output("model"))
    carrying.carry(data, context.output("model"), context.say)
    context.measure(
        "train.validation_accuracy",
        hits / count,
        about="model",
        on="data/validation",
        n=count,
        interval=wilson(hits, count),
    )
    context.measure(
        "train.parameters", kept.num_parameters, about="model", on="", n=1, unit="weights", interval="exact"
    )


def _check_network(config: Config, is_fresh: bool) -> None:
    """Raises InputError if one network is needed and there is none, or several are trained."""
    from modelyard.base.messages import t
    from modelyard.errors import InputError

    name = "snapshots" if config.snapshots else "fairness" if config.fairness else ""
    if name and is_fresh and config.size in ("auto", "blend", "linear"):
        raise InputError(
            t("`{name}` is of one network; `size: {size}` is several, or none", name=name, size=config.size),
            where=name,
            expected=t("`size`: cnn or an encoder; or a base"),
        )


def _write_snapshots(
    config: Config,
    kept: Candidate,
    write: Callable[[Path], None],
    provenance: Mapping[str, Any],
    validation: Examples,
    context: Context,
) -> int:
    """An ensemble of the last cycles' ends; how many validation rows it answers rightly."""
    from modelyard.methods.training import snapshots
    from modelyard.methods.training.combining import cycles

    scratch, target = context.scratch(), context.output("model")
    found = snapshots.paths(scratch / kept.name, config.snapshots)
    cycles.write_model(write, kept.module, found, scratch, target, provenance, config.licence)
    hits = cycles.hits(target, validation.texts, validation.labels)
    context.say(cycles.line(len(found), "accuracy", hits / len(validation), kept.metrics["accuracy"]))
    return hits


def _settings(config: Config, precision: str, threads: int) -> Settings:
    from modelyard.methods.data.augmentation.text import TextChanges
    from modelyard.methods.training.text_classifier import Settings

    same = ("size", "epochs", "batch_size", "accumulation", "class_weights", "budget", "freeze", "reading")
    blocks = (
        "initialization",
        "loss",
        "optimizer",
        "schedule",
        "regularization",
        "ema",
        "early_stopping",
        "compute",
        "linear",
        "parallel",
        "adversarial",
    )
    values: dict[str, Any] = {name: getattr(config, name) for name in (*same, *blocks)}
    if config.snapshots:
        values["early_stopping"] = config.early_stopping.patient()
        values["snapshots"] = True
    if config.augment is not None:
        values["augment"] = TextChanges(**config.augment.model_dump())
    return Settings(**values, precision=precision, threads=threads)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port("dataset", ("train", "validation"), description="labelled texts"),
        "base": Port("model", optional=True, side=True, description="an encoder to fine-tune"),
    },
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
    libraries=(
        "torch",
        "transformers",
        "tokenizers",
        "numpy",
        "scipy",
        "scikit-learn",
        "accelerate",
        "safetensors",
        "pyarrow",
    ),
    loads=MODEL_CODE,
    external=("base",),
    fingerprint=fingerprint,
    parallel="parallel",
)
