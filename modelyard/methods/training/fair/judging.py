"""How groups fare on validation while a model learns; what is promised about a model is measured on test, elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.training import evaluation
from modelyard.methods.training.fair.settings import Constraint

Ints = NDArray[np.int64]
LEAST = 10
"""Validation rows of a group that say anything about it."""


def rates_gap(chosen: NDArray[np.bool_], rows: NDArray[np.bool_], groups: Ints) -> float:
    """Largest less smallest share of `chosen` among the `rows` of each group with LEAST of them; 0 if fewer than two
    groups have them."""
    codes = groups[rows & (groups >= 0)]
    sizes = np.bincount(codes)
    hits = np.bincount(groups[rows & chosen & (groups >= 0)], minlength=len(sizes))
    kept = sizes >= LEAST
    return float(np.ptp(hits[kept] / sizes[kept])) if kept.sum() > 1 else 0.0


def gap(answers: Ints, labels: Ints, groups: Ints, positives: Sequence[int], constraint: Constraint) -> float:
    """The largest gap of a constraint over the classes `positives`."""
    found = []
    for place in positives:
        chosen, actual = answers == place, labels == place
        rows = {
            "demographic_parity": [np.ones_like(actual)],
            "equal_opportunity": [actual],
            "equalized_odds": [actual, ~actual],
        }[constraint]
        found += [rates_gap(chosen, part, groups) for part in rows]
    return max(found)


def worst_accuracy(answers: Ints, labels: Ints, cells: Ints) -> float:
    """Accuracy of the cell with the lowest, of those with LEAST rows."""
    kept = cells >= 0
    sizes = np.bincount(cells[kept])
    hits = np.bincount(cells[kept & (answers == labels)], minlength=len(sizes))
    enough = sizes >= LEAST
    return float((hits[enough] / sizes[enough]).min())


@dataclass(frozen=True)
class ByGroup:
    """The loop's metrics of classes, with `worst_group_accuracy`, `gap` and `accuracy_less_gap`.

    Attributes:
        logits: [rows, classes] of a module on validation.
        cells: groups as `worst_group_accuracy` takes them, with the label where asked for.
    """

    logits: Callable[[torch.nn.Module], NDArray[np.float32]]
    labels: Ints
    groups: Ints
    cells: Ints
    positives: Sequence[int]
    constraint: Constraint

    def __call__(self, module: torch.nn.Module) -> dict[str, float]:
        logits = self.logits(module)
        metrics, answers = evaluation.scores(logits, self.labels), logits.argmax(1)
        apart = gap(answers, self.labels, self.groups, self.positives, self.constraint)
        worst = worst_accuracy(answers, self.labels, self.cells)
        found = {"worst_group_accuracy": worst, "gap": apart, "accuracy_less_gap": metrics["accuracy"] - apart}
        return {**metrics, **found}


def check(groups: Ints, cells: Ints) -> None:
    """Raises InputError if validation has too few rows of the groups to judge by."""
    for codes in (groups, cells):
        sizes = np.bincount(codes[codes >= 0])
        if (sizes >= LEAST).sum() < 2:
            raise InputError(
                t("fewer than two groups have {count} validation rows", count=LEAST),
                where="data/validation",
                expected=t("rows of every group"),
                remedy=t("use data.split with a larger `validation`"),
            )
