"""Train a recommender: from who had what, what somebody will rate or click.

A row is a user, an item, whatever else is known of the two or of the moment, and what came of it: a number (`target`
in data.read: a rating) or a class (`label`: clicked or not). `kind: auto` trains a factorisation machine, wide & deep
and DCN V2 and keeps the one of the least validation loss. A share of the training rows hides its user or its item, so
that the model has an answer for strangers. The model answers records as those of train.tabular do; `modelyard
recommend` ranks items with it. A run that was killed goes on from its last checkpoint and ends with the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.data.settings import ColumnName
from modelyard.methods.training.recommender.settings import Crosses, Deep, Embedding
from modelyard.methods.training.settings import Compute, EarlyStopping, Ema, Loss, Optimizer, Regularization, Schedule

if TYPE_CHECKING:
    from modelyard.methods.training.plan import Plan
    from modelyard.methods.training.tables.learned import Learned
    from modelyard.methods.training.tables.rows import Splits


class Config(BaseModel):
    """Settings of train.recommender."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["auto", "factorization", "wide_deep", "dcn"] = Field(
        "auto", description="What to train; `auto`: all three, validation chooses"
    )
    user: ColumnName = Field("user", description="Column of who rates or clicks")
    item: ColumnName = Field("item", description="Column of what is rated or clicked")
    target: Literal["auto", "class", "number"] = Field(
        "auto", description="What is predicted; `auto`: a number if data.read says `target: <column>`, else a class"
    )
    columns: list[ColumnName] | None = Field(
        None,
        description="What to learn from besides user and item; by default every column without another role",
    )
    leave_out: list[ColumnName] = Field([], description="Columns not to learn from")
    categories: list[ColumnName] = Field([], description="Further columns of names that look like numbers (postcodes)")
    min_rows: int = Field(
        5, ge=1, le=1_000_000, description="A further category's value counts if so many training rows have it"
    )
    licence: str = Field("unknown", min_length=1, max_length=100, description="SPDX expression for the model made")
    embedding: Embedding = Field(default_factory=Embedding, description="What stands for users, items, categories")
    crosses: Crosses = Field(default_factory=Crosses, description="`dcn`: its crosses")
    deep: Deep = Field(default_factory=Deep, description="`wide_deep`, `dcn`: hidden layers")
    epochs: int | None = Field(None, ge=1, le=10_000, description="Passes over the rows at most; by default the kind's")
    batch_size: int | None = Field(None, ge=1, le=65_536, description="Rows of one step; by default the kind's")
    optimizer: Optimizer = Field(
        default_factory=lambda: Optimizer(weight_decay=0.0), description="How weights follow gradients"
    )
    schedule: Schedule = Field(default_factory=Schedule, description="How the learning rate moves")
    regularization: Regularization = Field(default_factory=Regularization, description="Against overfitting")
    loss: Loss = Field(default_factory=Loss, description="What is minimised on each row of classes")
    ema: Ema = Field(default_factory=Ema, description="Average the weights over the steps")
    early_stopping: EarlyStopping = Field(
        default_factory=lambda: EarlyStopping(metric="loss"),
        description="When to stop; numbers are watched by their loss",
    )
    compute: Compute = Field(default_factory=Compute, description="Where and how it is computed")


def run(config: Config, context: Context) -> None:
    import torch

    from modelyard.base.messages import t
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.training import choices
    from modelyard.methods.training.hooks import Hooks
    from modelyard.methods.training.recommender import columns, saving, work
    from modelyard.methods.training.tables.rows import read_splits

    hooks = Hooks(context.log, context.progress, context.say)
    data = columns.as_features(Dataset.open(context.input("data")), config.user, config.item)
    chosen = None if config.columns is None else [config.user, config.item, *config.columns]
    splits = read_splits(data, config.target, chosen, config.leave_out)
    for note in splits.notes:
        context.say(note)
    settled = choices.settle(config.compute, context.scratch(), hooks)
    kinds = work.KINDS if config.kind == "auto" else (config.kind,)
    plan = _plan(config, settled.precision, settled.threads, context.seed)
    device = torch.device(settled.device)
    learned, tried = work.train(splits, kinds, _settings(config), plan, device, context.scratch(), hooks)
    catalogue = saving.write_model(
        learned, context.output("model"), splits, _provenance(splits, learned, tried, context.seed), config.licence
    )
    own = [name for name in catalogue.items[0] if name != config.item]
    if own:
        context.say(t("known of each item: {columns}", columns=", ".join(own)))
    _measure(learned, splits, context)


def _settings(config: Config) -> Any:
    from modelyard.methods.training.recommender import work

    same = ("user", "item", "min_rows", "embedding", "crosses", "deep", "epochs", "batch_size")
    return work.Settings(categories=frozenset(config.categories), **{name: getattr(config, name) for name in same})


def _plan(config: Config, precision: str, threads: int, seed: int) -> Plan:
    from modelyard.methods.training.plan import Plan

    compute = config.compute
    blocks = ("ema", "loss", "optimizer", "schedule", "regularization", "early_stopping")
    of_compute = ("checkpoint_seconds", "compile", "checkpoint_activations", "keep")
    return Plan(
        epochs=1,
        batch_size=1,
        learning_rate=1.0,
        seed=seed,
        precision=precision,
        threads=threads,
        **{name: getattr(config, name) for name in blocks},
        **{name: getattr(compute, name) for name in of_compute},
    )


def _provenance(splits: Splits, learned: Learned, tried: list[Learned], seed: int) -> dict[str, Any]:
    from modelyard.methods.training.recommender import work

    num_labels = len(splits.labels)
    return {
        "stage": "train.recommender",
        "kind": learned.kind,
        "seed": seed,
        "rows": {"train": len(splits.training), "validation": len(splits.validation)},
        "details": dict(learned.details),
        "tried": [
            {"kind": one.kind, "weights": one.num_parameters, **work.scores(one, splits.validation.targets, num_labels)}
            for one in tried
        ],
    }


def _measure(learned: Learned, splits: Splits, context: Context) -> None:
    from modelyard.methods.statistics.wilson import wilson
    from modelyard.methods.training.recommender import work
    from modelyard.methods.training.tables.work import number_intervals

    targets, count = splits.validation.targets, len(splits.validation)
    found = work.scores(learned, targets, len(splits.labels))

    def measure(claim: str, value: float, interval: tuple[float, float]) -> None:
        context.measure(
            f"train.validation_{claim}", value, about="model", on="data/validation", n=count, interval=interval
        )

    if splits.labels:
        hits = round(found["accuracy"] * count)
        measure("accuracy", hits / count, wilson(hits, count))
    if len(splits.labels) == 2:
        interval = work.auc_interval(learned.outputs[:, 1], targets == 1, context.seed)
        measure("auc", found["auc"], interval)
    if not splits.labels:
        intervals = number_intervals(learned.outputs[:, 0], targets, context.seed)
        for name in ("r2", "rmse"):
            measure(name, found[name], intervals[name])
    context.measure(
        "train.parameters", learned.num_parameters, about="model", on="", n=1, unit="weights", interval="exact"
    )


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("train", "validation"), description="users, items and what came of them")},
    outputs={"model": Port("model", description="a model folder")},
    claims=(
        Claim(
            "train.validation_accuracy",
            "share of validation rows answered rightly; validation chose the model, so it flatters",
            sizing="rate",
            any_split=True,
        ),
        Claim(
            "train.validation_auc",
            "share of pairs of validation rows, one of each class, that are in the right order; validation chose",
            any_split=True,
        ),
        Claim(
            "train.validation_r2",
            "share of the variance of the validation targets that is explained; validation chose the model",
            any_split=True,
        ),
        Claim(
            "train.validation_rmse",
            "root of the mean squared error on validation, in the target's unit; validation chose the model",
            better="lower",
            any_split=True,
        ),
        Claim("train.parameters", "weights that were learned", "weights", better="lower", any_split=True),
    ),
    libraries=("torch", "numpy", "scipy", "accelerate", "safetensors", "pyarrow"),
    loads=MODEL_CODE,
)
