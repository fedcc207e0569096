"""Learning to say the next token of documents: pretraining from fresh weights, or going on from trained ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.training import adapters, devices
from modelyard.methods.training.language import learning, models, objectives, texts
from modelyard.methods.training.language.learning import Job, Learning
from modelyard.methods.training.language.network import TokenLosses
from modelyard.methods.training.language.objectives import NextToken, TokenScores
from modelyard.methods.training.language.packing import Layout, PackedFeed
from modelyard.methods.training.language.settings import Adapter

TOKENS_PER_WEIGHT = 20
"""Of fresh weights, for the least loss at a given cost (Hoffmann et al. 2022, "Training Compute-Optimal Large Language
Models")."""
MAX_EPOCHS = 4
"""Tokens read so many times are worth almost as much as new ones, later ones less (Muennighoff et al. 2023)."""
TOKENS_A_BATCH = 8192


@dataclass(frozen=True)
class Settings:
    """What a user may choose; see the stage's Config.

    Attributes:
        context: tokens of a line.
        batch_size: lines of one forward pass; None: as many as make 8,192 tokens.
        tokens: to learn from in all, at most; None: no such limit.
    """

    context: int
    batch_size: int | None = None
    tokens: int | None = None
    learning: Learning = field(default_factory=Learning)
    adapter: Adapter | None = None


@dataclass(frozen=True)
class Trained:
    """A trained language model with the best weights, on the CPU.

    Attributes:
        metrics: over the whole validation split, in fp32, as the predictor computes.
        interval: 95 %, of the loss; None if validation is too small to tell.
        details: choices made on the way, for provenance; no times.
    """

    model: Any
    tokenizer: Any
    metrics: Mapping[str, float]
    interval: tuple[float, float] | None
    num_targets: int
    details: Mapping[str, Any]


def train(
    model: Any, tokenizer: Any, is_fresh: bool, data: Dataset, column: str, settings: Settings, job: Job
) -> Trained:
    """Learn the texts of a column.

    Raises:
        InputError: a split has no text.
        StageError: the loss is no longer a number.
    """
    job.hooks.say(t("{count:,} weights, {tokens:,} kinds of token", count=num_weights(model), tokens=len(tokenizer)))
    batch_size = settings.batch_size or max(1, TOKENS_A_BATCH // settings.context)
    layout = Layout(settings.context, batch_size, settings.learning.accumulation, job.seed)
    feeds = {}
    for split in ("train", "validation"):
        found = texts.documents(data, split, column, tokenizer, job.scratch / "tokens")
        feeds[split] = PackedFeed(found, layout if split == "train" else replace(layout, accumulation=1), job.device)
    feed = feeds["train"]
    steps = _steps(settings, model, feed, batch_size, is_fresh)
    plan = learning.plan_for(
        settings.learning, job, batch_size, feed.epoch_steps, steps, models.usual_rate(model, is_fresh)
    )
    adapted = None if settings.adapter is None else adapters.add(model, settings.adapter, job.seed, job.threads)
    module = TokenLosses(model)
    num_bytes = texts.num_bytes(data, "validation", column)
    scores = TokenScores(feeds["validation"], job.device, plan.precision, num_bytes)
    outcome = learning.run(module, feed, NextToken(), scores, plan, job)
    model = model if adapted is None else adapted.merge()
    lines = final_lines(TokenLosses(model), replace(scores, precision="fp32"), job)
    details = {
        **learning.details(plan, outcome),
        "context": settings.context,
        "batches_an_epoch": feed.num_batches,
        "history": [dict(entry) for entry in outcome.history],
    }
    return Trained(
        model=model.cpu().eval(),
        tokenizer=tokenizer,
        metrics=objectives.scores(lines, num_bytes),
        interval=objectives.interval(lines),
        num_targets=int(lines[:, 1].sum()),
        details=details,
    )


def final_lines(module: TokenLosses, scores: TokenScores, job: Job) -> NDArray[np.float64]:
    """Measured on the weights that are kept."""
    with devices.reproducible(job.device, job.threads):
        return scores.lines(module.to(job.device))


def _steps(settings: Settings, model: Any, feed: PackedFeed, batch_size: int, is_fresh: bool) -> int:
    of_step = feed.num_targets / feed.epoch_steps
    usual = 1.0
    if is_fresh:
        usual = min(MAX_EPOCHS, TOKENS_PER_WEIGHT * num_weights(model) / feed.num_targets)
    chosen = settings.learning
    if settings.tokens is not None:
        limit = max(1, int(settings.tokens / of_step))
        chosen = replace(chosen, max_steps=min(limit, chosen.max_steps or limit))
    return learning.steps_for(chosen, feed.epoch_steps, usual)


def num_weights(model: Any) -> int:
    """Of the network, shared ones once."""
    return sum(parameter.numel() for parameter in model.parameters())
