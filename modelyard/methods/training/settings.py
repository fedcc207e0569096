"""The blocks of settings that training shares, apart from what they set: a stage's Config is read at every start of
the command line, and must not bring torch along.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Metric = Literal["accuracy", "f1_macro", "loss"]
ClassWeights = Literal["none", "balanced"]
PrecisionName = Literal["auto", "fp32", "bf16", "fp16", "fp8"]
CompileName = Literal["auto", "on", "off"]
DeviceName = Literal["auto", "cpu", "cuda", "npu", "mps"]
Size = Literal["auto", "linear", "cnn", "encoder-tiny", "encoder-small", "blend"]
Freeze = Literal["nothing", "embeddings", "encoder"]


class Optimizer(BaseModel):
    """How weights follow gradients."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["adamw", "sgd", "adafactor", "lion", "muon"] = Field(
        "adamw", description="The rule; `muon` takes the matrices between embeddings and head, AdamW the rest"
    )
    learning_rate: float | None = Field(
        None, gt=0, le=10, description="Peak step size; by default the network's own (printed)"
    )
    weight_decay: float = Field(
        0.01, ge=0, le=10, description="Decay a step, times the learning rate; decoupled, but SGD adds it to g"
    )
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW, Lion: decay of the mean of gradients")
    beta2: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="AdamW: decay of the mean of squared gradients (0.999); Lion: of the momentum (0.99)",
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD: Nesterov momentum")
    muon_momentum: float = Field(0.95, ge=0, lt=1, description="Muon: Nesterov momentum of the matrices")
    matrix_scale: float = Field(
        1.0, gt=0, le=1000, description="Muon: what the learning rate is multiplied by for the matrices"
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="What the learning rate is multiplied by for each layer further from the head"
    )
    unfreeze: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of all steps over which layers join the training, from the head down; 0: none wait",
    )
    clip: float = Field(1.0, ge=0, le=1e6, description="Longest gradient, as its 2-norm; 0 does not clip")


class Schedule(BaseModel):
    """How the learning rate moves: up during warmup, then down by the named rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["constant", "linear", "cosine", "step", "exponential", "wsd", "cycles"] = Field(
        "linear",
        description="The rule after warmup; `wsd` stays at the peak and decays at the end; `cycles` is cosine again "
        "and again from the peak",
    )
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of all steps over which the rate rises linearly from 0")
    floor: float = Field(0.0, ge=0, le=1, description="Lowest factor of linear, cosine, wsd and cycles")
    decay: float = Field(0.2, gt=0, le=1, description="`wsd`: share of all steps over which the rate falls, at the end")
    decay_shape: Literal["linear", "sqrt"] = Field(
        "sqrt", description="`wsd`: falls as 1 - x or as 1 - √x, x the share of the decay that is done"
    )
    drops: int = Field(3, ge=1, le=100, description="`step`: how many times the rate is cut, evenly spaced")
    factor: float = Field(
        0.1, gt=0, lt=1, description="`step`: what each drop multiplies by; `exponential`: the factor at the end"
    )
    cycles: int = Field(5, ge=1, le=100, description="`cycles`: how many times the rate falls from the peak")
    growth: float = Field(1.0, ge=1, le=10, description="`cycles`: length of a cycle over that of the one before")


def check_snapshots(snapshots: int, schedule: Schedule) -> None:
    """Raises ValueError if there are no cycles at whose ends to take them."""
    if snapshots and schedule.name != "cycles":
        raise ValueError("`snapshots` are taken at the ends of cycles: `schedule: {name: cycles}`")


class Initialization(BaseModel):
    """How the weights of a network that is trained from scratch begin. Biases begin at 0 except with `default`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["default", "normal", "xavier", "kaiming", "orthogonal"] = Field(
        "default", description="The rule for matrices and filters; `default` is the network's own"
    )
    std: float = Field(
        0.02,
        gt=0,
        le=10,
        description="Standard deviation of `normal`, and of embeddings under every rule but `default`",
    )


class Loss(BaseModel):
    """What is minimised on each row, before weights of rows and classes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["cross_entropy", "focal"] = Field(
        "cross_entropy", description="`focal` lets rows that are answered well count less"
    )
    gamma: float = Field(2.0, ge=0, le=20, description="`focal`: power of 1 - p; 0 is cross-entropy")


class Regularization(BaseModel):
    """What keeps a network from learning its training rows by heart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dropout: float | None = Field(
        None, ge=0, lt=1, description="Share of activations dropped in training; by default the network's own"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the target spread over all classes")
    l1: float = Field(0.0, ge=0, le=1, description="Weight of the sum of absolute values of all weight matrices")
    l2: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Weight of half the sum of squares of all weight matrices: in the loss, unlike `weight_decay`",
    )


class Ema(BaseModel):
    """A moving average of the weights, evaluated and saved in their place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decay: float = Field(0.0, ge=0, lt=1, description="Share of the average that each step keeps; 0: no average")
    start: Literal["bias", "warmup", "none"] = Field(
        "bias",
        description="How first weights fade: `bias` divides them out, `warmup` raises the decay, `none` lets them be",
    )
    tail: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of all steps, at the end, whose weights are averaged equally (SWA), instead of by `decay`",
    )

    @model_validator(mode="after")
    def _one(self) -> Ema:
        if self.decay and self.tail:
            raise ValueError("one of `decay` and `tail`, not both")
        return self


class Stopping(BaseModel):
    """When to stop before all epochs are done. The best evaluation's weights are kept either way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str = Field("loss", description="What is watched on validation")
    patience: int = Field(
        3, ge=0, le=1000, description="Evaluations without a better one before stopping; 0 never stops"
    )
    min_delta: float = Field(0.0, ge=0, le=1, description="How much better is better")

    def patient(self) -> Self:
        """The same, never stopping: every cycle of a schedule has to come to its end."""
        return self.model_copy(update={"patience": 0})


class EarlyStopping(Stopping):
    """When to stop before all epochs are done. The best evaluation's weights are kept either way."""

    metric: Metric = Field("accuracy", description="What is watched on validation")


class LinearSettings(BaseModel):
    """The linear model on n-grams."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strengths: tuple[float, ...] = Field(
        (0.1, 0.3, 1.0, 3.0),
        min_length=1,
        max_length=20,
        description="Inverse strengths of the L2 penalty to try (liblinear's C); validation chooses",
    )
    naive_bayes: bool = Field(False, description="Weight features by naive-Bayes log-count ratios (NBSVM)")
    min_rows: int = Field(2, ge=1, le=1000, description="An n-gram counts if it is in at least so many training rows")
    max_features: int = Field(
        300_000, ge=1000, le=10_000_000, description="N-grams kept at most, the most frequent ones"
    )


class Reading(BaseModel):
    """How texts become tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_length: int = Field(256, ge=8, le=8192, description="Tokens of a text that are read; the rest is cut off")
    vocabulary_size: int = Field(
        8000, ge=300, le=200_000, description="Tokens of a tokenizer learned from the training rows (bytes included)"
    )


class Keeping(BaseModel):
    """Which checkpoints of a run are kept while it lasts, and how they are written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    newest: int = Field(2, ge=2, le=1000, description="The newest ones: a damaged one falls back on the one before")
    every: int | None = Field(
        None, ge=1, le=10**9, description="Besides, the first one of every so many optimizer steps; by default none"
    )
    background: bool = Field(True, description="Write them while training goes on")


class Compute(BaseModel):
    """Where and how it is computed. The last bits of a result depend on it: it is in the model's record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: DeviceName = Field("auto", description="`auto`: an accelerator if there is one, else the CPU")
    precision: PrecisionName = Field("auto", description="`auto`: bf16 where the hardware computes it, else fp32")
    threads: int | None = Field(None, ge=1, le=1024, description="CPU threads; by default all cores of the process")
    compile: CompileName = Field(
        "auto", description="Compiled graphs; `auto` measures at the start whether they pay, and says so"
    )
    checkpoint_activations: bool = Field(
        False,
        description="Compute layers again on the way back instead of keeping them: less memory, a third more work",
    )
    checkpoint_seconds: float = Field(30, ge=0, le=86_400, description="Seconds between checkpoints inside an epoch")
    keep: Keeping = Field(default_factory=Keeping, description="Which checkpoints are kept")
