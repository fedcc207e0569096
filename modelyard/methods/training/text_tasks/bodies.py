"""The network that a text task trains: fresh, with a tokenizer learned from the training texts, or from a base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from modelyard.methods import networks
from modelyard.methods.preprocessing import bpe, tokens
from modelyard.methods.training import (
    choices,
    classification,
    devices,
    initialization,
    loop,
    neural,
    pretrained,
    text_classifier,
)
from modelyard.methods.training.axes import Feed, Objective, Validator
from modelyard.methods.training.candidates import Candidate
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language import jobs
from modelyard.methods.training.loader.ahead import FeedAhead
from modelyard.methods.training.random import seed_torch
from modelyard.methods.training.settings import Stopping
from modelyard.methods.training.text_tasks.settings import TextTraining

Head = Literal["sequence", "token"]
CLASSES = {"sequence": "AutoModelForSequenceClassification", "token": "AutoModelForTokenClassification"}
"""transformers' classes: one row of outputs a text, or one a token."""
DEFAULTS = {**neural.DEFAULTS, "tagger": neural.Defaults(4e-3, 32, 5, 0.5)}
"""The tagger's were tried on CLUENER 2020, on 9,673 rows with a tenth set aside: after one epoch F1 was 0.55, and with
half the rate and half as many LSTM units again 0.33; over ten epochs the third was the best of the first three, 0.68,
while the loss no longer fell."""


@dataclass(frozen=True)
class Job:
    """One training job: the settings, and where it may write and tell.

    Attributes:
        settings: with precision and threads as they were settled.
        base: folder of what is fine-tuned; None: fresh weights.
        size: kind of network from scratch.
        stopping: what is watched.
    """

    settings: text_classifier.Settings
    base: Path | None
    size: str
    stopping: Stopping
    device: torch.device
    seed: int
    scratch: Path
    hooks: Hooks

    def plan(self, defaults: neural.Defaults, num_rows: int, num_tokens: int) -> loop.Plan:
        """As the loop takes the settings, for epochs of so many rows and tokens."""
        plan = text_classifier.plan_of(self.settings, self.seed, defaults, num_rows, num_tokens)
        return replace(plan, early_stopping=self.stopping)


def job_of(config: TextTraining, size: str, stopping: Stopping, context: Any) -> Job:
    """The job that a stage's settings describe; what depends on the machine is settled once.

    Args:
        context: as a stage has it; methods know no engine.

    Raises:
        InputError: the base cannot be had.
    """
    hooks = Hooks(context.log, context.progress, context.say)
    scratch = context.scratch()
    base = jobs.base_folder(config.base, context)
    settled = choices.settle(config.compute, scratch, hooks)
    settings = text_classifier.Settings(
        epochs=config.epochs,
        batch_size=config.batch_size,
        accumulation=config.accumulation,
        freeze=config.freeze,
        reading=config.reading,
        initialization=config.initialization,
        optimizer=config.optimizer,
        schedule=config.schedule,
        regularization=config.regularization,
        precision=settled.precision,
        threads=settled.threads,
        compute=config.compute,
        ema=config.ema,
    )
    return Job(settings, base, size, stopping, torch.device(settled.device), context.seed, scratch, hooks)


@dataclass(frozen=True)
class Body:
    """A network with what reads for it.

    Attributes:
        module: gives outputs, or an object that has them as `logits`.
        network: its spec for methods/networks; empty for one of transformers.
        tokenizer: of the base, as transformers has it; None: `tokens` was learned here.
    """

    name: str
    module: torch.nn.Module
    tokens: tokens.Tokens
    defaults: neural.Defaults
    network: dict[str, Any] = field(default_factory=dict)
    tokenizer: Any = None

    @property
    def num_parameters(self) -> int:
        """Weights that were learned."""
        return sum(parameter.numel() for parameter in self.module.parameters())

    def candidate(self) -> Candidate:
        """As it is saved; scores stand elsewhere."""
        pair = None if self.network else (self.module, self.tokenizer or self.tokens)
        return Candidate(self.name, self.module, self.network, (self.tokens,), np.zeros((0, 0), np.float32), {},
                         huggingface=pair)  # fmt: skip


def make(job: Job, texts: Sequence[str], num_outputs: int, head: Head = "sequence") -> Body:
    """The network before training, its head of fresh weights.

    Args:
        texts: of train; a tokenizer is learned from them where there is no base.

    Raises:
        InputError: the base is no encoder of texts.
    """
    if job.base is None:
        return _fresh(job, texts, num_outputs, head)
    dropout = job.settings.regularization.dropout
    model, tokenizer = pretrained.open_base(job.base, num_outputs, dropout, job.seed, CLASSES[head])
    with devices.reproducible(torch.device("cpu"), job.settings.threads):
        seed_torch(job.seed, "weights", 0)
        pretrained.fresh_head(model)
    pretrained.freeze(model, job.settings.freeze)
    fast = pretrained.fast_tokenizer(tokenizer, pretrained.max_length_of(model, job.settings.reading.max_length))
    return Body("base", model, fast, pretrained.defaults_for(model), tokenizer=tokenizer)


def learned_tokens(job: Job, texts: Sequence[str], cased: bool) -> tokens.Tokens:
    """A tokenizer learned from the training texts."""
    reading = job.settings.reading
    learned = bpe.learn(texts, reading.vocabulary_size, cased=cased)
    return tokens.wrap(learned, reading.max_length, bpe.SPECIAL.index(bpe.PAD))


def _fresh(job: Job, texts: Sequence[str], num_outputs: int, head: Head) -> Body:
    reader = learned_tokens(job, texts, cased=head == "token")
    defaults = DEFAULTS[job.size]
    rate = job.settings.regularization.dropout
    dropout = defaults.dropout if rate is None else rate
    spec = network_spec(job.size, reader.tokenizer.get_vocab_size(), reader.max_length, num_outputs, dropout)
    with devices.reproducible(torch.device("cpu"), job.settings.threads):
        seed_torch(job.seed, "weights", 0)
        module = _of_transformers(spec["config"], head) if spec["kind"] == "encoder" else networks.build(spec)
        initialization.apply(module, job.settings.initialization, job.seed)
    return Body(job.size, module, reader, defaults, {} if spec["kind"] == "encoder" else spec)


def network_spec(size: str, vocabulary_size: int, max_length: int, num_outputs: int, dropout: float) -> dict[str, Any]:
    """The spec for methods/networks."""
    if size == "tagger":
        return {
            "kind": "tagger",
            "vocabulary_size": vocabulary_size,
            "num_labels": num_outputs,
            "embedding": 128,
            "pairs": 32_768,
            "hidden": 128,
            "dropout": dropout,
        }
    kind: Any = size
    return neural.network_spec(kind, vocabulary_size, max_length, num_outputs, dropout)


def _of_transformers(config: dict[str, Any], head: Head) -> torch.nn.Module:
    import transformers

    settings = dict(config)
    made = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
    module: torch.nn.Module = getattr(transformers, CLASSES[head]).from_config(made)
    return module


def learn(
    job: Job, module: torch.nn.Module, feed: Feed, objective: Objective, validator: Validator, plan: loop.Plan
) -> loop.Outcome:
    """Train in place, from the newest checkpoint if there is one; the module ends on the CPU, ready to answer."""
    # A device computes while a thread makes its next batches; on the processor the two would share the cores.
    ahead = FeedAhead(feed) if job.device.type != "cpu" else None
    try:
        found = loop.train(
            module, ahead or feed, objective, validator, plan, job.device, job.scratch / "network", job.hooks
        )
    finally:
        if ahead is not None:
            ahead.close()
    module.cpu().eval()
    return found


def details(plan: loop.Plan, outcome: loop.Outcome) -> dict[str, Any]:
    """What the model's provenance says of a run."""
    found = classification.Outcome(np.zeros((0, 0), np.float32), outcome.metrics, outcome.best_step, outcome.steps,
                                   outcome.history, outcome.compiled)  # fmt: skip
    return {**neural.run_details(plan, found), "stopped_by": plan.early_stopping.metric}
