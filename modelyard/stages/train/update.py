"""Go on with a trained model: learn new rows and keep what it knew.

`model` is a released model (`model.release`) or that of a step above, in a form that can learn: a classifier of texts
or images, or a language model. `data` holds the new rows: labelled ones (labels the model has not known get a place in
its head), or texts, chats, questions with answers. Against forgetting there are three ways, each by itself or together:
`replay` learns a share of the `old` data again; `ewc` holds the weights that the old answers rest on; `distillation`
keeps to the old model's answers, of a language model to its distribution of every token. A language model learns with
all its weights, or with `adapter` beside them. With `old` bound, validation chooses the weights by the mean of new and
old accuracy (loss). How much was forgotten is measured by `evaluate.forgetting`, on test rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.training.continual.settings import Distillation, Elastic
from modelyard.methods.training.language.settings import Adapter
from modelyard.methods.training.settings import (
    ClassWeights,
    Compute,
    EarlyStopping,
    Ema,
    Loss,
    Optimizer,
    Regularization,
    Schedule,
)

if TYPE_CHECKING:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.runtimes.model_folder import ModelCard
    from modelyard.methods.training.choices import Choices
    from modelyard.methods.training.continual.lessons import Lesson
    from modelyard.methods.training.continual.opening import Known
    from modelyard.methods.training.continual.updating import Keeping, Updated
    from modelyard.methods.training.hooks import Hooks
    from modelyard.methods.training.plan import Plan

REPLAY = 0.5
OF_LANGUAGE = {"adapter", "context", "max_steps"}


class Config(BaseModel):
    """Settings of train.update."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replay: float | None = Field(
        None, ge=0, le=1, description="Share of the old training rows learned again; by default 0.5 if `old` is bound"
    )
    ewc: Elastic = Field(default_factory=Elastic, description="Hold the weights that old answers rest on")
    distillation: Distillation = Field(default_factory=Distillation, description="Keep to the old model's answers")
    epochs: int | None = Field(None, ge=1, le=10_000, description="Passes over the rows at most (epochs)")
    batch_size: Annotated[int, Field(ge=1, le=65_536)] | Literal["auto"] | None = Field(
        None,
        description="Rows of one forward pass (rows); `auto`: those of a whole step, halved where memory runs out",
    )
    max_steps: int | None = Field(
        None, ge=1, le=100_000_000, description="Language models: steps of the optimizer at most (steps)"
    )
    context: int | None = Field(
        None, ge=8, le=1_048_576, description="Language models: tokens of a line; by default at most 1,024 (tokens)"
    )
    adapter: Adapter | None = Field(
        None, description="Language models: learn low-rank changes beside frozen weights, merged at the end"
    )
    accumulation: int = Field(1, ge=1, le=4096, description="Forward passes a step: acts as one batch so much larger")
    class_weights: ClassWeights = Field("none", description="`balanced` lets rows of rare classes count more")
    licence: str | None = Field(
        None, min_length=1, max_length=100, description="SPDX expression for the model made; by default the old one's"
    )
    loss: Loss = Field(default_factory=Loss, description="What is minimised on each row")
    optimizer: Optimizer = Field(default_factory=Optimizer, description="How weights follow gradients")
    schedule: Schedule = Field(default_factory=Schedule, description="How the learning rate moves")
    regularization: Regularization = Field(default_factory=Regularization, description="Against overfitting")
    ema: Ema = Field(default_factory=Ema, description="Average the weights over the steps")
    early_stopping: EarlyStopping = Field(default_factory=EarlyStopping, description="When to stop")
    compute: Compute = Field(default_factory=Compute, description="Where and how it is computed")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.tasks import text_generation
    from modelyard.methods.training import carrying
    from modelyard.methods.training.continual import opening

    card = opening.open_card(context.input("model"))
    data, old = _data(config, context)
    card = carrying.updated(card, data, *([old] if old else []))
    if card.task == text_generation.NAME:
        from modelyard.methods.training.continual.language import running

        running.run(config, context, card, data, old, _share(config, old), _keeping(config, old))
    else:
        _classifier(config, context, card, data, old)


def _classifier(config: Config, context: Context, card: ModelCard, data: Dataset, old: Dataset | None) -> None:
    import torch

    from modelyard.methods.training import choices
    from modelyard.methods.training.continual import opening, updating, writing
    from modelyard.methods.training.hooks import Hooks

    _refuse_of_language(config)
    hooks = Hooks(context.log, context.progress, context.say)
    known = opening.open_known(context.input("model"), card)
    settled = choices.settle(config.compute, context.scratch(), hooks)
    lesson = _lesson(config, context, known, data, old, hooks)
    keeping = _keeping(config, old)
    _tell(context, known, lesson, keeping)
    plan = _plan(config, known, lesson, settled, context.seed)
    device = torch.device(settled.device)
    made = updating.update(known, lesson, keeping, plan, config.class_weights, device, context.scratch(), hooks)
    licence = config.licence or known.card.licence
    writing.write_model(
        known, made, lesson, context.output("model"), _provenance(context, known, made, lesson), licence
    )
    _measure(context, made, lesson)


def _data(config: Config, context: Context) -> tuple[Dataset, Dataset | None]:
    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import Dataset

    old = Dataset.open(context.input("old")) if context.bound("old") else None
    if config.replay and old is None:
        raise InputError(
            t("`replay` needs the old data, and nothing is bound to `old`"),
            where="replay",
            expected=t("the data set the model was trained on"),
            remedy=t("bind it: `in: {old: STEP}`; without it, `distillation` and `ewc` work from the new rows"),
        )
    return Dataset.open(context.input("data")), old


def _refuse_of_language(config: Config) -> None:
    from modelyard.errors import InputError

    named = sorted(OF_LANGUAGE & config.model_fields_set)
    if named:
        raise InputError(
            t("`{name}` is a setting of language models; the model is a classifier", name=named[0]),
            where=named[0],
            expected=t("it left out"),
        )


def _share(config: Config, old: Dataset | None) -> float:
    return (REPLAY if config.replay is None else config.replay) if old is not None else 0.0


def _lesson(config: Config, context: Context, known: Known, data: Dataset, old: Dataset | None, hooks: Hooks) -> Lesson:
    from modelyard.methods.tasks import text_classification
    from modelyard.methods.training.continual import images, texts

    share = _share(config, old)
    if known.card.task == text_classification.NAME:
        return texts.read(known, data, old, share, context.seed)
    return images.read(known, data, old, share, context.seed, context.scratch(), hooks)


def _keeping(config: Config, old: Dataset | None) -> Keeping:
    from modelyard.methods.training.continual.updating import Keeping

    weight = config.distillation.weight
    if weight is None:
        weight = 1.0 if old is None else 0.0
    return Keeping(config.ewc, weight, config.distillation.temperature)


def _tell(context: Context, known: Known, lesson: Lesson, keeping: Keeping) -> None:
    for note in lesson.notes:
        context.say(note)
    num_replayed = len(lesson.training) - lesson.num_new
    context.say(t("{new:,} new rows, {replayed:,} old ones learned again", new=lesson.num_new, replayed=num_replayed))
    fresh = lesson.labels[len(known.card.labels) :]
    if fresh:
        names = ", ".join(f"`{label}`" for label in fresh[:5]) + (", …" if len(fresh) > 5 else "")
        context.say(t("{count} labels are new to the model: {names}; its head grows", count=len(fresh), names=names))
    if keeping.distillation:
        context.say(
            t("the old model teaches with weight {weight:g} at temperature {temperature:g}",
              weight=keeping.distillation, temperature=keeping.temperature)
        )  # fmt: skip
    if not (num_replayed or keeping.distillation or keeping.elastic.strength):
        context.say(t("nothing is done against forgetting: no replay, no distillation, no elastic weights"))


def _plan(config: Config, known: Known, lesson: Lesson, settled: Choices, seed: int) -> Plan:
    from modelyard.methods.training import optimizers
    from modelyard.methods.training.continual import defaults
    from modelyard.methods.training.plan import Plan

    usual = defaults.defaults_for(known)
    batch_size, accumulation = config.batch_size or usual.batch_size, config.accumulation
    if batch_size == "auto":
        # All rows of a step at once; the loop cuts them where memory runs out.
        batch_size, accumulation = usual.batch_size * accumulation, 1
    blocks = ("ema", "optimizer", "schedule", "loss", "regularization", "early_stopping")
    values: dict[str, Any] = {name: getattr(config, name) for name in blocks}
    return Plan(
        epochs=config.epochs or defaults.epochs_for(usual.epochs, len(lesson.training), batch_size, accumulation),
        batch_size=batch_size,
        learning_rate=optimizers.default_rate(config.optimizer, usual.learning_rate),
        seed=seed,
        accumulation=accumulation,
        precision=settled.precision,
        threads=settled.threads,
        checkpoint_seconds=config.compute.checkpoint_seconds,
        compile=config.compute.compile,
        checkpoint_activations=config.compute.checkpoint_activations,
        keep=config.compute.keep,
        **values,
    )


def _provenance(context: Context, known: Known, made: Updated, lesson: Lesson) -> dict[str, Any]:
    from modelyard.methods.runtimes.manifest import manifest

    before = known.card.provenance
    return {
        "stage": "train.update",
        "seed": context.seed,
        "updated_from": manifest(known.folder).digest,
        "updates": int(before.get("updates", 0)) + 1,
        "base": before.get("base", "scratch"),
        "rows": {"train": lesson.num_new, "validation": len(lesson.validation)},
        "details": dict(made.details),
    }


def _measure(context: Context, made: Updated, lesson: Lesson) -> None:
    from modelyard.methods.statistics.wilson import wilson

    n = len(lesson.validation)
    hits = round(made.metrics["accuracy"] * n)
    context.measure(
        "train.validation_accuracy", hits / n, about="model", on="data/validation", n=n, interval=wilson(hits, n)
    )
    if made.old_before is not None and made.old_after is not None and lesson.old_validation is not None:
        context.say(
            t("old validation rows: accuracy {before:.4f} before, {after:.4f} after",
              before=made.old_before, after=made.old_after)
        )  # fmt: skip
        n = len(lesson.old_validation)
        hits = round(made.old_after * n)
        context.measure(
            "train.old_validation_accuracy", hits / n, about="model", on="old/validation", n=n, interval=wilson(hits, n)
        )


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model that goes on"),
        "data": Port("dataset", ("train", "validation"), description="new rows: labelled, or texts or chats"),
        "old": Port(
            "dataset",
            ("train", "validation"),
            optional=True,
            side=True,
            description="the data the model was trained on, for replay, elastic weights and the choice of weights",
        ),
    },
    outputs={"model": Port("model", description="the updated model, in the old one's form")},
    claims=(
        Claim("train.validation_accuracy", "share of validation rows answered rightly; validation chose the model, so "
              "it flatters", sizing="rate", any_split=True),
        Claim("train.old_validation_accuracy", "share of the old data's validation rows that the updated model answers "
              "rightly; flatters likewise", sizing="rate", any_split=True),
        Claim("train.validation_loss", "mean negative log-likelihood of validation's tokens; validation chose the "
              "step, so it flatters", "nats", better="lower", any_split=True),
        Claim("train.old_validation_loss", "the same of the old data's validation rows under the updated model",
              "nats", better="lower", any_split=True),
    ),
    libraries=(
        "torch",
        "transformers",
        "tokenizers",
        "peft",
        "accelerate",
        "numpy",
        "safetensors",
        "pyarrow",
        "pillow",
    ),
    loads=MODEL_CODE,
)  # fmt: skip
