"""Train a classifier that gives a text several labels, or none.

The label column holds a JSON list (`["a", "b"]`, `[]` for none) or names joined by `;`. Each label gets a score of its
own; it is given where the score reaches the label's threshold. Thresholds are chosen on validation for the label's F1,
or set, and are kept in the model. Networks from scratch or a pretrained encoder; a run that was killed goes on from its
last checkpoint and ends with the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.training.bases import fingerprint
from modelyard.methods.training.settings import ClassWeights
from modelyard.methods.training.text_tasks.settings import (
    LabelsLoss,
    LabelsStopping,
    Share,
    TextSize,
    TextTraining,
)

if TYPE_CHECKING:
    from modelyard.methods.training.text_tasks.labels import Trained


class Config(TextTraining):
    """Settings of train.multi_label."""

    size: TextSize = Field("cnn", description="What to train from scratch")
    threshold: Share | Literal["f1"] = Field(
        "f1", description="Score from which on a label is given; `f1`: chosen for each label on validation"
    )
    thresholds: dict[str, Share] = Field({}, description="Thresholds of single labels, instead: `{urgent: 0.2}`")
    class_weights: ClassWeights = Field(
        "none", description="`balanced`: rows that have a label weigh as much as those that have it not"
    )
    loss: LabelsLoss = Field(default_factory=LabelsLoss, description="What is minimised for each label of each row")
    early_stopping: LabelsStopping = Field(default_factory=LabelsStopping, description="When to stop")


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.training import carrying, saving
    from modelyard.methods.training.language import jobs
    from modelyard.methods.training.text_tasks import bodies, labels, texts

    data = Dataset.open(context.input("data"))
    (training, validation), notes = texts.read_splits(data, data.need("label"), labels.read)
    names = labels.names_of(training, validation)
    _known(config, names)
    for note in notes:
        context.say(note)
    context.say(
        t(
            "{labels} labels, {mean:.2f} on average on a training text",
            labels=len(names),
            mean=sum(map(len, training.values)) / len(training),
        )
    )
    job = bodies.job_of(config, config.size, config.early_stopping, context)
    found = labels.train(job, training, validation, names, config.loss, config.class_weights)
    rest = None if config.threshold == "f1" else config.threshold
    thresholds, unseen = labels.thresholds(found.scores, found.truth, names, config.thresholds, rest)
    if unseen:
        context.say(t("no validation text has {labels}: their threshold stays 0.5", labels=", ".join(unseen)))
    provenance = {
        "stage": "train.multi_label",
        "seed": context.seed,
        "rows": {"train": len(training), "validation": len(validation)},
        "base": jobs.base_name(config.base, context),
        "details": {"network": found.body.name, **found.details},
    }
    outputs = {
        "labels": {"type": "string", "shape": [-1], "thresholds": thresholds},
        "scores": {"type": "float32", "shape": [len(names)]},
    }
    saving.write_model(
        found.body.candidate(), context.output("model"), names, provenance, config.licence, validation.texts,
        "text-multi-label", outputs,
    )  # fmt: skip
    carrying.carry(data, context.output("model"), context.say)
    _measure(found, thresholds, context)


def _known(config: Config, names: list[str]) -> None:
    """Raise InputError for a threshold of a label that is not there."""
    from modelyard.base.messages import did_you_mean, t
    from modelyard.errors import InputError, Problem

    strange = [name for name in config.thresholds if name not in names]
    if strange:
        raise InputError.of(
            [
                Problem(f"thresholds.{name}", t("no label `{name}`", name=name), ", ".join(names),
                        did_you_mean(name, names))
                for name in strange
            ]
        )  # fmt: skip


def _measure(found: Trained, thresholds: list[float], context: Context) -> None:
    import numpy as np

    from modelyard.methods.training.text_tasks import intervals, labels

    answers = found.scores >= np.array(thresholds)
    count = len(found.truth)
    measured = labels.f1(answers, found.truth)
    low, high = intervals.bootstrap(
        lambda rows: list(labels.f1(answers[rows], found.truth[rows]).values()), count, context.seed
    )
    for place, (name, value) in enumerate(measured.items()):
        context.measure(
            f"train.validation_{name}",
            value,
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
        "data": Port("dataset", ("train", "validation"), description="texts with a list of labels each"),
        "base": Port("model", optional=True, side=True, description="an encoder to fine-tune"),
    },
    outputs={"model": Port("model", description="a model folder")},
    claims=(
        Claim(
            "train.validation_f1_micro",
            "F1 over all decisions on validation rows; validation chose the thresholds, so it flatters",
            any_split=True,
        ),
        Claim(
            "train.validation_f1_macro",
            "mean over labels of F1 on validation rows; validation chose the thresholds, so it flatters",
            any_split=True,
        ),
        Claim("train.parameters", "weights that were learned", "weights", better="lower", any_split=True),
    ),
    libraries=("torch", "transformers", "tokenizers", "numpy", "accelerate", "safetensors", "pyarrow"),
    loads=MODEL_CODE,
    external=("base",),
    fingerprint=fingerprint,
)
