"""Several labels a text: what is minimised, how it is judged, and the threshold of each label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.multi_label import parse_labels
from modelyard.methods.tasks.text_multi_label import THRESHOLD, sigmoid
from modelyard.methods.training import batching, classification, evaluation
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.microbatches import ByRow
from modelyard.methods.training.settings import ClassWeights
from modelyard.methods.training.text_tasks import bodies
from modelyard.methods.training.text_tasks.settings import LabelsLoss
from modelyard.methods.training.text_tasks.texts import Texts

Bool = NDArray[np.bool_]
MOST = 100.0
"""A label counts at most so many times where it is there: a single row must not drown the others."""
SHOWN = 5


def read(cell: Any, text: str) -> tuple[str, ...] | None:
    """The labels of a cell."""
    return parse_labels(cell)


def matrix(rows: Texts[tuple[str, ...]], labels: Sequence[str]) -> Bool:
    """[rows, labels] which label each row has."""
    places = {label: place for place, label in enumerate(labels)}
    found = np.zeros((len(rows), len(labels)), bool)
    for row, names in enumerate(rows.values):
        found[row, [places[name] for name in names]] = True
    return found


def names_of(training: Texts[tuple[str, ...]], validation: Texts[tuple[str, ...]]) -> list[str]:
    """The labels of train, sorted. Raises InputError if there is none, or validation has one that train has not."""
    labels = sorted({name for names in training.values for name in names})
    strange = sorted({name for names in validation.values for name in names} - set(labels))
    problems = []
    if not labels:
        found = t("no training row has any label")
        problems.append(Problem("data/train", found, t("rows with labels"), t("check the column named as label")))
    elif strange:
        found = t(
            "{count} labels of validation are not in train: {labels}",
            count=len(strange),
            labels=", ".join(strange[:SHOWN]),
        )
        remedy = t("merge or drop labels of a row or two")
        problems.append(Problem("data/validation", found, t("labels that train has too"), remedy))
    if problems:
        raise InputError.of(problems)
    return labels


def positive_weights(truth: Bool, how: ClassWeights) -> NDArray[np.float32]:
    """[labels] what a row that has the label counts, beside 1 of a row that has it not; `balanced`: both sides of a
    label weigh alike, at most 100."""
    if how == "none":
        return np.ones(truth.shape[1], np.float32)
    there = truth.sum(0)
    weights: NDArray[np.float32] = np.minimum((len(truth) - there) / np.maximum(there, 1), MOST).astype(np.float32)
    return weights


@dataclass(frozen=True)
class BinaryCrossEntropy(ByRow):
    """The mean over labels of the weighted cross-entropy, or of the focal loss, summed over rows.

    Attributes:
        weights: [labels] of where a label is there.
        smoothing: a target moves so far towards 1/2, times 1/2.
        gamma: power of the focal loss (Lin et al. 2017); None: cross-entropy.
    """

    weights: Tensor
    smoothing: float = 0.0
    gamma: float | None = None

    def __call__(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        output: Any = module(**batch.inputs)
        logits = output if isinstance(output, Tensor) else output.logits
        return self.of(logits, batch.targets["truth"], batch.targets["weights"])

    def of(self, logits: Tensor, truth: Tensor, row_weights: Tensor) -> Tensor:
        """The loss of logits [B, C] beside truth [B, C] of 0 and 1."""
        x_BC = logits.float()
        goal_BC = truth.float() * (1 - self.smoothing) + self.smoothing / 2
        yes_BC, no_BC = torch.nn.functional.logsigmoid(x_BC), torch.nn.functional.logsigmoid(-x_BC)
        if self.gamma is not None:
            smallest = torch.finfo(torch.float32).tiny
            # 1 - p from -log p: exact where p is nearly 1.
            yes_BC = yes_BC * (-torch.expm1(yes_BC)).clamp_min(smallest) ** self.gamma
            no_BC = no_BC * (-torch.expm1(no_BC)).clamp_min(smallest) ** self.gamma
        weights_C = self.weights.to(x_BC.device)
        loss_BC = -(weights_C * goal_BC * yes_BC + (1 - goal_BC) * no_BC)
        return (row_weights * loss_BC.mean(1)).sum()


@dataclass(frozen=True)
class LabelScores:
    """Micro and macro F1 with thresholds of 0.5, and the mean cross-entropy."""

    rows: batching.Rows
    truth: Bool
    device: torch.device

    def __call__(self, module: torch.nn.Module) -> dict[str, float]:
        logits = evaluation.logits_of(module, self.rows, self.device)
        return {**f1(logits >= 0, self.truth), "loss": loss(logits, self.truth)}


def loss(logits: NDArray[Any], truth: Bool) -> float:
    """Mean binary cross-entropy over rows and labels."""
    x = logits.astype(np.float64)
    return float((np.logaddexp(0, x) - truth * x).mean())


def f1(answers: Bool, truth: Bool) -> dict[str, float]:
    """`f1_micro` over all decisions; `f1_macro`, the mean over labels that occur in truth or answers."""
    hits, either = (answers & truth).sum(0), answers.sum(0) + truth.sum(0)
    each = 2 * hits[either > 0] / either[either > 0]
    total = either.sum()
    return {
        "f1_micro": float(2 * hits.sum() / total) if total else 0.0,
        "f1_macro": float(each.mean()) if len(each) else 0.0,
    }


def best_threshold(scores: NDArray[np.float64], truth: Bool) -> float:
    """The threshold with the highest F1 of one label; the middle between the two scores it parts, rounded.

    Args:
        scores: [rows] probabilities.
        truth: [rows]; at least one is true.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(truth[order])
    found = 2 * hits / (np.arange(1, len(order) + 1) + truth.sum())
    # A cut between equal scores is none.
    found[:-1][ranked[:-1] == ranked[1:]] = -1.0
    place = int(found.argmax())
    below = ranked[place + 1] if place + 1 < len(ranked) else 0.0
    return float((ranked[place] + below) / 2)


def thresholds(
    scores: NDArray[np.float64], truth: Bool, labels: Sequence[str], given: Mapping[str, float], rest: float | None
) -> tuple[list[float], list[str]]:
    """(threshold of each label, labels that no validation row has, which keep 0.5).

    Args:
        given: thresholds that were set, by label.
        rest: of all others; None: chosen for the F1 of each.
    """
    found, unseen = [], []
    for place, label in enumerate(labels):
        if label in given or rest is not None:
            found.append(float(given.get(label, rest if rest is not None else THRESHOLD)))
        elif truth[:, place].any():
            found.append(best_threshold(scores[:, place], truth[:, place]))
        else:
            found.append(THRESHOLD)
            unseen.append(label)
    return found, unseen


@dataclass(frozen=True)
class Trained:
    """What training ends in.

    Attributes:
        scores, truth: [validation rows, labels].
        details: for the model's provenance.
    """

    body: bodies.Body
    scores: NDArray[np.float64]
    truth: Bool
    details: dict[str, Any]


def train(
    job: bodies.Job,
    training: Texts[tuple[str, ...]],
    validation: Texts[tuple[str, ...]],
    labels: Sequence[str],
    loss_settings: LabelsLoss,
    class_weights: ClassWeights,
) -> Trained:
    """Train a network that gives each label a score.

    Raises:
        InputError: the base cannot be had.
        StageError: the loss is no longer a number.
    """
    body = bodies.make(job, training.texts, len(labels))
    if not body.network:
        body.module.config.problem_type = "multi_label_classification"  # type: ignore[union-attr]
    rows = [token_rows(body, split) for split in (training, validation)]
    truths = [matrix(split, labels) for split in (training, validation)]
    plan = job.plan(body.defaults, len(rows[0]), int(rows[0].lengths.sum()))
    weights = torch.from_numpy(positive_weights(truths[0], class_weights))
    gamma = loss_settings.gamma if loss_settings.name == "focal" else None
    objective = BinaryCrossEntropy(weights, job.settings.regularization.label_smoothing, gamma)
    feed = classification.RowFeed(
        rows[0], rows[0].weights, plan, job.device, more={"truth": truths[0].astype(np.float32)}
    )
    outcome = bodies.learn(job, body.module, feed, objective, LabelScores(rows[1], truths[1], job.device), plan)
    scores = sigmoid(evaluation.logits_of(body.module, rows[1], torch.device("cpu")))
    return Trained(body, scores, truths[1], {**bodies.details(plan, outcome), "loss": loss_settings.model_dump()})


def token_rows(body: bodies.Body, split: Texts[Any]) -> batching.Rows:
    """A split as the network reads it, cut at the model's length."""
    nothing = np.zeros(len(split), np.int64)
    return batching.token_rows(body.tokens.ids(split.texts), body.tokens.pad_id, nothing, split.names, split.weights)
