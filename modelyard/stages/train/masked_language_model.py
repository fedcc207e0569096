"""Train an encoder by filling masks: from fresh weights, or going on from a base on texts of a domain.

A share of the words of each text is hidden, others in every epoch, and told from what stands around them. Chinese words
are learned from the training texts, so that their characters are hidden together. Texts longer than `context` go on in
other pieces; several pieces share a line without seeing each other where the family allows it. The model is a Hugging
Face folder, a `base` for train.text_classification and other stages: name it as their input, and pretraining on texts
without labels and learning from few labels are one project. A run that was killed goes on from its last checkpoint and
ends with the same bytes.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.training.bases import SCRATCH, fingerprint
from modelyard.methods.training.encoders.settings import Architecture, EncoderTokens, Masking
from modelyard.methods.training.language.settings import Adapter
from modelyard.methods.training.settings import Compute, Ema, Optimizer, Schedule

CONTEXT = 128
"""Tokens of a piece, if nothing is said."""
BATCH_TOKENS = 4096
"""Of one forward pass, if nothing is said."""


class Config(BaseModel):
    """Settings of train.masked_language_model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field(
        SCRATCH,
        min_length=1,
        max_length=1000,
        description="`scratch`; a Hugging Face folder (relative to the project); or a hub id. It goes before the port "
        "`base`",
    )
    model: Architecture = Field(default_factory=Architecture, description="The network from fresh weights")
    tokenizer: EncoderTokens = Field(
        default_factory=EncoderTokens, description="Its tokenizer, learned from the training texts"
    )
    masking: Masking = Field(default_factory=Masking, description="What is hidden")
    context: int | None = Field(
        None,
        ge=8,
        le=8192,
        description="Tokens of a piece of text, at most the base's positions; by default 128 (tokens)",
    )
    batch_size: int | None = Field(
        None, ge=1, le=65_536, description="Lines of one forward pass; by default as many as make 4,096 tokens (lines)"
    )
    accumulation: int = Field(1, ge=1, le=4096, description="Forward passes a step: acts as one batch so much larger")
    epochs: float | None = Field(
        None,
        gt=0,
        le=10_000,
        description="Passes over the training texts at most; by default 20, with a base 3 (epochs)",
    )
    max_steps: int | None = Field(None, ge=1, le=100_000_000, description="Steps of the optimizer at most (steps)")
    evaluate_every: int | None = Field(
        None, ge=1, le=100_000_000, description="Steps between looks at validation; by default ten looks (steps)"
    )
    patience: int = Field(
        0, ge=0, le=1000, description="Looks without a lower validation loss before it stops; 0 never stops"
    )
    adapter: Adapter | None = Field(None, description="With a base: learn low-rank changes beside its frozen weights")
    optimizer: Optimizer = Field(default_factory=Optimizer, description="How weights follow gradients")
    schedule: Schedule = Field(default_factory=Schedule, description="How the learning rate moves")
    ema: Ema = Field(default_factory=Ema, description="Average the weights over the steps")
    licence: str = Field("unknown", min_length=1, max_length=100, description="SPDX expression for the model made")
    compute: Compute = Field(default_factory=Compute, description="Where and how it is computed")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.tasks import fill_mask
    from modelyard.methods.training import carrying
    from modelyard.methods.training.encoders import filling, models, saving
    from modelyard.methods.training.language import jobs, texts

    job = jobs.begin(config.compute, context)
    data = Dataset.open(context.input("data"))
    column = data.need("text")
    found = jobs.base_folder(config.base, context)
    jobs.check_adapter(config.adapter, found)
    wanted = config.context or CONTEXT
    if found is None:
        tokenizer = models.learn_tokenizer(config.tokenizer, data, [column], wanted)
        shape = models.configuration(config.model, tokenizer, wanted)
        model = models.fresh(shape, filling.KIND, job.seed, job.threads)
    else:
        model, tokenizer = filling.open_base(found, job)
    length = models.length_of(model, wanted)
    if length < wanted:
        context.say(filling.shorter(length, wanted))
    jobs.say_size(job, model, tokenizer)
    settings = filling.Settings(
        context=length,
        batch_size=jobs.batch_size(config.batch_size, length, BATCH_TOKENS),
        masking=config.masking,
        is_fresh=found is None,
        learning=jobs.learning(config),
        adapter=jobs.beside(config.adapter, found, context),
    )
    trained = filling.fit(model, tokenizer, data, column, settings, job)
    provenance = {
        "stage": "train.masked_language_model",
        "seed": context.seed,
        "rows": {split: data.num_rows(split) for split in ("train", "validation")},
        "base": jobs.base_name(config.base, context),
        "masking": config.masking.model_dump(mode="json"),
        "details": dict(trained.details),
        "validation": dict(trained.metrics),
    }
    golden = filling.golden(texts.texts_of(data, "validation", column), length)
    saving.write_model(
        trained.model, tokenizer, context.output("model"), fill_mask.NAME, length, provenance, config.licence, golden,
        {"candidates": {"type": "string", "shape": [-1]}},
    )  # fmt: skip
    carrying.carry(data, context.output("model"), context.say)
    jobs.measure(context, trained)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port("dataset", ("train", "validation"), description="texts; labels are not looked at"),
        "base": Port("model", optional=True, side=True, description="an encoder to go on from"),
    },
    outputs={"model": Port("model", description="a Hugging Face folder that fills masks")},
    claims=(
        Claim("train.validation_loss", "mean negative log-likelihood of the tokens hidden in validation, the same ones "
              "at every look; validation chose the step, so it flatters", "nats", better="lower", any_split=True),
        Claim("train.parameters", "weights of the model", "weights", better="lower", any_split=True),
    ),
    libraries=("torch", "transformers", "tokenizers", "peft", "numpy", "accelerate", "safetensors", "pyarrow"),
    loads=MODEL_CODE,
    external=("base",),
    fingerprint=fingerprint,
)  # fmt: skip
