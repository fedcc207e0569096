"""Train several tasks on one encoder at once: classes, several labels, numbers and spans of the same kind of text.

Each task has a column of its own; a row counts for every task whose column is not empty, so that data sets put together
by data.concatenate train one encoder. Batches are of one task each, as many as its rows make, or shared out by weights.
The result is one model: asked about a text, it answers `{task: answer}`. The encoder's weights are there once. A run
that was killed goes on from its last checkpoint and ends with the same bytes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.training.bases import fingerprint
from modelyard.methods.training.text_tasks.settings import ManyStopping, ManyTask, TextTraining

TaskName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Config(TextTraining):
    """Settings of train.multitask."""

    tasks: dict[TaskName, ManyTask] = Field(
        min_length=1, description="The tasks by name: `{mood: {task: text-classification, column: mood}}`"
    )
    size: Literal["encoder-tiny", "encoder-small"] = Field("encoder-tiny", description="What to train from scratch")
    early_stopping: ManyStopping = Field(default_factory=ManyStopping, description="When to stop")

    @model_validator(mode="after")
    def _all_or_none(self) -> Config:
        weights = [one.weight for one in self.tasks.values()]
        if None in weights and any(weights):
            raise ValueError("set the `weight` of every task, or of none")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.training import carrying
    from modelyard.methods.training.language import jobs
    from modelyard.methods.training.text_tasks import bodies, many, many_lessons, many_saving

    data = Dataset.open(context.input("data"))
    given = [many_lessons.read(data, name, one, context.say) for name, one in sorted(config.tasks.items())]
    weights = [one.settings.weight for one in given]
    shares = None if None in weights else [float(one or 0) for one in weights]
    job = bodies.job_of(config, config.size, config.early_stopping, context)
    found = many.train(job, given, shares)
    provenance = {
        "stage": "train.multitask",
        "seed": context.seed,
        "rows": {one.name: {"train": len(one.training), "validation": len(one.validation)} for one in given},
        "base": jobs.base_name(config.base, context),
        "details": {"network": found.body.name, **found.details},
    }
    golden = [text for texts in zip(*(one.validation.texts[:8] for one in given), strict=False) for text in texts]
    many_saving.write_model(found, context.output("model"), provenance, config.licence, golden)
    carrying.carry(data, context.output("model"), context.say)
    for one in given:
        context.measure(
            "train.validation_score",
            found.scores[one.name],
            about="model",
            on="data/validation",
            n=len(one.validation),
            interval=None,
            slice={"task": one.name},
        )
    context.measure(
        "train.parameters", found.body.num_parameters, about="model", on="", n=1, unit="weights", interval="exact"
    )


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port("dataset", ("train", "validation"), description="texts with a column for each task"),
        "base": Port("model", optional=True, side=True, description="an encoder to fine-tune"),
    },
    outputs={"model": Port("model", description="one model that answers every task")},
    claims=(
        Claim(
            "train.validation_score",
            "by task: accuracy, micro F1 with thresholds of 0.5, R² or F1 of whole spans on its validation rows, which "
            "chose the model; without an interval, so no rule accepts it",
            any_split=True,
        ),
        Claim("train.parameters", "weights that were learned", "weights", better="lower", any_split=True),
    ),
    libraries=("torch", "transformers", "tokenizers", "numpy", "accelerate", "safetensors", "pyarrow"),
    loads=MODEL_CODE,
    external=("base",),
    fingerprint=fingerprint,
)
