"""Rows with one class each, as the loop takes them: feed, objective, validator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelyard.methods.training import batching, evaluation, finite, loop, objectives
from modelyard.methods.training.adversarial import objective as adversarial
from modelyard.methods.training.axes import Batch, Objective
from modelyard.methods.training.fair import arranging
from modelyard.methods.training.fair.arranging import Fair
from modelyard.methods.training.fair.dro import GROUPS
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.loader.ahead import FeedAhead
from modelyard.methods.training.microbatches import ByRow
from modelyard.methods.training.settings import ClassWeights

Renewal = Callable[[NDArray[np.int64], int], batching.Rows]
"""Rows anew for an epoch: the rows chosen, changed as this epoch changes them, in the order given."""


class RowFeed:
    """Batches of rows of nearly equal length, in an order that the seed and the epoch decide.

    Args:
        row_weights: [rows] of each row's loss, class weights included.
        soft: [rows, classes] shares of the classes, instead of the label alone.
        renew: changes the rows of each batch anew in every epoch (augmentation on the fly).
        more: [rows, …] further targets by name.
    """

    def __init__(
        self,
        rows: batching.RowBatches,
        row_weights: NDArray[np.float32],
        plan: loop.Plan,
        device: torch.device,
        soft: NDArray[np.float32] | None = None,
        renew: Renewal | None = None,
        more: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        self._more = {name: torch.from_numpy(values).to(device) for name, values in (more or {}).items()}
        self._rows, self._plan, self._device, self._renew = rows, plan, device, renew
        self._soft = None if soft is None else torch.from_numpy(soft).to(device)
        self._labels = torch.from_numpy(rows.labels).to(device)
        self._weights = torch.from_numpy(row_weights).to(device)
        self._order: tuple[int, list[NDArray[np.int64]]] = (-1, [])
        self.epoch_steps = batching.num_steps(len(rows), plan.batch_size, plan.accumulation)

    def step(self, epoch: int, position: int) -> Sequence[Batch]:
        if self._order[0] != epoch:
            plan = self._plan
            self._order = (epoch, batching.order(self._rows.lengths, plan.batch_size, plan.seed, epoch))
        start = position * self._plan.accumulation
        return [self.batch(rows, epoch) for rows in self._order[1][start : start + self._plan.accumulation]]

    def batch(self, rows: NDArray[np.int64], epoch: int = 0) -> Batch:
        """These rows as one batch."""
        chosen = torch.from_numpy(rows).to(self._device)
        weights = self._weights[chosen]
        source: batching.RowBatches = self._rows
        places = rows
        if self._renew is not None:
            source, places = self._renew(rows, epoch), np.arange(len(rows))
        targets = {"labels": self._labels[chosen], "weights": weights}
        targets |= {name: values[chosen] for name, values in self._more.items()}
        if self._soft is not None:
            targets["shares"] = self._soft[chosen]
        return Batch(
            inputs=source.batch(places, self._device),
            targets=targets,
            weight=float(weights.double().sum()),
            names=[self._rows.names[row] for row in rows[: loop.NAMED]],
            tokens=int(source.lengths[places].sum()),
        )


@dataclass(frozen=True)
class CrossEntropy(ByRow):
    """Weighted cross-entropy with label smoothing, against the label or against shares of classes; or focal loss.

    Attributes:
        smoothing: share of the target spread over all classes.
        gamma: power of the focal loss; None: cross-entropy.
    """

    smoothing: float = 0.0
    gamma: float | None = None

    def __call__(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        output: Any = module(**batch.inputs)
        logits = output if isinstance(output, Tensor) else output.logits
        weights = batch.targets["weights"]
        if self.gamma is not None:
            shares = batch.targets.get("shares")
            if shares is None:
                shares = torch.nn.functional.one_hot(batch.targets["labels"], logits.shape[1])
            return objectives.focal(logits, shares, weights, self.smoothing, self.gamma)
        if "shares" in batch.targets:
            return objectives.soft_cross_entropy(logits, batch.targets["shares"], weights, self.smoothing)
        return objectives.cross_entropy(logits, batch.targets["labels"], weights, self.smoothing)


def objective_of(plan: loop.Plan) -> Objective:
    """What a plan's settings of the loss say."""
    gamma = plan.loss.gamma if plan.loss.name == "focal" else None
    return adversarial.wrapped(CrossEntropy(plan.regularization.label_smoothing, gamma), plan.adversarial)


@dataclass(frozen=True)
class ClassScores:
    """Accuracy, macro F1 and loss on rows with a class."""

    rows: batching.RowBatches
    device: torch.device

    def __call__(self, module: torch.nn.Module) -> dict[str, float]:
        return evaluation.scores(evaluation.logits_of(module, self.rows, self.device), self.rows.labels)


@dataclass(frozen=True)
class Outcome:
    """What training a classifier ends in; the module holds the best weights.

    Attributes:
        logits: [validation rows, classes] of the best weights.
        metrics: of these logits.
        best_step, steps, history, compiled: as the loop has them.
    """

    logits: NDArray[np.float32]
    metrics: Mapping[str, float]
    best_step: int
    steps: int
    history: tuple[Mapping[str, float], ...]
    compiled: bool = False


def train(
    module: torch.nn.Module,
    training: batching.Rows,
    validation: batching.Rows,
    plan: loop.Plan,
    device: torch.device,
    scratch: Path,
    hooks: Hooks | None = None,
    class_weights: ClassWeights = "none",
    soft: NDArray[np.float32] | None = None,
    renew: Renewal | None = None,
    fair: Fair | None = None,
) -> Outcome:
    """Train a classifier in place, from the newest checkpoint in `scratch` if there is one.

    Args:
        soft, renew: as of `RowFeed`.
        fair: groups to mind; None: none.

    Raises:
        InputError: numbers of training rows are not finite.
        StageError: the loss or the gradient is no longer a number; names the step and the rows.
    """
    _check_numbers(training, soft)
    of_class = objectives.class_weights(training.labels, int(training.labels.max()) + 1, class_weights)
    cells = None if fair is None else arranging.cells_of(fair, (training.labels, validation.labels))
    more = None if cells is None else {GROUPS: cells.training}
    rows = RowFeed(training, of_class[training.labels] * training.weights, plan, device, soft, renew, more)
    run = arranging.Run(module, rows, objective_of(plan), ClassScores(validation, device), plan)
    if fair is not None and cells is not None:
        run = arranging.arranged(
            run, fair, cells, validation.labels, lambda one: evaluation.logits_of(one, validation, device)
        )
    # A device computes while a thread makes its next batches; on the processor the two would share the cores.
    ahead = FeedAhead(run.feed) if device.type != "cpu" else None
    try:
        found = loop.train(
            run.module, ahead or run.feed, run.objective, run.validator, run.plan, device, scratch, hooks
        )
    finally:
        if ahead is not None:
            ahead.close()
    logits = evaluation.logits_of(module, validation, device)
    metrics = evaluation.scores(logits, validation.labels)
    return Outcome(logits, metrics, found.best_step, found.steps, found.history, found.compiled)


def _check_numbers(rows: batching.Rows, soft: NDArray[np.float32] | None) -> None:
    """Look at every number before anything is learned from it."""
    columns: dict[str, NDArray[Any]] = {"weight": rows.weights}
    if soft is not None:
        columns["soft_label"] = soft
    for name, (values, _) in rows.columns.items():
        if values.is_floating_point():
            broken = np.bincount(_row_of(rows, np.flatnonzero(~np.isfinite(values.numpy()))), minlength=len(rows))
            columns[name] = np.where(broken > 0, np.nan, 0.0)
    finite.require_finite(columns, rows.names, "train")


def _row_of(rows: batching.Rows, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The row of each value of a column."""
    return np.searchsorted(rows.starts, places, side="right") - 1
