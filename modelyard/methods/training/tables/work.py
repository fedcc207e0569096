"""From rows of a table to a trained model: the columns are learned, then the chosen kind of model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.preprocessing import table_fitting
from modelyard.methods.preprocessing.table import Table
from modelyard.methods.training import evaluation, fixed, loop
from modelyard.methods.training.fair.arranging import Fair
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.settings_tables import Linear, Transformer, Trees
from modelyard.methods.training.tables import boosted, fairly, linear, transformer
from modelyard.methods.training.tables.learned import Learned
from modelyard.methods.training.tables.rows import Splits

Kind = Literal["boosted_trees", "linear", "ft_transformer"]
SCALING: Mapping[Kind, table_fitting.Scaling] = {
    "boosted_trees": "none",
    "linear": "standard",
    "ft_transformer": "quantile",
}
RESAMPLES = 1000


@dataclass(frozen=True)
class Settings:
    """What a user may choose; see the stage's Config for the words. `plan` is of the FT-Transformer."""

    kind: Kind = "boosted_trees"
    categories: frozenset[str] = frozenset()
    min_rows: int = 5
    trees: Trees = field(default_factory=Trees)
    linear: Linear = field(default_factory=Linear)
    transformer: Transformer = field(default_factory=Transformer)
    quantiles: tuple[float, ...] = ()


def train(
    splits: Splits,
    settings: Settings,
    plan: loop.Plan,
    device: torch.device,
    scratch: Path,
    hooks: Hooks,
    fair: Fair | None = None,
) -> Learned:
    """Learn the columns from train, then the model; validation stops and chooses.

    Args:
        fair: groups to mind; their kind of fairness must be one of the kind of model.

    Raises:
        InputError: no column is left to learn from.
        StageError: the loss is no longer a number.
    """
    training, validation = splits.training, splits.validation
    names = training.features.column_names
    scaling = SCALING[settings.kind]
    fitted = table_fitting.fit(training.features, names, scaling, settings.categories, settings.min_rows)
    for note in fitted.notes:
        hooks.say(note)
    if not fitted.table.columns:
        raise InputError(t("no column is left to learn from"), where="data/train", expected=t("columns that differ"))
    matrices = [table_fitting.encode(fitted.table, rows.features) for rows in (training, validation)]
    _tell(fitted.table, matrices, hooks)
    arrays = [fitted.table.arrays(matrix) for matrix in matrices]
    num_labels = len(splits.labels)
    if settings.quantiles and num_labels:
        raise InputError(t("`quantiles` are of a number, and classes are learned here"), where="quantiles",
                         remedy=t("leave `quantiles` out, or read the data with `target: <column>`"))  # fmt: skip
    targets = (training.targets, validation.targets)
    if settings.kind == "linear":
        plain = linear.train(
            fitted.table, arrays[0], arrays[1], targets, training.weights, num_labels, settings.linear.strengths, hooks
        )
        return plain if fair is None else fairly.linear_models(plain, arrays, splits, fair, hooks)
    if settings.kind == "ft_transformer":
        return transformer.train(
            fitted.table, arrays[0], arrays[1], targets, training.weights, list(training.names), num_labels,
            settings.transformer, plan, device, scratch / transformer.FOLDER, hooks, fair, settings.quantiles,
        )  # fmt: skip
    plain = _boosted(fitted.table, splits, matrices, settings, plan, scratch, hooks)
    if fair is None:
        return plain
    return fairly.trees(plain, matrices, splits, settings.trees, fair, plan, scratch / "fair", hooks)


def _boosted(
    table: Table,
    splits: Splits,
    matrices: list[NDArray[np.float64]],
    settings: Settings,
    plan: loop.Plan,
    scratch: Path,
    hooks: Hooks,
) -> Learned:
    from modelyard.methods.runtimes import gbdt

    num_labels = len(splits.labels)
    parts = [
        boosted.Part(matrix, rows.targets, rows.weights)
        for matrix, rows in zip(matrices, (splits.training, splits.validation), strict=True)
    ]

    def grown(folder: str, level: float | None) -> boosted.Boosted:
        return boosted.train(
            parts[0], parts[1], table.categories, num_labels, settings.trees, plan.seed, plan.threads, scratch / folder,
            hooks, level,
        )  # fmt: skip

    found = grown("trees", None)
    quantiles = [grown(f"trees-{place}", level) for place, level in enumerate(settings.quantiles)]
    boosters = [gbdt.open_booster(one.text, "trees") for one in (found, *quantiles)]
    outputs = gbdt.scores(boosters[0], matrices[1], num_labels, plan.threads)
    if quantiles:
        outputs = gbdt.values(boosters, matrices[1], plan.threads)
    details = {
        "rounds": found.rounds, "done": found.done, "threads": plan.threads, "settings": settings.trees.model_dump(),
        **({"quantile_rounds": [one.rounds for one in quantiles]} if quantiles else {}),
    }  # fmt: skip
    leaves = sum(one.leaves for one in (found, *quantiles))
    texts = tuple(one.text for one in quantiles)
    return Learned("boosted_trees", table, outputs, leaves, details, trees=found.text, levels=settings.quantiles,
                   quantile_trees=texts)  # fmt: skip


def _tell(table: Table, matrices: list[NDArray[np.float64]], hooks: Hooks) -> None:
    hooks.say(
        t(
            "{numbers} columns of numbers, {categories} of categories",
            numbers=len(table.numbers),
            categories=len(table.categories),
        )
    )
    for place in table.numbers:
        missing = np.isnan(matrices[0][:, place]).mean(), np.isnan(matrices[1][:, place]).mean()
        if missing[1] > max(0.05, 2 * missing[0]):
            hooks.say(
                t(
                    "`{name}` is missing in {validation:.1%} of the validation rows, in train in {train:.1%}",
                    name=table.columns[place].name,
                    train=missing[0],
                    validation=missing[1],
                )
            )


def scores(learned: Learned, targets: NDArray[Any], num_labels: int) -> dict[str, float]:
    """Of validation: `accuracy`, `f1_macro`, `loss`; or `loss`, `rmse`, `r2`."""
    if num_labels:
        return evaluation.scores(learned.outputs, targets)
    return fixed.number_scores(learned.outputs[:, 0], targets)


def number_intervals(answers: NDArray[Any], values: NDArray[np.float64], seed: int) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals of `rmse` and `r2` over 1,000 bootstrap samples of the rows (Efron 1979)."""
    from modelyard.methods.training.random import generator

    errors = np.square(answers.astype(np.float64) - values)
    draw = generator(seed, "bootstrap", len(values))
    found: dict[str, list[float]] = {"rmse": [], "r2": []}
    for _ in range(RESAMPLES):
        rows = draw.integers(len(values), size=len(values))
        loss, variance = float(errors[rows].mean()), float(values[rows].var())
        found["rmse"].append(loss**0.5)
        found["r2"].append(1 - loss / variance if variance else 0.0)
    return {name: (float(low), float(high)) for name, (low, high) in
            ((name, np.quantile(each, [0.025, 0.975])) for name, each in found.items())}  # fmt: skip
