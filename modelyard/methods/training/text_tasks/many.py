"""Several tasks on one encoder: each step's batches are of one task each, drawn by size or by set weights.

Every batch counts alike, whatever its task's unit: the loss of a batch is the mean over its rows, or over its tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods import networks
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.preprocessing.windows import Windows
from modelyard.methods.runtimes.many import HeadView
from modelyard.methods.tasks import tags
from modelyard.methods.tasks.text_multi_label import sigmoid
from modelyard.methods.training import (
    batching,
    classification,
    devices,
    evaluation,
    initialization,
    loop,
    neural,
    pretrained,
    targets,
)
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.microbatches import ByRow
from modelyard.methods.training.random import generator, seed_torch
from modelyard.methods.training.text_tasks import bodies, labels, numbers, spans, texts
from modelyard.methods.training.text_tasks.settings import ManyTask, NumberLoss

SCORES = {
    "text-classification": "accuracy",
    "text-multi-label": "f1_micro",
    "text-regression": "r2",
    "token-classification": "f1",
}
"""What a task is judged by while training."""
_READ: Mapping[str, texts.Read[Any]] = {
    "text-classification": lambda cell, text: None if cell is None else str(cell),
    "text-multi-label": labels.read,
    "text-regression": numbers.read,
    "token-classification": spans.read,
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
    (training, validation), notes = texts.read_splits(data, settings.column, _READ[settings.task])
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
            spans.tell_left_out(split, rows, say)
        found = tags.tag_names(spans.labels_of(training, validation))
    else:
        found = ()
    return Given(name, settings, training, validation, found)


def body_of(job: bodies.Job, given: Sequence[Given]) -> bodies.Body:
    """The network with a fresh head for each task."""
    every = [text for one in given for text in one.training.texts]
    rate = job.settings.regularization.dropout
    weights: Mapping[str, Tensor] = {}
    if job.base is None:
        reader = bodies.learned_tokens(job, every, cased=True)
        defaults = bodies.DEFAULTS[job.size]
        kind: Any = job.size
        dropout = defaults.dropout if rate is None else rate
        size = reader.tokenizer.get_vocab_size()
        config = dict(neural.network_spec(kind, size, reader.max_length, 2, dropout)["config"])
    else:
        model, tokenizer = pretrained.open_base(job.base, 2, rate, job.seed, "AutoModel")
        reader = pretrained.fast_tokenizer(tokenizer, pretrained.max_length_of(model, job.settings.reading.max_length))
        defaults, weights = pretrained.defaults_for(model), model.state_dict()
        dropout = defaults.dropout if rate is None else rate
        config = {
            name: value
            for name, value in model.config.to_diff_dict().items()
            if name not in ("_name_or_path", "architectures", "transformers_version", "dtype", "torch_dtype")
        }
        config["model_type"] = model.config.model_type
    heads = {one.name: one.head for one in given}
    spec = {"kind": "many_heads", "config": config, "heads": heads, "dropout": dropout}
    with devices.reproducible(torch.device("cpu"), job.settings.threads):
        seed_torch(job.seed, "weights", 0)
        module: Any = networks.build(spec)
        initialization.apply(module, job.settings.initialization, job.seed)
    if weights:
        inside = module.model.state_dict()
        module.model.load_state_dict({name: weights[name] for name in inside})
        pretrained.freeze(module.model, job.settings.freeze)
    return bodies.Body(job.size if job.base is None else "base", module, reader, defaults, spec)


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
        spans.tagged(split, rows, windows, one.names, say)
        for split, rows in (("train", one.training), ("validation", one.validation))
    ]
    rows = spans.token_rows(parts[0], one.training, windows, body.tokens.pad_id)
    judge = spans.SpanScores(parts[1], one.names, windows, body.tokens.pad_id, device)
    objective = spans.TokenCrossEntropy(plan.regularization.label_smoothing)
    return Lesson(one, spans.TagFeed(rows, rows.weights, plan, device), rows.lengths, objective, judge)


class ManyFeed:
    """Batches of all tasks in turn, as the seed and the epoch decide. Tasks go through their own rows in passes of
    their own; a pass may be longer or shorter than an epoch.

    Args:
        shares: of the batches each task gets, or None: each task's own number of batches.
    """

    def __init__(self, lessons: Sequence[Lesson], plan: loop.Plan, shares: Sequence[float] | None) -> None:
        self._lessons, self._plan = lessons, plan
        self._passes = [-(-len(one.lengths) // plan.batch_size) for one in lessons]
        self.counts = counts_of(self._passes, shares)
        self.epoch_steps = -(-sum(self.counts) // plan.accumulation)
        self._turns: tuple[int, list[tuple[int, int]]] = (-1, [])
        self._orders: dict[int, tuple[int, list[NDArray[np.int64]]]] = {}

    def step(self, epoch: int, position: int) -> Sequence[Batch]:
        if self._turns[0] != epoch:
            self._turns = (epoch, self.turns(epoch))
        start = position * self._plan.accumulation
        return [self._batch(*turn, epoch) for turn in self._turns[1][start : start + self._plan.accumulation]]

    def turns(self, epoch: int) -> list[tuple[int, int]]:
        """(task, which of its batches since the beginning) in the order of the epoch."""
        every = [(task, epoch * count + place) for task, count in enumerate(self.counts) for place in range(count)]
        order = generator(self._plan.seed, "tasks", epoch).permutation(len(every))
        return [every[place] for place in order]

    def _batch(self, task: int, number: int, epoch: int) -> Batch:
        done, place = divmod(number, self._passes[task])
        if self._orders.get(task, (-1, []))[0] != done:
            lengths = self._lessons[task].lengths
            self._orders[task] = (done, batching.order(lengths, self._plan.batch_size, self._plan.seed, done))
        found = self._lessons[task].feed.batch(self._orders[task][1][place], epoch)
        weights = found.targets["weights"] / max(found.weight, 1e-12)
        return replace(
            found,
            inputs={**found.inputs, "head": self._lessons[task].given.name},
            targets={**found.targets, "weights": weights},
            weight=1.0,
        )


def counts_of(passes: Sequence[int], shares: Sequence[float] | None) -> list[int]:
    """Batches of each task in an epoch: one pass each, or as many in all, shared out; at least one."""
    if shares is None:
        return list(passes)
    total = sum(shares)
    return [max(1, round(sum(passes) * share / total)) for share in shares]


@dataclass(frozen=True)
class ManyLoss(ByRow):
    """The loss of the task a batch is of."""

    lessons: Mapping[str, Lesson]

    def __call__(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        loss: Tensor = self.lessons[batch.inputs["head"]].objective(module, batch)
        return loss


@dataclass(frozen=True)
class ManyScores:
    """Each task's own score and loss, and the means over tasks as `score` and `loss`."""

    lessons: Sequence[Lesson]

    def __call__(self, module: torch.nn.Module) -> dict[str, float]:
        was_training = module.training
        found: dict[str, float] = {}
        pairs = []
        for one in self.lessons:
            scores = one.judge(HeadView(module, one.given.name))
            pair = scores[SCORES[one.given.settings.task]], scores["loss"]
            found |= {f"{one.given.name}_score": pair[0], f"{one.given.name}_loss": pair[1]}
            pairs.append(pair)
        module.train(was_training)
        score, loss = np.mean(pairs, axis=0).tolist()
        return {"score": score, "loss": loss, **found}


@dataclass(frozen=True)
class Trained:
    """What training ends in.

    Attributes:
        outputs: what model.json says of each task.
        scores: of each task on validation, by its name.
    """

    body: bodies.Body
    outputs: dict[str, Any]
    scores: dict[str, float]
    details: dict[str, Any]


def train(job: bodies.Job, given: Sequence[Given], shares: Sequence[float] | None) -> Trained:
    """Train all tasks together.

    Raises:
        InputError: the base cannot be had.
        StageError: the loss is no longer a number.
    """
    body = body_of(job, given)
    ids = [body.tokens.ids(one.training.texts) for one in given]
    plan = job.plan(body.defaults, sum(map(len, ids)), sum(len(row) for rows in ids for row in rows))
    lessons = [lesson(one, body, plan, job.device, job.hooks.say) for one in given]
    feed = ManyFeed(lessons, plan, shares)
    parts = ", ".join(f"{one.name} {count}" for one, count in zip(given, feed.counts, strict=True))
    job.hooks.say(t("batches an epoch: {parts}", parts=parts))
    objective = ManyLoss({one.given.name: one for one in lessons})
    outcome = bodies.learn(job, body.module, feed, objective, ManyScores(lessons), plan)
    final = [replace(one, judge=replace(one.judge, device=torch.device("cpu"))) for one in lessons]
    scores = ManyScores(final)(body.module)
    body.module.eval()
    outputs = {one.given.name: _output(one, body) for one in final}
    found = {name: scores[f"{name}_score"] for name in outputs}
    return Trained(body, outputs, found, {**bodies.details(plan, outcome), "batches": feed.counts})


def _output(one: Lesson, body: bodies.Body) -> dict[str, Any]:
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
    return {"type": "object", "shape": [], "task": kind, "labels": names, "outputs": outputs}
