"""Train a sentence encoder: texts of like meaning get vectors of like direction.

Each row has a text and another (`text_b`) that belongs to it, or a score of how alike they are (the label or target).
Without scores the encoder learns to find, of all other texts of a batch, the one that belongs (contrastive, with
`negative` a column of texts that do not); with scores to order the pairs as they do (CoSENT), or to meet them (cosine).
The model is a Hugging Face folder with the parts that sentence-transformers reads. A run that was killed goes on from
its last checkpoint and ends with the same bytes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.training.bases import SCRATCH, fingerprint
from modelyard.methods.training.encoders.settings import Architecture, EncoderTokens, Pooling
from modelyard.methods.training.settings import Compute, Ema, Optimizer, Schedule


class Config(BaseModel):
    """Settings of train.sentence_embedding."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field(
        SCRATCH,
        min_length=1,
        max_length=1000,
        description="`scratch`; a Hugging Face folder (relative to the project); or a hub id. It goes before the port "
        "`base`",
    )
    other: str = Field("text_b", min_length=1, max_length=1000, description="column of the other text of each pair")
    negative: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="`contrastive`: column of texts that do not belong to the first",
    )
    objective: Literal["auto", "contrastive", "cosent", "cosine"] = Field(
        "auto", description="What is minimised; `auto`: cosent where there are scores, else contrastive"
    )
    temperature: float = Field(
        0.05, gt=0, le=10, description="contrastive, cosent: what cosines are divided by; less looks closer"
    )
    pooling: Pooling = Field("mean", description="A text's vector: the mean over its tokens, or the first token's")
    lengths: tuple[Annotated[int, Field(ge=1, le=16_384)], ...] = Field(
        (), max_length=20, description="Shorter vectors to learn as well: the first so many numbers (numbers)"
    )
    model: Architecture = Field(default_factory=Architecture, description="The network from fresh weights")
    tokenizer: EncoderTokens = Field(
        default_factory=EncoderTokens, description="Its tokenizer, learned from the training texts"
    )
    max_length: int = Field(128, ge=8, le=8192, description="Tokens of a text that are read; the rest is cut off")
    batch_size: int = Field(
        64, ge=2, le=65_536, description="Pairs of one forward pass; `contrastive` tells each from the others (pairs)"
    )
    accumulation: int = Field(
        1, ge=1, le=4096, description="Forward passes a step; pairs are told apart inside each, not across them"
    )
    epochs: float | None = Field(
        None, gt=0, le=10_000, description="Passes over the training pairs at most; by default 5 (epochs)"
    )
    max_steps: int | None = Field(None, ge=1, le=100_000_000, description="Steps of the optimizer at most (steps)")
    evaluate_every: int | None = Field(
        None, ge=1, le=100_000_000, description="Steps between looks at validation; by default ten looks (steps)"
    )
    patience: int = Field(
        0, ge=0, le=1000, description="Looks without a lower validation loss before it stops; 0 never stops"
    )
    optimizer: Optimizer = Field(default_factory=Optimizer, description="How weights follow gradients")
    schedule: Schedule = Field(default_factory=Schedule, description="How the learning rate moves")
    ema: Ema = Field(default_factory=Ema, description="Average the weights over the steps")
    licence: str = Field("unknown", min_length=1, max_length=100, description="SPDX expression for the model made")
    compute: Compute = Field(default_factory=Compute, description="Where and how it is computed")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.training import carrying
    from modelyard.methods.training.encoders import embedding, models, pairs
    from modelyard.methods.training.language import jobs

    job = jobs.begin(config.compute, context)
    data = Dataset.open(context.input("data"))
    columns = pairs.columns_of(data, config.other, config.negative)
    found = {split: pairs.read(data, split, columns, job.hooks) for split in ("train", "validation")}
    folder = jobs.base_folder(config.base, context)
    if folder is None:
        tokenizer = models.learn_tokenizer(config.tokenizer, data, [columns.text, columns.other], config.max_length)
        shape = models.configuration(config.model, tokenizer, config.max_length)
        model = models.fresh(shape, embedding.KIND, job.seed, job.threads)
    else:
        model, tokenizer = embedding.open_base(folder, job)
    jobs.say_size(job, model, tokenizer)
    settings = embedding.Settings(
        max_length=models.length_of(model, config.max_length),
        batch_size=config.batch_size,
        objective=config.objective,
        temperature=config.temperature,
        lengths=config.lengths,
        pooling=config.pooling,
        is_fresh=folder is None,
        learning=jobs.learning(config),
    )
    trained = embedding.fit(model, tokenizer, found, settings, job)
    provenance = {
        "stage": "train.sentence_embedding",
        "seed": context.seed,
        "rows": {split: len(some) for split, some in found.items()},
        "base": jobs.base_name(config.base, context),
        "details": dict(trained.details),
        "validation": dict(trained.metrics),
    }
    embedding.write(
        trained.model, tokenizer, context.output("model"), settings, provenance, config.licence,
        found["validation"].sides[0],
    )  # fmt: skip
    carrying.carry(data, context.output("model"), context.say)
    embedding.measure(context, trained)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port("dataset", ("train", "validation"), description="pairs of texts, with or without a score"),
        "base": Port("model", optional=True, side=True, description="an encoder to go on from"),
    },
    outputs={"model": Port("model", description="a Hugging Face folder that answers vectors")},
    claims=(
        Claim("train.validation_spearman", "rank correlation of cosines and scores on validation, whose loss chose the "
              "step", any_split=True),
        Claim("train.validation_auc", "share of validation's pairs of a like and an unlike pair that the cosines order "
              "rightly", any_split=True),
        Claim("train.validation_nearest", "share of validation's texts whose own other text is the nearest of at most "
              "1,000", sizing="rate", any_split=True),
        Claim("train.parameters", "weights of the model", "weights", better="lower", any_split=True),
    ),
    libraries=("torch", "transformers", "tokenizers", "numpy", "scipy", "accelerate", "safetensors", "pyarrow"),
    loads=MODEL_CODE,
    external=("base",),
    fingerprint=fingerprint,
)  # fmt: skip
