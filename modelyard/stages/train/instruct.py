"""Teach a language model to answer: instruction tuning on chats, loss on the answers alone.

A row is a chat (`messages`: JSON of turns in OpenAI's form or ShareGPT's) or `instruction`, `input` and `output`. It is
written out by the tokenizer's chat template; one without gets ChatML. Several chats share a line and do not see each
other. Chats longer than `context` are cut at their end (`too_long`), and it is said how many. All weights are trained,
or an adapter beside them, which is merged when it is done. Rows that cannot be read are counted and left out.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.base.canonical import Json
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.data.settings import ColumnName
from modelyard.methods.training.language.settings import Adapter, Generation, TooLong
from modelyard.methods.training.settings import Compute, Ema, Optimizer, Schedule
from modelyard.methods.training.settings_parallel import Parallel

BATCH_TOKENS = 4096
"""Of one forward pass, if nothing is said."""
EPOCHS = 3.0


class Config(BaseModel):
    """Settings of train.instruct."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="a Hugging Face folder (relative to the project) or a hub id; by default the nearest model above",
    )
    messages: ColumnName | None = Field(None, description="column of chats; by default `messages` or `conversations`")
    instruction: ColumnName | None = Field(None, description="column of questions; by default `instruction`")
    input: ColumnName | None = Field(None, description="column of what a question is about; by default `input`")
    output: ColumnName | None = Field(None, description="column of answers; by default `output`")
    system: ColumnName | None = Field(None, description="column of system messages; by default `system`")
    context: int | None = Field(
        None, ge=8, le=1_048_576, description="Tokens of a line; by default the model's, at most 1,024 (tokens)"
    )
    too_long: TooLong = Field("cut", description="Chats of more tokens are cut at their end, or left out")
    batch_size: int | None = Field(
        None, ge=1, le=65_536, description="Lines of one forward pass; by default as many as make 4,096 tokens (lines)"
    )
    accumulation: int = Field(1, ge=1, le=4096, description="Forward passes a step: acts as one batch so much larger")
    epochs: float | None = Field(
        None, gt=0, le=10_000, description="Passes over the training chats at most; by default 3 (epochs)"
    )
    max_steps: int | None = Field(None, ge=1, le=100_000_000, description="Steps of the optimizer at most (steps)")
    evaluate_every: int | None = Field(
        None, ge=1, le=100_000_000, description="Steps between looks at validation; by default ten looks (steps)"
    )
    patience: int = Field(
        0, ge=0, le=1000, description="Looks without a lower validation loss before it stops; 0 never stops"
    )
    adapter: Adapter | None = Field(None, description="Learn low-rank changes beside frozen weights")
    adapter_start: str | None = Field(
        None, min_length=1, max_length=1000, description="Folder of an adapter of the same base to go on from"
    )
    optimizer: Optimizer = Field(default_factory=Optimizer, description="How weights follow gradients")
    schedule: Schedule = Field(default_factory=Schedule, description="How the learning rate moves")
    ema: Ema = Field(default_factory=Ema, description="Average the weights over the steps")
    generation: Generation = Field(default_factory=Generation, description="How the model writes by default")
    weights: Literal["fp32", "bf16"] = Field("fp32", description="Number format of the weights as stored")
    licence: str = Field("unknown", min_length=1, max_length=100, description="SPDX expression for the model made")
    compute: Compute = Field(default_factory=Compute, description="Where and how it is computed")
    parallel: Parallel = Field(default_factory=Parallel, description="How work is cut over the profile's processes")

    @model_validator(mode="after")
    def _start_is_of_an_adapter(self) -> Config:
        if self.adapter_start is not None and self.adapter is None:
            raise ValueError("adapter_start goes on from an adapter: say what it is like under `adapter`")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.training import carrying
    from modelyard.methods.training.language import chats, fitting, instruction, jobs, models, rows, saving

    job = jobs.begin(config.compute, context)
    data = Dataset.open(context.input("data"))
    columns = rows.InstructionColumns(config.messages, config.instruction, config.input, config.output, config.system)
    read = {split: rows.chats(data, split, columns, job.hooks) for split in ("train", "validation")}
    folder = jobs.needed_base(config.base, context)
    model, tokenizer = models.open_base(folder)
    marks = chats.learn_to_chat(model, tokenizer)
    length = models.context_of(model, config.context)
    jobs.say_size(job, model, tokenizer)
    made = {
        split: instruction.documents(found, tokenizer, length, config.too_long, split, job.hooks)
        for split, found in read.items()
    }
    settings = fitting.Settings(
        context=length,
        batch_size=jobs.batch_size(config.batch_size, length, BATCH_TOKENS),
        usual_epochs=EPOCHS,
        learning=replace(jobs.learning(config), parallel=config.parallel),
        adapter=jobs.beside(config.adapter, folder, context, marks, config.adapter_start),
    )
    trained = fitting.fit(model, made["train"], made["validation"], settings, job)
    provenance = {
        "stage": "train.instruct",
        "seed": context.seed,
        "rows": {split: len(found) for split, found in read.items()},
        "base": jobs.base_name(config.base, context),
        "adapter": None if config.adapter is None else config.adapter.model_dump(mode="json"),
        "details": dict(trained.details),
        "validation": dict(trained.metrics),
    }
    saving.write_model(
        trained.model, tokenizer, context.output("model"), length, config.generation, provenance, config.licence,
        instruction.golden(read["validation"]), config.weights,
    )  # fmt: skip
    carrying.carry(data, context.output("model"), context.say, rows.asked(data, config.instruction, config.messages))
    jobs.measure(context, trained)


def fingerprint(config: Config, base: Path) -> Json:
    """Digest of every file of the base and of the adapter that are named."""
    from modelyard.methods.training import pretrained

    named = [one for one in (config.base, config.adapter_start) if one is not None]
    return [pretrained.fingerprint(one, base) for one in named]


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port("dataset", ("train", "validation"), description="chats, or instructions and answers"),
        "base": Port("model", optional=True, description="the language model to teach"),
    },
    outputs={"model": Port("model", description="a Hugging Face folder with a chat template")},
    claims=(
        Claim("train.validation_loss", "mean negative log-likelihood of the tokens of validation's answers; "
              "validation chose the step, so it flatters", "nats", better="lower", any_split=True),
        Claim("train.parameters", "weights of the model", "weights", better="lower", any_split=True),
    ),
    libraries=("torch", "transformers", "tokenizers", "peft", "numpy", "accelerate", "safetensors", "pyarrow"),
    loads=MODEL_CODE,
    external=("base", "adapter_start"),
    fingerprint=fingerprint,
    parallel="parallel",
)  # fmt: skip
