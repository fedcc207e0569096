"""Train on a table: classes or numbers from columns of numbers and categories.

`kind: boosted_trees` (LightGBM) is the default and hard to beat; `linear` is the plain thing to compare with;
`ft_transformer` is a network. How columns are read (which are numbers, what a category may be, what is missing) is
learned from train and shipped with the model. What is predicted is the column that data.read calls `label` (a class)
or `target` (a number). A run that was killed goes on from its last checkpoint and ends with the same bytes.

`fairness` minds groups of rows while it learns; the model does not read the columns that make them, unless told to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.data.settings import ColumnName
from modelyard.methods.training.fair.settings import Fairness
from modelyard.methods.training.settings import (
    Compute,
    EarlyStopping,
    Ema,
    Loss,
    Optimizer,
    Regularization,
    Schedule,
    check_snapshots,
)
from modelyard.methods.training.settings_tables import Linear, Transformer, Trees

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.training.fair.arranging import Fair
    from modelyard.methods.training.loop import Plan
    from modelyard.methods.training.tables.learned import Learned
    from modelyard.methods.training.tables.rows import Splits


Quantile = Annotated[float, Field(ge=0.001, le=0.999)]


class Config(BaseModel):
    """Settings of train.tabular."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["boosted_trees", "linear", "ft_transformer"] = Field(
        "boosted_trees", description="What to train; `linear` and `ft_transformer` are networks"
    )
    target: Literal["auto", "class", "number"] = Field(
        "auto", description="What is predicted; `auto`: a number if data.read says `target: <column>`, else a class"
    )
    columns: list[ColumnName] | None = Field(
        None, min_length=1, description="What to learn from; by default every column without another role"
    )
    leave_out: list[ColumnName] = Field([], description="Columns not to learn from")
    categories: list[ColumnName] = Field([], description="Columns of names that look like numbers (postcodes)")
    min_rows: int = Field(
        5, ge=1, le=1_000_000, description="A category's value counts if so many training rows have it"
    )
    licence: str = Field("unknown", min_length=1, max_length=100, description="SPDX expression for the model made")
    quantiles: tuple[Quantile, ...] = Field(
        (),
        max_length=20,
        description="Levels to learn beside the number (`[0.05, 0.95]`), for intervals that adapt: "
        "`calibrate.conformal` with `method: cqr`; not of `linear`",
    )
    trees: Trees = Field(default_factory=Trees, description="Boosted trees")
    linear: Linear = Field(default_factory=Linear, description="The linear model")
    transformer: Transformer = Field(default_factory=Transformer, description="The FT-Transformer")
    epochs: int | None = Field(None, ge=1, le=10_000, description="`ft_transformer`: passes over the rows at most")
    batch_size: int | None = Field(None, ge=1, le=65_536, description="`ft_transformer`: rows of one forward pass")
    optimizer: Optimizer = Field(
        default_factory=Optimizer, description="`ft_transformer`: how weights follow gradients"
    )
    schedule: Schedule = Field(default_factory=Schedule, description="`ft_transformer`: how the learning rate moves")
    regularization: Regularization = Field(
        default_factory=Regularization, description="`ft_transformer`: against overfitting"
    )
    loss: Loss = Field(default_factory=Loss, description="`ft_transformer`: what is minimised on each row of classes")
    ema: Ema = Field(default_factory=Ema, description="`ft_transformer`: average the weights over the steps")
    early_stopping: EarlyStopping = Field(
        default_factory=EarlyStopping, description="`ft_transformer`: when to stop; numbers are watched by their loss"
    )
    snapshots: int = Field(
        0,
        ge=0,
        le=100,
        description="`ft_transformer` with `schedule: {name: cycles}`: weights at the ends of the last so many cycles "
        "answer together",
    )
    fairness: Fairness | None = Field(None, description="Groups of rows between which the model is not to differ")
    compute: Compute = Field(default_factory=Compute, description="Where and how it is computed")

    @model_validator(mode="after")
    def _fits(self) -> Config:
        check_snapshots(self.snapshots, self.schedule)
        if self.snapshots and self.kind != "ft_transformer":
            raise ValueError("`snapshots` are of a network: `kind: ft_transformer`")
        if self.quantiles and self.kind == "linear":
            raise ValueError("`quantiles` are learned by `boosted_trees` and `ft_transformer`")
        if self.quantiles and self.snapshots:
            raise ValueError("`snapshots` answer together, which quantiles cannot: leave one of them out")
        if self.quantiles and self.fairness:
            raise ValueError("`quantiles` are of numbers, `fairness` is of classes")
        if any(one >= other for one, other in pairwise(self.quantiles)):
            raise ValueError("`quantiles` rise")
        if self.fairness is None:
            return self
        if (self.fairness.kind == "exponentiated_gradient") == (self.kind == "ft_transformer"):
            raise ValueError("`fairness`: `exponentiated_gradient` is for trees and `linear`, the others for networks")
        if self.snapshots:
            raise ValueError("`snapshots` and `fairness` do not go together")
        return self


def run(config: Config, context: Context) -> None:
    import torch

    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.training import choices
    from modelyard.methods.training.fair import groups
    from modelyard.methods.training.hooks import Hooks
    from modelyard.methods.training.tables import saving, work
    from modelyard.methods.training.tables.rows import read_splits

    hooks = Hooks(context.log, context.progress, context.say)
    data = Dataset.open(context.input("data"))
    unseen = groups.unseen(data, config.fairness, config.leave_out)
    splits = read_splits(data, config.target, config.columns, [*config.leave_out, *unseen])
    for note in splits.notes:
        context.say(note)
    fair = _fair(config, data, splits, unseen, context)
    settled = choices.settle(config.compute, context.scratch(), hooks, config.kind != "boosted_trees")
    settings = work.Settings(
        config.kind, frozenset(config.categories), config.min_rows, config.trees, config.linear, config.transformer,
        config.quantiles,
    )  # fmt: skip
    plan = _plan(config, settled.precision, settled.threads, context.seed)
    learned = work.train(splits, settings, plan, torch.device(settled.device), context.scratch(), hooks, fair)
    provenance = {
        "stage": "train.tabular",
        "kind": config.kind,
        "seed": context.seed,
        "rows": {"train": len(splits.training), "validation": len(splits.validation)},
        "details": dict(learned.details),
        "validation": work.scores(learned, splits.validation.targets, len(splits.labels)),
    }
    if config.snapshots:
        learned = _write_snapshots(config, learned, splits, provenance, context)
    else:
        features = splits.validation.features
        saving.write_model(learned, context.output("model"), splits.labels, provenance, config.licence, features)
    _measure(learned, splits, context)


def _fair(config: Config, data: Dataset, splits: Splits, unseen: Sequence[str], context: Context) -> Fair | None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.training.fair import arranging

    if config.fairness is None:
        return None
    if not splits.labels:
        raise InputError(
            t("`fairness` is for classes, and a number is predicted"), where="fairness", expected=t("labels")
        )
    if unseen:
        context.say(t("not learned from, for they make the groups: {names}", names=", ".join(unseen)))
    names = splits.training.names, splits.validation.names
    return arranging.opened(data, config.fairness, names, splits.labels, context.say)


def _write_snapshots(
    config: Config, learned: Learned, splits: Splits, provenance: Mapping[str, Any], context: Context
) -> Learned:
    """An ensemble of the last cycles' ends; what was trained, with the ensemble's answers in place of its own."""
    from modelyard.methods.training import snapshots
    from modelyard.methods.training.combining import cycles
    from modelyard.methods.training.tables import saving, transformer, work

    scratch, target, features = context.scratch(), context.output("model"), splits.validation.features
    paths = snapshots.paths(scratch / transformer.FOLDER, config.snapshots)

    def write(folder: Path) -> None:
        transformer.put_back(learned.module, learned.unit)
        saving.write_model(learned, folder, splits.labels, provenance, config.licence, features)

    assert learned.module is not None
    cycles.write_model(write, learned.module, paths, scratch, target, provenance, config.licence)
    together = replace(learned, outputs=cycles.outputs(target, saving.all_records(learned, features)))
    scores = [work.scores(one, splits.validation.targets, len(splits.labels)) for one in (together, learned)]
    name = "accuracy" if splits.labels else "r2"
    context.say(cycles.line(len(paths), name, scores[0][name], scores[1][name]))
    return together


def _plan(config: Config, precision: str, threads: int, seed: int) -> Plan:
    from modelyard.methods.training import optimizers
    from modelyard.methods.training.loop import Plan
    from modelyard.methods.training.tables import transformer

    return Plan(
        epochs=config.epochs or transformer.EPOCHS,
        batch_size=config.batch_size or transformer.BATCH_SIZE,
        learning_rate=optimizers.default_rate(config.optimizer, transformer.LEARNING_RATE),
        seed=seed,
        precision=precision,
        threads=threads,
        checkpoint_seconds=config.compute.checkpoint_seconds,
        compile=config.compute.compile,
        checkpoint_activations=config.compute.checkpoint_activations,
        keep=config.compute.keep,
        ema=config.ema,
        loss=config.loss,
        optimizer=config.optimizer,
        schedule=config.schedule,
        regularization=config.regularization,
        early_stopping=config.early_stopping.patient() if config.snapshots else config.early_stopping,
        snapshots=config.snapshots > 0,
    )


def _measure(learned: Learned, splits: Splits, context: Context) -> None:
    from modelyard.methods.statistics.wilson import wilson
    from modelyard.methods.training.tables import work

    targets, count = splits.validation.targets, len(splits.validation)
    found = work.scores(learned, targets, len(splits.labels))
    if splits.labels:
        hits = round(found["accuracy"] * count)
        context.measure(
            "train.validation_accuracy",
            hits / count,
            about="model",
            on="data/validation",
            n=count,
            interval=wilson(hits, count),
        )
    else:
        intervals = work.number_intervals(learned.outputs[:, 0], targets, context.seed)
        for name in ("r2", "rmse"):
            context.measure(
                f"train.validation_{name}",
                found[name],
                about="model",
                on="data/validation",
                n=count,
                interval=intervals[name],
            )
    context.measure(
        "train.parameters", learned.num_parameters, about="model", on="", n=1, unit="weights", interval="exact"
    )


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("train", "validation"), description="a table with a label or a target")},
    outputs={"model": Port("model", description="a model folder")},
    claims=(
        Claim(
            "train.validation_accuracy",
            "share of validation rows answered rightly; validation chose the model, so it flatters",
            sizing="rate",
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
    libraries=(
        "torch",
        "lightgbm",
        "numpy",
        "scipy",
        "scikit-learn",
        "fairlearn",
        "accelerate",
        "safetensors",
        "pyarrow",
    ),
    loads=MODEL_CODE,
)
