"""Fairness put into a run of the loop: network, feed, objective, validator and plan, each as its kind needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.training import devices
from modelyard.methods.training.axes import Feed, Objective, Validator
from modelyard.methods.training.fair import dro, groups, judging, reversal
from modelyard.methods.training.fair.groups import Groups
from modelyard.methods.training.fair.settings import Fairness
from modelyard.methods.training.hooks import Say
from modelyard.methods.training.plan import Plan
from modelyard.methods.training.random import seed_torch

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Fair:
    """What a user wants, the groups of the rows, and the labels' names."""

    settings: Fairness
    groups: Groups
    labels: tuple[str, ...]

    def positives(self) -> list[int]:
        """Places of the classes whose rates are compared: the positive one of two, else each.

        Raises:
            InputError: there is no class of that name, or true positive rates of several have no one class.
        """
        if self.settings.positive is None and self.settings.constraint == "equal_opportunity" and len(self.labels) > 2:
            raise InputError(
                t("`equal_opportunity` of more than two classes needs `positive`"),
                where="fairness.positive",
                expected=", ".join(self.labels[:10]),
            )
        if self.settings.positive is None:
            return [1] if len(self.labels) == 2 else list(range(len(self.labels)))
        if self.settings.positive not in self.labels:
            raise InputError(
                t("no class `{name}`", name=self.settings.positive),
                where="fairness.positive",
                expected=", ".join(self.labels[:10]),
                remedy=did_you_mean(self.settings.positive, list(self.labels)),
            )
        return [self.labels.index(self.settings.positive)]


def opened(
    data: Dataset, settings: Fairness, names: tuple[Sequence[str], Sequence[str]], labels: Sequence[str], say: Say
) -> Fair:
    """Fairness as a stage hands it on; what is to be known of the groups is said.

    Args:
        names: row ids of train and validation, as they are learned from.

    Raises:
        InputError: as `groups.read` and `Fair.positives`.
    """
    fair = Fair(settings, groups.read(data, settings, *names), tuple(labels))
    for note in fair.groups.notes:
        say(note)
    fair.positives()
    return fair


@dataclass(frozen=True)
class Run:
    """What the loop is given."""

    module: torch.nn.Module
    feed: Feed
    objective: Objective
    validator: Validator
    plan: Plan


@dataclass(frozen=True)
class Cells:
    """Groups as an objective takes them, in train and validation; with the label where that was asked for."""

    training: Ints
    validation: Ints
    sizes: tuple[int, ...]


def cells_of(fair: Fair, labels: tuple[Ints, Ints]) -> Cells:
    """The cells of a run.

    Args:
        labels: of train and validation.

    Raises:
        InputError: validation has too few rows of them.
    """
    found = fair.groups.training, fair.groups.validation
    if fair.settings.kind == "group_dro" and fair.settings.with_label:
        both = [dro.cells(codes, each, len(fair.labels)) for codes, each in zip(found, labels, strict=True)]
        found = dro.compact(both[0], both[1])
    judging.check(fair.groups.validation, found[1])
    return Cells(found[0], found[1], tuple(np.bincount(found[0][found[0] >= 0]).tolist()))


def arranged(
    run: Run,
    fair: Fair,
    cells: Cells,
    labels: Ints,
    logits: Callable[[torch.nn.Module], NDArray[np.float32]],
) -> Run:
    """The run with fairness in it. Its feed must have `cells.training` among its targets, as `dro.GROUPS`.

    Args:
        labels: of validation.
        logits: of a module on validation.
    """
    settings, plan = fair.settings, run.plan
    positives = fair.positives()
    validator = judging.ByGroup(
        logits, labels, fair.groups.validation, cells.validation, positives, settings.constraint
    )
    if settings.watched is not None:
        stopping = plan.early_stopping.model_copy(update={"metric": settings.watched})
        plan = replace(plan, early_stopping=stopping)
    # A compiled graph would not see the hook of the adversary.
    plan = replace(plan, compile="off")
    if settings.kind == "group_dro":
        feed = dro.GroupedFeed(run.feed, len(cells.sizes))
        objective: Any = dro.GroupDro(run.objective, cells.sizes, settings.step_size, settings.adjustment)
        return Run(run.module, feed, objective, validator, plan)
    with devices.reproducible(torch.device("cpu"), plan.threads):
        seed_torch(plan.seed, "adversary", 0)
        module = reversal.beside(run.module, settings, len(fair.labels), len(fair.groups.names))
    objective = reversal.GradientReversal(run.objective, settings, len(fair.labels), positives[0])
    return Run(module, run.feed, objective, validator, plan)
