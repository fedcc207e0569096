"""A task among several on one encoder: its rows, its batches, what it minimises and how it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.preprocessing.windows import Windows
from modelyard.methods.runtimes.many import HeadView
from modelyard.methods.tasks import tags
from modelyard.methods.tasks.multitask import is_empty
from modelyard.methods.tasks.text_multi_label import sigmoid
from modelyard.methods.training import (
    classification,
    evaluation,
    loop,
    targets,
)
from modelyard.methods.training.text_tasks import bodies, labels, numbers, span_losses, span_rows, spans, texts
from modelyard.methods.training.text_tasks.settings import ManyTask, NumberLoss

SCORES = {
    "text-classification": "accuracy",
    "text-multi-label": "f1_micro",
    "text-regression": "r2",
    "token-classification": "f1",
}
"""What a task is judged by while training."""
_READ: Mapping[str, texts.Read[Any]] = {
    "text-classification": lambda cell, text: str(cell),
    "text-multi-label": labels.read,
    "text-regression": numbers.read,
    "token-classification": span_rows.read,
}


@dataclass(frozen=True)
class Given:
    """A task's rows before anything is learned.

    Attributes:
        names: labels, or tags; none for a number.
    """

    name: str
    settings: ManyTask
    training: texts.Texts[Any]
    validation: texts.Texts[Any]
    names: tuple[str, ...]

    @property
    def head(self) -> dict[str, Any]:
        """Of the network's spec."""
        level = "token" if self.settings.task == "token-classification" else "text"
        return {"level": level, "outputs": len(self.names) or 1}


@dataclass(frozen=True)
class Lesson:
    """A task as the loop takes it.

    Attributes:
        feed: makes its batches.
        lengths: [rows] of its training rows.
        judge: scores the network of one head.
        unit: of a number.
    """

    given: Given
    feed: classification.RowFeed
    lengths: NDArray[np.int64]
    objective: Any
    judge: Any
    unit: numbers.Unit | None = None


def read(data: Dataset, name: str, settings: ManyTask, say: Any) -> Given:
    """The rows of one task. Raises InputError if they cannot be learned from."""
    read_cell = _READ[settings.task]
    (training, validation), notes = texts.read_splits(
        data, settings.column, lambda cell, text: None if is_empty(cell) else read_cell(cell, text)
    )
    for note in notes:
        say(f"{name}: {note}")
    if settings.task == "text-classification":
        problems = targets.class_problems(training.values, validation.values)
        if problems:
            raise InputError.of(problems)
        found = tuple(sorted(set(training.values)))
    elif settings.task == "text-multi-label":
        found = tuple(labels.names_of(training, validation))
    elif settings.task == "token-classification":
        for split, rows in (("train", training), ("validation", validation)):
            span_rows.tell_left_out(split, rows, say)
        found = tags.tag_names(span_rows.labels_of(training, validation))
    else:
        found = ()
    return Given(name, settings, training, validation, found)


def lesson(one: Given, body: bodies.Body, plan: loop.Plan, device: torch.device, say: Any) -> Lesson:
    """A task's feed, objective and judge."""
    kind = one.settings.task
    if kind == "token-classification":
        return _of_spans(one, body, plan, device, say)
    rows = [labels.token_rows(body, split) for split in (one.training, one.validation)]
    more: dict[str, NDArray[Any]] = {}
    unit = None
    objective: Any
    judge: Any
    if kind == "text-classification":
        places = {label: place for place, label in enumerate(one.names)}
        rows = [
            replace(part, labels=np.array([places[value] for value in split.values], np.int64))
            for part, split in zip(rows, (one.training, one.validation), strict=True)
        ]
        objective = classification.CrossEntropy(plan.regularization.label_smoothing)
        judge = classification.ClassScores(rows[1], device)
    elif kind == "text-multi-label":
        truths = [labels.matrix(split, one.names) for split in (one.training, one.validation)]
        more = {"truth": truths[0].astype(np.float32)}
        objective = labels.BinaryCrossEntropy(torch.ones(len(one.names)), plan.regularization.label_smoothing)
        judge = labels.LabelScores(rows[1], truths[1], device)
    else:
        unit = numbers.Unit.of(one.training)
        more = {"values": unit.inner(one.training.values).astype(np.float32)}
        objective = numbers.ErrorLoss(NumberLoss())
        judge = numbers.NumberScores(rows[1], unit.inner(one.validation.values), objective, device)
    feed = classification.RowFeed(rows[0], rows[0].weights, plan, device, more=more)
    return Lesson(one, feed, rows[0].lengths, objective, judge, unit)


def _of_spans(one: Given, body: bodies.Body, plan: loop.Plan, device: torch.device, say: Any) -> Lesson:
    windows = Windows.of(body.tokens)
    parts = [
        span_rows.tagged(split, rows, windows, one.names, say)
        for split, rows in (("train", one.training), ("validation", one.validation))
    ]
    rows = span_rows.token_rows(parts[0], one.training, windows, body.tokens.pad_id)
    judge = spans.SpanScores(parts[1], one.names, windows, body.tokens.pad_id, device)
    objective = span_losses.TokenCrossEntropy(plan.regularization.label_smoothing)
    return Lesson(one, span_rows.TagFeed(rows, rows.weights, plan, device), rows.lengths, objective, judge)


def output(one: Lesson, body: bodies.Body) -> dict[str, Any]:
    """What model.json says of a task; a number's head is put back into its unit, labels get thresholds."""
    kind, names = one.given.settings.task, list(one.given.names)
    outputs: dict[str, Any] = {}
    if one.unit is not None:
        module: Any = body.module
        numbers.put_back(module.heads[one.given.name], one.unit)
    if kind == "text-multi-label":
        logits = evaluation.logits_of(HeadView(body.module, one.given.name), one.judge.rows, torch.device("cpu"))
        chosen, _ = labels.thresholds(sigmoid(logits), one.judge.truth, names, {}, None)
        outputs = {"labels": {"type": "string", "shape": [-1], "thresholds": chosen}}
    about = {"task": kind, "column": one.given.settings.column, "labels": names, "outputs": outputs}
    return {"type": "object", "shape": [], **about}
