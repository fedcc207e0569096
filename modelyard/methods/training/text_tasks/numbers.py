"""A number for each text: what is minimised, how it is judged, and the way back to the target's own unit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.preprocessing.table import number_of
from modelyard.methods.training import batching, classification, evaluation, fixed
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.microbatches import ByRow
from modelyard.methods.training.text_tasks import bodies
from modelyard.methods.training.text_tasks.labels import token_rows
from modelyard.methods.training.text_tasks.settings import NumberLoss
from modelyard.methods.training.text_tasks.texts import Texts


def read(cell: Any, text: str) -> float | None:
    """The number of a cell; None if there is none."""
    try:
        found = number_of(cell)
    except ValueError:
        raise InputError(t("`{value}` is no finite number", value=str(cell)[:40])) from None
    return None if math.isnan(found) else found


@dataclass(frozen=True)
class Unit:
    """How targets are seen by the network: (value - mean) / deviation, both of the training targets alone."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, training: Texts[float]) -> Unit:
        """Raises InputError if all targets are the same."""
        values = np.array(training.values, np.float64)
        if values.min() == values.max():
            raise InputError(
                t("all training rows have the same target"),
                where="data/train",
                expected=t("numbers that differ"),
                remedy=t("check the column named as target"),
            )
        return cls(float(values.mean()), float(values.std()))

    def inner(self, values: Any) -> NDArray[np.float64]:
        """Values as the network learns them."""
        result: NDArray[np.float64] = (np.asarray(values, np.float64) - self.mean) / self.deviation
        return result


@dataclass(frozen=True)
class ErrorLoss(ByRow):
    """A loss of each row's error, weighted and summed: e²; |e|; or e² / 2 up to `delta` and δ (|e| - δ / 2) beyond
    (Huber 1964)."""

    settings: NumberLoss

    def __call__(self, module: nn.Module, batch: Batch) -> Tensor:
        output: Any = module(**batch.inputs)
        answers = output if isinstance(output, Tensor) else output.logits
        return self.of(answers, batch.targets["values"], batch.targets["weights"])

    def of(self, answers: Tensor, values: Tensor, row_weights: Tensor) -> Tensor:
        """The loss of answers [B, 1] beside values [B]."""
        return (row_weights * self.each(answers[:, 0].float() - values)).sum()

    def each(self, error: Tensor) -> Tensor:
        """[B] errors to [B] losses."""
        if self.settings.name == "squared":
            return error.square()
        size = error.abs()
        if self.settings.name == "absolute":
            return size
        delta = self.settings.delta
        return torch.where(size <= delta, error.square() / 2, delta * (size - delta / 2))


@dataclass(frozen=True)
class NumberScores:
    """`loss` as it is minimised, without weights, and R²."""

    rows: batching.Rows
    values: NDArray[np.float64]
    objective: ErrorLoss
    device: torch.device

    def __call__(self, module: nn.Module) -> dict[str, float]:
        answers = evaluation.logits_of(module, self.rows, self.device)[:, 0].astype(np.float64)
        loss = float(self.objective.each(torch.from_numpy(answers - self.values)).mean())
        return {"r2": fixed.number_scores(answers, self.values)["r2"], "loss": loss}


@dataclass(frozen=True)
class Trained:
    """What training ends in.

    Attributes:
        answers, values: [validation rows] in the target's own unit.
        details: for the model's provenance.
    """

    body: bodies.Body
    answers: NDArray[np.float64]
    values: NDArray[np.float64]
    details: dict[str, Any]


def train(job: bodies.Job, training: Texts[float], validation: Texts[float], settings: NumberLoss) -> Trained:
    """Train a network that gives each text a number; its last layer is put back into the target's unit.

    Raises:
        InputError: all targets are the same, or the base cannot answer in their unit.
        StageError: the loss is no longer a number.
    """
    unit = Unit.of(training)
    job.hooks.say(
        t(
            "the target of train: mean {mean:.6g}, standard deviation {deviation:.6g}",
            mean=unit.mean,
            deviation=unit.deviation,
        )
    )
    body = bodies.make(job, training.texts, 1)
    if not body.network:
        body.module.config.problem_type = "regression"  # type: ignore[union-attr]
    head = last_layer(body.module)
    rows = [token_rows(body, split) for split in (training, validation)]
    plan = job.plan(body.defaults, len(rows[0]), int(rows[0].lengths.sum()))
    goal = {"values": unit.inner(training.values).astype(np.float32)}
    feed = classification.RowFeed(rows[0], rows[0].weights, plan, job.device, more=goal)
    objective = ErrorLoss(settings)
    judge = NumberScores(rows[1], unit.inner(validation.values), objective, job.device)
    outcome = bodies.learn(job, body.module, feed, objective, judge, plan)
    put_back(head, unit)
    answers = evaluation.logits_of(body.module, rows[1], torch.device("cpu"))[:, 0].astype(np.float64)
    found = {**bodies.details(plan, outcome), "loss": settings.model_dump()}
    return Trained(body, answers, np.array(validation.values, np.float64), found)


def last_layer(module: nn.Module) -> nn.Linear:
    """The layer that gives the number. Raises InputError if it has no bias to put the mean into."""
    layers = [part for part in module.modules() if isinstance(part, nn.Linear) and part.out_features == 1]
    if not layers or layers[-1].bias is None:
        raise InputError(
            t("the head of this base has no bias: it cannot answer in the target's own unit"),
            where="base",
            expected=t("a base whose last layer has a bias, such as BERT or RoBERTa"),
        )
    return layers[-1]


def put_back(head: nn.Linear, unit: Unit) -> None:
    """The layer answers in the target's own unit."""
    with torch.no_grad():
        head.weight.mul_(unit.deviation)
        head.bias.mul_(unit.deviation).add_(unit.mean)
