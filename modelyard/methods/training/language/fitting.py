"""One training by the likelihood of tokens: adapters if they are wanted, the loop, the measurement of what is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.methods.training import adapters, devices, nf4
from modelyard.methods.training.language import learning, models, objectives
from modelyard.methods.training.language.documents import Documents
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


@dataclass(frozen=True)
class Beside:
    """An adapter that is wanted, and what belongs to it.

    Attributes:
        base: digest of the weights it stands beside.
        tokens: ids whose rows are trained as well.
        start: folder of an adapter to go on from.
        keep: where to write the adapter alone.
    """

    shape: Adapter
    base: str = ""
    tokens: Sequence[int] = ()
    start: Path | None = None
    keep: Path | None = None

    def add(self, model: Any, job: Job) -> adapters.Adapted:
        """Put it beside the model's layers; says how many weights are trained.

        Raises InputError if the adapter to go on from was made for another base.
        """
        self.hold(model, job)
        made = adapters.add(model, self.shape, job.seed, job.threads, self.tokens, self.base)
        if self.start is not None:
            made.load(self.start)
        trained = sum(one.numel() for one in made.model.parameters() if one.requires_grad)
        job.hooks.say(t("{count:,} weights of the adapter are trained", count=trained))
        return made

    def hold(self, model: Any, job: Job) -> None:
        """Hold the base as the settings say; says what it takes. Nothing if it is held so already."""
        if self.shape.base != "nf4" or nf4.holds(model):
            return
        before = nf4.num_bytes(model)
        count = nf4.hold(model)
        job.hooks.say(
            t(
                "{count:,} matrices of the base are held in 4 bits (NF4): it takes {after:,.1f} MiB instead of "
                "{before:,.1f}",
                count=count,
                after=nf4.num_bytes(model) / 2**20,
                before=before / 2**20,
            )
        )

    def merge(self, adapted: adapters.Adapted) -> Any:
        """The merged model; the adapter is written first if it is to be kept."""
        if self.keep is not None:
            adapted.save(self.keep)
        return adapted.merge()


@dataclass(frozen=True)
class Settings:
    """What a user may choose; see the stages' Configs.

    Attributes:
        context: tokens of a line.
        batch_size: lines of one forward pass.
        usual_epochs: if nothing says how long to learn; None: as long as fresh weights are worth it.
        tokens: to learn from in all, at most; None: no such limit.
        rate: the usual peak rate; None: that of a causal language model.
        kind: of layout: several documents a line, or one.
    """

    context: int
    batch_size: int
    usual_epochs: float | None = 1.0
    tokens: int | None = None
    learning: Learning = field(default_factory=Learning)
    adapter: Beside | None = None
    rate: float | None = None
    kind: Literal["packs", "buckets"] = "packs"


class Feeding(Protocol):
    """What makes a feed of documents, such as `PackedFeed`."""

    def __call__(self, documents: Any, layout: Layout, device: torch.device, /) -> PackedFeed: ...


@dataclass(frozen=True)
class Trained:
    """A trained language model with the best weights, on the CPU, adapters merged.

    Attributes:
        metrics: over the whole validation split, in fp32, as the predictor computes.
        interval: 95 %, of the loss; None if validation is too small to tell.
        details: choices made on the way, for provenance; no times.
    """

    model: Any
    metrics: Mapping[str, float]
    interval: tuple[float, float] | None
    num_targets: int
    details: Mapping[str, Any]


def fit(
    model: Any,
    training: Documents,
    validation: Documents,
    settings: Settings,
    job: Job,
    num_bytes: int | None = None,
    feeding: Feeding = PackedFeed,
) -> Trained:
    """Learn to say the marked tokens of the training documents.

    Args:
        num_bytes: of the validation texts.
        feeding: makes the batches; by default each token is to be told from those before it.

    Raises:
        StageError: the loss is no longer a number.
    """
    layout = Layout(settings.context, settings.batch_size, settings.learning.accumulation, job.seed, settings.kind)
    feed = feeding(training, layout, job.device)
    judged = feeding(validation, replace(layout, accumulation=1), job.device)
    scores = TokenScores(judged, job.device, job.precision, num_bytes)
    steps = _steps(settings, model, feed)
    rate = settings.rate
    if rate is None:
        rate = models.usual_rate(model, settings.usual_epochs is None, settings.adapter is not None)
    plan = learning.plan_for(settings.learning, job, settings.batch_size, feed.epoch_steps, steps, rate)
    adapted = None if settings.adapter is None else settings.adapter.add(model, job)
    outcome = learning.run(TokenLosses(model), feed, NextToken(), scores, plan, job)
    if settings.adapter is not None and adapted is not None:
        model = settings.adapter.merge(adapted)
    lines = _final_lines(model, replace(scores, precision="fp32"), job)
    details = {
        **learning.details(plan, outcome),
        "context": settings.context,
        "batches_an_epoch": feed.num_batches,
        "history": [dict(entry) for entry in outcome.history],
    }
    return Trained(
        model=model.cpu().eval(),
        metrics=objectives.scores(lines, num_bytes),
        interval=objectives.interval(lines),
        num_targets=int(lines[:, 1].sum()),
        details=details,
    )


def _final_lines(model: Any, scores: TokenScores, job: Job) -> NDArray[np.float64]:
    """Measured on the weights that are kept."""
    with devices.reproducible(job.device, job.threads):
        return scores.lines(TokenLosses(model).to(job.device))


def _steps(settings: Settings, model: Any, feed: PackedFeed) -> int:
    usual = settings.usual_epochs
    if usual is None:
        usual = min(MAX_EPOCHS, TOKENS_PER_WEIGHT * num_weights(model) / feed.num_targets)
    chosen = settings.learning
    if settings.tokens is not None:
        limit = max(1, int(settings.tokens * feed.epoch_steps / feed.num_targets))
        chosen = replace(chosen, max_steps=min(limit, chosen.max_steps or limit))
    return learning.steps_for(chosen, feed.epoch_steps, usual)


def num_weights(model: Any) -> int:
    """Of the network, shared ones once."""
    return sum(parameter.numel() for parameter in model.parameters())
