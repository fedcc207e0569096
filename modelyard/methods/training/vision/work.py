"""From labelled images to a trained classifier, on the one loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.methods import networks
from modelyard.methods.data.augmentation.images import ImageChanges
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.preprocessing.image import Fit, Image
from modelyard.methods.training import classification, devices, evaluation, fixed, loop, objectives
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.loader.ahead import FeedAhead
from modelyard.methods.training.random import seed_torch
from modelyard.methods.training.settings import ClassWeights, Optimizer
from modelyard.methods.training.vision import models, rows

EVALUATION_PIXELS = 1 << 21
DROPOUT = 0.2


@dataclass(frozen=True)
class Defaults:
    """What a kind of model trains well with; the learning rate is in AdamW's measure."""

    learning_rate: float
    batch_size: int
    epochs: int
    optimizer: Optimizer = field(default_factory=Optimizer)


DEFAULTS: Mapping[str, Defaults] = {
    "cnn": Defaults(4e-3, 128, 16, Optimizer(name="muon")),
    "resnet": Defaults(1e-3, 128, 15),
    "mobilenet": Defaults(1e-3, 128, 20),
    "vit": Defaults(5e-4, 128, 40),
    "base": Defaults(1e-4, 32, 5),
    "frozen": Defaults(1e-3, 64, 10),
}
FOLDER = "network"
"""Below the scratch folder: checkpoints and snapshots."""


@dataclass(frozen=True)
class Settings:
    """What a user may choose; see the stage's Config for the words. `base`: folder of a base, or None."""

    size: models.Size = "cnn"
    base: Path | None = None
    freeze: models.Freeze = "nothing"
    side: int | None = None
    fit: Fit = "crop"
    changes: ImageChanges | None = None
    class_weights: ClassWeights = "none"

    @property
    def defaults(self) -> Defaults:
        kind = self.size if self.base is None else "base" if self.freeze == "nothing" else "frozen"
        return DEFAULTS[kind]


@dataclass(frozen=True)
class Classifier:
    """A trained classifier.

    Attributes:
        module: in evaluation mode, on the CPU.
        network: spec of a network of ours; empty: a model of transformers.
        reading: how it reads images.
        outputs: [validation rows, classes].
        validation: the rows these are of.
        details: choices made on the way; no times.
        learner: `module` as the loop had it, which its snapshots fit; None if it is `module` itself.
    """

    module: Any
    network: Mapping[str, Any]
    reading: Image
    outputs: NDArray[np.float32]
    training: rows.Images
    validation: rows.Images
    details: Mapping[str, Any]
    learner: Any = None

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.module.parameters())


def train(
    data: Dataset,
    labels: tuple[str, ...],
    settings: Settings,
    plan: loop.Plan,
    device: torch.device,
    scratch: Path,
    hooks: Hooks,
) -> Classifier:
    """Read the images, then train; validation stops and chooses.

    Raises:
        InputError: nothing can be learned from the images, or the base is no image model.
        StageError: the loss is no longer a number.
    """
    reading = rows.reading_of(data, settings.side, settings.fit)
    base = None if settings.base is None else models.open_base(settings.base, len(labels), plan.seed)
    if settings.base is not None and base is not None:
        reading = models.reading_of(settings.base, base, reading, settings.side)
    training = rows.read(data, "train", reading, labels, scratch, hooks)
    if base is None:
        reading = rows.normalised(reading, training.pixels)
    validation = rows.read(data, "validation", reading, labels, scratch, hooks)
    hooks.say(
        t(
            "images are read as {width} x {height} with {channels} channels",
            width=reading.width,
            height=reading.height,
            channels=reading.channels,
        )
    )
    module, network = _module(base, settings, reading, len(labels), plan)
    outcome = _fit(module, reading, training, validation, settings, plan, device, scratch, hooks, len(labels))
    plain = (module.model if isinstance(module, models.KeepStill) else module).cpu().eval()
    outputs = fixed.outputs_of(
        plain, rows.reader(validation, reading, None, 0), len(validation), torch.device("cpu"), _size(reading)
    )
    details = {
        "steps": outcome.steps,
        "best_step": outcome.best_step,
        "optimizer": plan.optimizer.name,
        **{name: getattr(plan, name) for name in ("learning_rate", "batch_size", "epochs", "precision", "threads")},
    }
    return Classifier(plain, network, reading, outputs, training, validation, details, module)


def _module(
    base: Any, settings: Settings, reading: Image, num_labels: int, plan: loop.Plan
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The module to train, and the spec if it is a network of ours."""
    dropout = plan.regularization.dropout
    with devices.reproducible(torch.device("cpu"), plan.threads):
        seed_torch(plan.seed, "weights", 0)
        if base is not None:
            _fresh_head(base)
            return models.freeze(base, settings.freeze), {}
        if settings.size != "cnn":
            return models.from_config(settings.size, reading, num_labels, dropout), {}
        spec = models.cnn_spec(reading, num_labels, DROPOUT if dropout is None else dropout)
        return networks.build(spec), spec


def _fresh_head(model: Any) -> None:
    """A head of its own for these classes, whatever the base had: small weights, no bias."""
    for name, parameter in model.named_parameters():
        if name.split(".")[0] in models.HEADS:
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.02)
            else:
                torch.nn.init.zeros_(parameter)


def _size(reading: Image) -> int:
    """Images evaluated in one go."""
    return max(1, min(512, EVALUATION_PIXELS // (reading.height * reading.width)))


def _fit(
    module: torch.nn.Module,
    reading: Image,
    training: rows.Images,
    validation: rows.Images,
    settings: Settings,
    plan: loop.Plan,
    device: torch.device,
    scratch: Path,
    hooks: Hooks,
    num_labels: int,
) -> loop.Outcome:
    of_class = objectives.class_weights(training.labels, num_labels, settings.class_weights)
    feed = fixed.FixedFeed(
        rows.reader(training, reading, settings.changes, plan.seed),
        {"labels": torch.from_numpy(training.labels)},
        of_class[training.labels] * training.weights,
        training.names,
        plan,
        device,
    )
    read = rows.reader(validation, reading, None, 0)
    validator = fixed.ClassScores(read, validation.labels, device, _size(reading))
    objective = classification.objective_of(plan)
    # A device computes while a thread makes its next batches; on the processor the two would share the cores.
    ahead = FeedAhead(feed) if device.type != "cpu" else None
    try:
        return loop.train(module, ahead or feed, objective, validator, plan, device, scratch / FOLDER, hooks)
    finally:
        if ahead is not None:
            ahead.close()


def scores(found: Classifier) -> dict[str, float]:
    """Of validation: `accuracy`, `f1_macro`, `loss`."""
    return evaluation.scores(found.outputs, found.validation.labels)
