"""Settings that the stages of text tasks share: pydantic only, so that a stage's file stays light."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.methods.data.settings import ColumnName
from modelyard.methods.training.settings import (
    Compute,
    Ema,
    Freeze,
    Initialization,
    Optimizer,
    Reading,
    Regularization,
    Schedule,
    Stopping,
)

SCRATCH = "scratch"
Share = Annotated[float, Field(ge=0, le=1)]
TextSize = Literal["cnn", "encoder-tiny", "encoder-small"]
TaggerSize = Literal["tagger", "encoder-tiny", "encoder-small"]


class TextTraining(BaseModel):
    """How any network over texts is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field(
        SCRATCH,
        min_length=1,
        max_length=1000,
        description="`scratch`; a Hugging Face folder (relative to the project); or a hub id: `name`, `name@revision`, "
        "`modelscope:owner/name`. It goes before the port `base`",
    )
    freeze: Freeze = Field("nothing", description="With a base: the part that keeps its weights")
    epochs: int | None = Field(None, ge=1, le=10_000, description="Passes over the training rows at most (epochs)")
    batch_size: Annotated[int, Field(ge=1, le=65_536)] | Literal["auto"] | None = Field(
        None,
        description="Rows of one forward pass (rows); `auto`: those of a whole step, halved where memory runs out",
    )
    accumulation: int = Field(1, ge=1, le=4096, description="Forward passes a step: acts as one batch so much larger")
    licence: str = Field("unknown", min_length=1, max_length=100, description="SPDX expression for the model made")
    reading: Reading = Field(default_factory=Reading, description="How texts become tokens")
    initialization: Initialization = Field(
        default_factory=Initialization, description="How weights begin (networks from scratch)"
    )
    optimizer: Optimizer = Field(default_factory=Optimizer, description="How weights follow gradients")
    schedule: Schedule = Field(default_factory=Schedule, description="How the learning rate moves")
    regularization: Regularization = Field(default_factory=Regularization, description="Against overfitting")
    ema: Ema = Field(default_factory=Ema, description="Average the weights over the steps")
    compute: Compute = Field(default_factory=Compute, description="Where and how it is computed")


class LabelsLoss(BaseModel):
    """What is minimised for each label of each row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["binary_cross_entropy", "focal"] = Field(
        "binary_cross_entropy", description="`focal` lets labels that are answered well count less"
    )
    gamma: float = Field(2.0, ge=0, le=20, description="`focal`: power of 1 - p; 0 is cross-entropy")


class LabelsStopping(Stopping):
    """When to stop before all epochs are done. The best evaluation's weights are kept either way."""

    metric: Literal["f1_micro", "f1_macro", "loss"] = Field(
        "f1_micro", description="What is watched on validation; F1 with thresholds of 0.5"
    )


class NumberLoss(BaseModel):
    """What is minimised of the error of each row, in standard deviations of the training targets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["squared", "absolute", "huber"] = Field(
        "squared", description="`absolute` and `huber` mind rows far off less"
    )
    delta: float = Field(
        1.0, gt=0, le=100, description="`huber`: where the square becomes a line (standard deviations)"
    )


class NumberStopping(Stopping):
    """When to stop before all epochs are done. The best evaluation's weights are kept either way."""

    metric: Literal["loss", "r2"] = Field("loss", description="What is watched on validation")


class SpansStopping(Stopping):
    """When to stop before all epochs are done. The best evaluation's weights are kept either way."""

    metric: Literal["f1", "loss"] = Field(
        "f1", description="What is watched on validation: F1 of whole spans, or the loss of their tags"
    )


class ManyTask(BaseModel):
    """One of several tasks on one encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Literal["text-classification", "text-multi-label", "text-regression", "token-classification"] = Field(
        description="What is learned from the column"
    )
    column: ColumnName = Field(description="Column of what is learned; rows where it is empty are not this task's")
    weight: float | None = Field(
        None, gt=0, le=1e6, description="Share of the batches, beside the others; by default as many as its rows make"
    )


class ManyStopping(Stopping):
    """When to stop before all epochs are done. The best evaluation's weights are kept either way."""

    metric: Literal["score", "loss"] = Field(
        "score", description="What is watched on validation: the mean of the tasks' own scores, or of their losses"
    )
    patience: int = Field(
        5, ge=0, le=1000, description="Evaluations without a better one before stopping; 0 never stops"
    )
