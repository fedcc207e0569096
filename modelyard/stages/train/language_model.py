"""Train a language model on texts: from fresh weights, or going on from a base on texts of a domain.

Each text is a document; several share a line of `context` tokens, and neither attention nor positions cross from one to
the next. Long documents go on in other lines: every token but a document's first is learned once an epoch. Without
`epochs`, `max_steps` or `max_tokens`, fresh weights read 20 tokens each, at most 4 epochs, and a base one epoch. The
model is a Hugging Face folder. A run that was killed goes on from its last checkpoint and ends with the same bytes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.training.bases import SCRATCH, fingerprint
from modelyard.methods.training.language.settings import Adapter, Architecture, Generation, Tokens
from modelyard.methods.training.settings import Compute, Ema, Optimizer, Schedule
from modelyard.methods.training.settings_parallel import Parallel

CONTEXT = 256
"""Tokens of a line for fresh weights."""
BATCH_TOKENS = 8192
"""Of one forward pass, if nothing is said."""


class Config(BaseModel):
    """Settings of train.language_model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field(
        SCRATCH,
        min_length=1,
        max_length=1000,
        description="`scratch`; a Hugging Face folder (relative to the project); or a hub id. It goes before the port "
        "`base`",
    )
    model: Architecture = Field(default_factory=Architecture, description="The network from fresh weights")
    tokenizer: Tokens = Field(default_factory=Tokens, description="Its tokenizer, learned from the training texts")
    context: int | None = Field(
        None, ge=8, le=1_048_576, description="Tokens of a line; by default 256, with a base at most 1,024 (tokens)"
    )
    batch_size: int | None = Field(
        None, ge=1, le=65_536, description="Lines of one forward pass; by default as many as make 8,192 tokens (lines)"
    )
    accumulation: int = Field(1, ge=1, le=4096, description="Forward passes a step: acts as one batch so much larger")
    epochs: float | None = Field(None, gt=0, le=10_000, description="Passes over the training texts at most (epochs)")
    max_steps: int | None = Field(None, ge=1, le=100_000_000, description="Steps of the optimizer at most (steps)")
    max_tokens: int | None = Field(None, ge=1, le=10**15, description="Tokens to learn from in all at most (tokens)")
    evaluate_every: int | None = Field(
        None, ge=1, le=100_000_000, description="Steps between looks at validation; by default ten looks (steps)"
    )
    patience: int = Field(
        0, ge=0, le=1000, description="Looks without a lower validation loss before it stops; 0 never stops"
    )
    optimizer: Optimizer = Field(
        default_factory=lambda: Optimizer(weight_decay=0.1, beta2=0.95),
        description="How weights follow gradients; if not given, AdamW with weight_decay 0.1 and beta2 0.95",
    )
    schedule: Schedule = Field(default_factory=Schedule, description="How the learning rate moves")
    ema: Ema = Field(default_factory=Ema, description="Average the weights over the steps")
    adapter: Adapter | None = Field(None, description="With a base: learn low-rank changes beside its frozen weights")
    generation: Generation = Field(default_factory=Generation, description="How the model writes by default")
    weights: Literal["fp32", "bf16"] = Field("fp32", description="Number format of the weights as stored")
    licence: str = Field("unknown", min_length=1, max_length=100, description="SPDX expression for the model made")
    compute: Compute = Field(default_factory=Compute, description="Where and how it is computed")
    parallel: Parallel = Field(default_factory=Parallel, description="How work is cut over the profile's processes")


def run(config: Config, context: Context) -> None:
    import itertools

    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.training import carrying
    from modelyard.methods.training.language import fitting, jobs, models, saving, texts

    job = jobs.begin(config.compute, context)
    data = Dataset.open(context.input("data"))
    column = data.need("text")
    found = jobs.base_folder(config.base, context)
    jobs.check_adapter(config.adapter, found)
    if found is None:
        length = config.context or CONTEXT
        tokenizer = texts.learn(config.tokenizer, data, column, length)
        model = models.fresh(models.configuration(config.model, tokenizer, length), job.seed, job.threads)
    else:
        model, tokenizer = models.open_base(found)
        length = models.context_of(model, config.context)
    settings = fitting.Settings(
        context=length,
        batch_size=jobs.batch_size(config.batch_size, length, BATCH_TOKENS),
        usual_epochs=None if found is None else 1.0,
        tokens=config.max_tokens,
        learning=replace(jobs.learning(config), parallel=config.parallel),
        adapter=jobs.beside(config.adapter, found, context),
    )
    documents = [
        texts.documents(data, split, column, tokenizer, job.scratch / "tokens") for split in ("train", "validation")
    ]
    jobs.say_size(job, model, tokenizer)
    if config.adapter is None:
        jobs.say_cost(job, model, length)
    trained = fitting.fit(model, documents[0], documents[1], settings, job, texts.num_bytes(data, "validation", column))
    provenance = {
        "stage": "train.language_model",
        "seed": context.seed,
        "rows": {split: data.num_rows(split) for split in ("train", "validation")},
        "base": jobs.base_name(config.base, context),
        "details": dict(trained.details),
        "validation": dict(trained.metrics),
    }
    golden = itertools.islice(texts.texts_of(data, "validation", column), 8)
    saving.write_model(
        trained.model, tokenizer, context.output("model"), length, config.generation, provenance, config.licence,
        saving.prompts(list(golden)), config.weights,
    )  # fmt: skip
    carrying.carry(data, context.output("model"), context.say)
    jobs.measure(context, trained)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port("dataset", ("train", "validation"), description="texts"),
        "base": Port("model", optional=True, side=True, description="a language model to go on from"),
    },
    outputs={"model": Port("model", description="a Hugging Face folder")},
    claims=(
        Claim("train.validation_loss", "mean negative log-likelihood of validation's tokens; validation chose the "
              "step, so it flatters", "nats", better="lower", any_split=True),
        Claim("train.validation_bits_per_byte", "bits that validation's tokens need, over the bytes of its texts",
              "bits", better="lower", any_split=True),
        Claim("train.parameters", "weights of the model", "weights", better="lower", any_split=True),
    ),
    libraries=("torch", "transformers", "tokenizers", "peft", "numpy", "accelerate", "safetensors", "pyarrow"),
    loads=MODEL_CODE,
    external=("base",),
    fingerprint=fingerprint,
    parallel="parallel",
)  # fmt: skip
