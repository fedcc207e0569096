"""Train a network that gives a text a number: a rating, a price, a degree.

The number is the column that data.read calls `target`. Targets are standardised with the mean and the deviation of
train alone; the model answers in the target's own unit. Networks from scratch or a pretrained encoder; a run that was
killed goes on from its last checkpoint and ends with the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.training.bases import fingerprint
from modelyard.methods.training.text_tasks.settings import NumberLoss, NumberStopping, TextSize, TextTraining

if TYPE_CHECKING:
    from modelyard.methods.training.text_tasks.numbers import Trained


class Config(TextTraining):
    """Settings of train.text_regression."""

    size: TextSize = Field("cnn", description="What to train from scratch")
    loss: NumberLoss = Field(default_factory=NumberLoss, description="What is minimised of each row's error")
    early_stopping: NumberStopping = Field(default_factory=NumberStopping, description="When to stop")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.training import carrying, saving
    from modelyard.methods.training.language import jobs
    from modelyard.methods.training.text_tasks import bodies, numbers, texts

    data = Dataset.open(context.input("data"))
    (training, validation), notes = texts.read_splits(data, data.need("label"), numbers.read)
    for note in notes:
        context.say(note)
    job = bodies.job_of(config, config.size, config.early_stopping, context)
    found = numbers.train(job, training, validation, config.loss)
    provenance = {
        "stage": "train.text_regression",
        "seed": context.seed,
        "rows": {"train": len(training), "validation": len(validation)},
        "base": jobs.base_name(config.base, context),
        "details": {"network": found.body.name, **found.details},
    }
    saving.write_model(
        found.body.candidate(), context.output("model"), [], provenance, config.licence, validation.texts,
        "text-regression", {"value": {"type": "float32", "shape": []}},
    )  # fmt: skip
    carrying.carry(data, context.output("model"), context.say)
    _measure(found, context)


def _measure(found: Trained, context: Context) -> None:
    from modelyard.methods.training import fixed
    from modelyard.methods.training.text_tasks import intervals

    count = len(found.values)
    names = ("r2", "rmse")
    measured = fixed.number_scores(found.answers, found.values)
    low, high = intervals.bootstrap(
        lambda rows: [fixed.number_scores(found.answers[rows], found.values[rows])[name] for name in names],
        count,
        context.seed,
    )
    for place, name in enumerate(names):
        context.measure(
            f"train.validation_{name}",
            measured[name],
            about="model",
            on="data/validation",
            n=count,
            interval=(float(low[place]), float(high[place])),
        )
    context.measure(
        "train.parameters", found.body.num_parameters, about="model", on="", n=1, unit="weights", interval="exact"
    )


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port("dataset", ("train", "validation"), description="texts with a number each"),
        "base": Port("model", optional=True, side=True, description="an encoder to fine-tune"),
    },
    outputs={"model": Port("model", description="a model folder")},
    claims=(
        Claim(
            "train.validation_r2",
            "share of the variance of validation rows that is explained; validation chose the model, so it flatters",
            any_split=True,
        ),
        Claim(
            "train.validation_rmse",
            "root of the mean squared error on validation rows, in the target's unit",
            better="lower",
            any_split=True,
        ),
        Claim("train.parameters", "weights that were learned", "weights", better="lower", any_split=True),
    ),
    libraries=("torch", "transformers", "tokenizers", "numpy", "accelerate", "safetensors", "pyarrow"),
    loads=MODEL_CODE,
    external=("base",),
    fingerprint=fingerprint,
)
