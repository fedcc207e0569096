"""Train an encoder with a decoder to make one text of another: from fresh weights, or from a base (T5, BART).

Each row has a text and its answer. The answer's tokens are learned one after the other, each from the text and the true
tokens before it. Without a base, a tokenizer is learned from texts and answers of train that gives every letter back.
The model answers greedily, or follows several beginnings at once (`beams`). It is a Hugging Face folder. A run that was
killed goes on from its last checkpoint and ends with the same bytes.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.training.bases import SCRATCH, fingerprint
from modelyard.methods.training.encoders.settings import Rewriter
from modelyard.methods.training.language.settings import Tokens
from modelyard.methods.training.settings import Compute, Ema, Optimizer, Schedule


class Config(BaseModel):
    """Settings of train.text_to_text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field(
        SCRATCH,
        min_length=1,
        max_length=1000,
        description="`scratch`; a Hugging Face folder (relative to the project); or a hub id. It goes before the port "
        "`base`",
    )
    answer: str = Field("answer", min_length=1, max_length=1000, description="column of the texts to be made")
    model: Rewriter = Field(default_factory=Rewriter, description="The network from fresh weights")
    tokenizer: Tokens = Field(default_factory=Tokens, description="Its tokenizer, learned from texts and answers")
    max_length: int = Field(256, ge=4, le=8192, description="Tokens of a text that are read (tokens)")
    max_answer: int = Field(
        128, ge=2, le=8192, description="Tokens of an answer that are learned, and written (tokens)"
    )
    beams: int = Field(1, ge=1, le=64, description="Beginnings followed at once when it answers; 1 is greedy")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the target spread over all tokens")
    batch_size: int = Field(32, ge=1, le=65_536, description="Rows of one forward pass (rows)")
    accumulation: int = Field(1, ge=1, le=4096, description="Forward passes a step: acts as one batch so much larger")
    epochs: float | None = Field(
        None,
        gt=0,
        le=10_000,
        description="Passes over the training rows at most; by default 10, with a base 3 (epochs)",
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
    from modelyard.methods.statistics.wilson import wilson
    from modelyard.methods.training import carrying
    from modelyard.methods.training.encoders import models, rewriting, sequences
    from modelyard.methods.training.language import fitting, jobs

    job = jobs.begin(config.compute, context)
    data = Dataset.open(context.input("data"))
    rows = {split: sequences.read(data, split, config.answer, job.hooks) for split in ("train", "validation")}
    folder = jobs.base_folder(config.base, context)
    if folder is None:
        columns = [data.need("text"), config.answer]
        tokenizer = rewriting.learn_tokenizer(config.tokenizer, data, columns, config.max_length)
        positions = max(config.max_length, config.max_answer) + 1
        shape = rewriting.configuration(config.model, tokenizer, positions)
        model = models.fresh(shape, rewriting.KIND, job.seed, job.threads)
    else:
        model, tokenizer = rewriting.open_base(folder, job)
    jobs.say_size(job, model, tokenizer)
    settings = rewriting.Settings(
        max_length=models.length_of(model, config.max_length),
        max_answer=models.length_of(model, config.max_answer),
        batch_size=config.batch_size,
        beams=config.beams,
        smoothing=config.label_smoothing,
        is_fresh=folder is None,
        learning=jobs.learning(config),
    )
    encoded = {
        split: rewriting.encode(some, model, tokenizer, settings, split, job.hooks) for split, some in rows.items()
    }
    trained = rewriting.fit(model, encoded, settings, job)
    provenance = {
        "stage": "train.text_to_text",
        "seed": context.seed,
        "rows": {split: len(some) for split, some in rows.items()},
        "base": jobs.base_name(config.base, context),
        "details": dict(trained.details),
        "validation": {"loss": trained.loss},
    }
    made = context.output("model")
    rewriting.write(trained.model, tokenizer, made, settings, provenance, config.licence, rows["validation"].texts)
    carrying.carry(data, made, context.say)
    context.measure(
        "train.validation_loss", trained.loss, about="model", on="data/validation", n=trained.num_targets, unit="nats",
        interval=trained.interval,
    )  # fmt: skip
    hits, asked = rewriting.exact(made, rows["validation"], job.threads)
    context.measure(
        "train.validation_exact", hits / asked, about="model", on="data/validation", n=asked,
        interval=wilson(hits, asked),
    )  # fmt: skip
    size = fitting.num_weights(trained.model)
    context.measure("train.parameters", size, about="model", on="", n=1, unit="weights", interval="exact")


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port("dataset", ("train", "validation"), description="texts and their answers"),
        "base": Port("model", optional=True, side=True, description="an encoder with a decoder to go on from"),
    },
    outputs={"model": Port("model", description="a Hugging Face folder that makes one text of another")},
    claims=(
        Claim("train.validation_loss", "mean negative log-likelihood of the tokens of validation's answers; "
              "validation chose the step, so it flatters", "nats", better="lower", any_split=True),
        Claim("train.validation_exact", "share of validation's answers (at most 500) given letter by letter",
              sizing="rate", any_split=True),
        Claim("train.parameters", "weights of the model", "weights", better="lower", any_split=True),
    ),
    libraries=("torch", "transformers", "tokenizers", "numpy", "accelerate", "safetensors", "pyarrow"),
    loads=MODEL_CODE,
    external=("base",),
    fingerprint=fingerprint,
)  # fmt: skip
