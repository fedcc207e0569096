"""`train.update` of a language model: settings and ports to a lesson, a training, a folder and its evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.runtimes.generation import Defaults
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.text import travelling
from modelyard.methods.training import carrying
from modelyard.methods.training.continual.language import reading, updating
from modelyard.methods.training.continual.updating import Keeping
from modelyard.methods.training.language import fitting, jobs, models, saving
from modelyard.methods.training.language.learning import Learning
from modelyard.methods.training.language.settings import Adapter, Generation
from modelyard.methods.training.settings import Compute, EarlyStopping, Ema, Optimizer, Schedule

BATCH_TOKENS = 4096
"""Of one forward pass, if nothing is said."""
OF_CLASSIFIERS = ("class_weights", "loss", "regularization")
"""Settings that a language model has no use for."""


class Going(Protocol):
    """The settings of `train.update` that are read here; see its Config."""

    @property
    def model_fields_set(self) -> set[str]: ...
    @property
    def adapter(self) -> Adapter | None: ...
    @property
    def context(self) -> int | None: ...
    @property
    def max_steps(self) -> int | None: ...
    @property
    def epochs(self) -> int | None: ...
    @property
    def batch_size(self) -> Any: ...
    @property
    def accumulation(self) -> int: ...
    @property
    def optimizer(self) -> Optimizer: ...
    @property
    def schedule(self) -> Schedule: ...
    @property
    def ema(self) -> Ema: ...
    @property
    def early_stopping(self) -> EarlyStopping: ...
    @property
    def compute(self) -> Compute: ...
    @property
    def licence(self) -> str | None: ...


def run(
    config: Going, context: Any, card: ModelCard, data: Dataset, old: Dataset | None, share: float, keeping: Keeping
) -> None:
    """Go on with the model of the port `model`, and measure.

    Raises InputError for settings that do not fit a language model or each other.
    """
    _refuse(config, keeping)
    job = jobs.begin(config.compute, context)
    folder = Path(context.input("model"))
    model, tokenizer = models.open_base(folder)
    length = models.context_of(model, config.context)
    lesson = reading.read(tokenizer, length, data, old, share, context.seed, job.scratch / "tokens", job.hooks)
    _tell(context, lesson, keeping)
    writing = _writing(model)
    batch_size, accumulation = config.batch_size, config.accumulation
    if batch_size == "auto":
        # All lines of a step at once; the loop cuts them where memory runs out.
        batch_size, accumulation = jobs.batch_size(None, length, BATCH_TOKENS) * accumulation, 1
    settings = fitting.Settings(
        context=length,
        batch_size=jobs.batch_size(batch_size, length, BATCH_TOKENS),
        learning=Learning(
            epochs=config.epochs, max_steps=config.max_steps, accumulation=accumulation,
            patience=config.early_stopping.patience, optimizer=config.optimizer, schedule=config.schedule,
            ema=config.ema,
        ),
        adapter=jobs.beside(config.adapter, folder, context),
    )  # fmt: skip
    made = updating.update(model, lesson, keeping, settings, job)
    before = card.provenance
    provenance = {
        "stage": "train.update",
        "seed": context.seed,
        "updated_from": manifest(folder).digest,
        "updates": int(before.get("updates", 0)) + 1,
        "base": before.get("base", "scratch"),
        "rows": {"train": lesson.num_new, "validation": data.num_rows("validation")},
        "details": dict(made.details),
    }
    licence = config.licence or card.licence
    saving.write_model(
        made.model, tokenizer, context.output("model"), int(card.preprocessing.get("max_length", length)), writing,
        provenance, licence, lesson.golden, "bf16" if card.precision == "bf16" else "fp32",
    )  # fmt: skip
    if card.repairs:
        carrying.write(travelling.parse(card.repairs, "model.json"), context.output("model"))
    if carrying.unlike(card, data):
        context.say(
            t("the model repairs what it is asked, and the new rows were not repaired so: `data.clean` them first")
        )
    _measure(context, made)


def _refuse(config: Going, keeping: Keeping) -> None:
    named = [name for name in OF_CLASSIFIERS if name in config.model_fields_set]
    stops = config.early_stopping
    if "metric" in stops.model_fields_set and stops.metric != "loss":
        named.append("early_stopping.metric")
    if named:
        raise InputError(
            t("`{name}` is a setting of classifiers; the model writes", name=named[0]),
            where=named[0],
            expected=t("it left out"),
        )
    if keeping.elastic.strength and config.adapter is not None and config.adapter.kind == "dora":
        raise InputError(
            t("elastic weights cannot hold what DoRA changes: it rescales whole columns"),
            where="ewc",
            expected=t("`adapter: {kind: lora}`, or all weights"),
        )


def _writing(model: Any) -> Generation:
    """How the old model writes: the new one does likewise."""
    usual = Defaults.of(model.generation_config)
    return Generation(max_new_tokens=usual.max_new_tokens, temperature=usual.temperature, top_p=usual.top_p)


def _tell(context: Any, lesson: reading.Lesson, keeping: Keeping) -> None:
    context.say(
        t("{new:,} new rows, {replayed:,} old ones learned again", new=lesson.num_new, replayed=lesson.num_replayed)
    )
    if keeping.distillation:
        context.say(
            t("the old model teaches with weight {weight:g} at temperature {temperature:g}",
              weight=keeping.distillation, temperature=keeping.temperature)
        )  # fmt: skip
    if not (lesson.num_replayed or keeping.distillation or keeping.elastic.strength):
        context.say(t("nothing is done against forgetting: no replay, no distillation, no elastic weights"))


def _measure(context: Any, made: updating.Updated) -> None:
    found = [("train.validation_loss", "data/validation", made.new)]
    if made.old_after is not None and made.old_before is not None:
        found.append(("train.old_validation_loss", "old/validation", made.old_after))
        context.say(
            t("old validation rows: {before:.4f} nats a token before, {after:.4f} after",
              before=made.old_before.loss, after=made.old_after.loss)
        )  # fmt: skip
    for claim, on, one in found:
        context.measure(claim, one.loss, about="model", on=on, n=one.num_targets, unit="nats", interval=one.interval)
