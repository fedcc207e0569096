"""Teach a language model what people prefer: direct preference optimization on pairs of answers.

A row has a question (`prompt`, or a chat), the answer that was preferred (`chosen`) and the one that was not
(`rejected`). The model learns to raise the first against the second, measured from the model as it began, whose
likelihoods are computed once. `label_smoothing` says how many preferences may be the wrong way round. Begin with a
model of train.instruct: answers that are far from what the model would say teach it little.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.canonical import Json
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.data.settings import ColumnName
from modelyard.methods.training.language.settings import Adapter, Generation, TooLong
from modelyard.methods.training.settings import Compute, Ema, Optimizer, Schedule

GOLDEN = 8


class Config(BaseModel):
    """Settings of train.preference."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="a Hugging Face folder (relative to the project) or a hub id; by default the nearest model above",
    )
    prompt: ColumnName | None = Field(None, description="column of questions or chats; by default `prompt`")
    chosen: ColumnName | None = Field(None, description="column of preferred answers; by default `chosen`")
    rejected: ColumnName | None = Field(None, description="column of rejected answers; by default `rejected`")
    beta: float = Field(0.1, gt=0, le=100, description="How dear it is to move away from the model as it began")
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="Share of preferences taken to be the wrong way round (conservative DPO)"
    )
    context: int | None = Field(
        None, ge=8, le=1_048_576, description="Tokens that are read; by default the model's, at most 1,024 (tokens)"
    )
    too_long: TooLong = Field("cut", description="Pairs of more tokens are cut at their end, or left out")
    batch_size: int = Field(8, ge=1, le=65_536, description="Pairs of one forward pass (pairs)")
    accumulation: int = Field(1, ge=1, le=4096, description="Forward passes a step: acts as one batch so much larger")
    epochs: float | None = Field(
        None, gt=0, le=10_000, description="Passes over the training pairs at most; by default 1 (epochs)"
    )
    max_steps: int | None = Field(None, ge=1, le=100_000_000, description="Steps of the optimizer at most (steps)")
    evaluate_every: int | None = Field(
        None, ge=1, le=100_000_000, description="Steps between looks at validation; by default ten looks (steps)"
    )
    patience: int = Field(
        0, ge=0, le=1000, description="Looks without a lower validation loss before it stops; 0 never stops"
    )
    adapter: Adapter | None = Field(None, description="Learn low-rank changes beside frozen weights")
    optimizer: Optimizer = Field(default_factory=Optimizer, description="How weights follow gradients")
    schedule: Schedule = Field(default_factory=Schedule, description="How the learning rate moves")
    ema: Ema = Field(default_factory=Ema, description="Average the weights over the steps")
    generation: Generation = Field(default_factory=Generation, description="How the model writes by default")
    weights: Literal["fp32", "bf16"] = Field("fp32", description="Number format of the weights as stored")
    licence: str = Field("unknown", min_length=1, max_length=100, description="SPDX expression for the model made")
    compute: Compute = Field(default_factory=Compute, description="Where and how it is computed")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.statistics.wilson import wilson
    from modelyard.methods.training import carrying
    from modelyard.methods.training.language import fitting, jobs, models, preference, rows, saving

    job = jobs.begin(config.compute, context)
    data = Dataset.open(context.input("data"))
    read = {
        split: rows.pairs(data, split, config.prompt, config.chosen, config.rejected, job.hooks)
        for split in ("train", "validation")
    }
    folder = jobs.needed_base(config.base, context)
    model, tokenizer = models.open_base(folder)
    length = models.context_of(model, config.context)
    jobs.say_size(job, model, tokenizer)
    training, validation = (
        preference.encode(found, tokenizer, length, config.too_long, split, job.hooks) for split, found in read.items()
    )
    settings = preference.Settings(
        batch_size=config.batch_size,
        beta=config.beta,
        smoothing=config.label_smoothing,
        learning=jobs.learning(config),
        adapter=jobs.beside(config.adapter, folder, context),
    )
    trained = preference.train(model, training, validation, settings, job)
    provenance = {
        "stage": "train.preference",
        "seed": context.seed,
        "rows": {split: len(found) for split, found in read.items()},
        "base": jobs.base_name(config.base, context),
        "adapter": None if config.adapter is None else config.adapter.model_dump(mode="json"),
        "details": dict(trained.details),
        "validation": dict(trained.metrics),
    }
    saving.write_model(
        trained.model, tokenizer, context.output("model"), length, config.generation, provenance, config.licence,
        saving.questions([pair.prompt for pair in read["validation"][:GOLDEN]], tokenizer), config.weights,
    )  # fmt: skip
    carrying.carry(data, context.output("model"), context.say, rows.asked(data, config.prompt))
    hits, num = trained.hits, trained.num_pairs
    context.measure(
        "train.validation_reward_accuracy", hits / num, about="model", on="data/validation", n=num,
        interval=wilson(hits, num),
    )  # fmt: skip
    context.measure(
        "train.parameters", fitting.num_weights(trained.model), about="model", on="", n=1, unit="weights",
        interval="exact",
    )  # fmt: skip


def fingerprint(config: Config, base: Path) -> Json:
    """Digest of every file of the base, if one is named."""
    from modelyard.methods.training import pretrained

    return None if config.base is None else pretrained.fingerprint(config.base, base)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port("dataset", ("train", "validation"), description="questions with a chosen and a rejected answer"),
        "base": Port("model", optional=True, description="the language model to teach"),
    },
    outputs={"model": Port("model", description="a Hugging Face folder")},
    claims=(
        Claim("train.validation_reward_accuracy", "share of validation pairs whose preferred answer gained more "
              "likelihood than the other; validation chose the step, so it flatters", sizing="rate", any_split=True),
        Claim("train.parameters", "weights of the model", "weights", better="lower", any_split=True),
    ),
    libraries=("torch", "transformers", "tokenizers", "peft", "numpy", "accelerate", "safetensors", "pyarrow"),
    loads=MODEL_CODE,
    external=("base",),
    fingerprint=fingerprint,
)  # fmt: skip
