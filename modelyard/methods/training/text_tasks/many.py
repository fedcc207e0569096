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
from modelyard.methods import networks
from modelyard.methods.runtimes.many import HeadView
from modelyard.methods.training import (
    batching,
    devices,
    initialization,
    loop,
    neural,
    pretrained,
)
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.microbatches import ByRow
from modelyard.methods.training.random import generator, seed_torch
from modelyard.methods.training.text_tasks import (
    bodies,
    many_lessons,
)


def body_of(job: bodies.Job, given: Sequence[many_lessons.Given]) -> bodies.Body:
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


class ManyFeed:
    """Batches of all tasks in turn, as the seed and the epoch decide. Tasks go through their own rows in passes of
    their own; a pass may be longer or shorter than an epoch.

    Args:
        shares: of the batches each task gets, or None: each task's own number of batches.
    """

    def __init__(self, lessons: Sequence[many_lessons.Lesson], plan: loop.Plan, shares: Sequence[float] | None) -> None:
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

    lessons: Mapping[str, many_lessons.Lesson]

    def __call__(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        loss: Tensor = self.lessons[batch.inputs["head"]].objective(module, batch)
        return loss


@dataclass(frozen=True)
class ManyScores:
    """Each task's own score and loss, and the means over tasks as `score` and `loss`."""

    lessons: Sequence[many_lessons.Lesson]

    def __call__(self, module: torch.nn.Module) -> dict[str, float]:
        was_training = module.training
        found: dict[str, float] = {}
        pairs = []
        for one in self.lessons:
            scores = one.judge(HeadView(module, one.given.name))
            pair = scores[many_lessons.SCORES[one.given.settings.task]], scores["loss"]
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


def train(job: bodies.Job, given: Sequence[many_lessons.Given], shares: Sequence[float] | None) -> Trained:
    """Train all tasks together.

    Raises:
        InputError: the base cannot be had.
        StageError: the loss is no longer a number.
    """
    body = body_of(job, given)
    ids = [body.tokens.ids(one.training.texts) for one in given]
    plan = job.plan(body.defaults, sum(map(len, ids)), sum(len(row) for rows in ids for row in rows))
    lessons = [many_lessons.lesson(one, body, plan, job.device, job.hooks.say) for one in given]
    feed = ManyFeed(lessons, plan, shares)
    parts = ", ".join(f"{one.name} {count}" for one, count in zip(given, feed.counts, strict=True))
    job.hooks.say(t("batches an epoch: {parts}", parts=parts))
    objective = ManyLoss({one.given.name: one for one in lessons})
    outcome = bodies.learn(job, body.module, feed, objective, ManyScores(lessons), plan)
    final = [replace(one, judge=replace(one.judge, device=torch.device("cpu"))) for one in lessons]
    scores = ManyScores(final)(body.module)
    body.module.eval()
    outputs = {one.given.name: many_lessons.output(one, body) for one in final}
    found = {name: scores[f"{name}_score"] for name in outputs}
    return Trained(body, outputs, found, {**bodies.details(plan, outcome), "batches": feed.counts})
