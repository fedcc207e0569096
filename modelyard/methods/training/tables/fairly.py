"""Exponentiated gradient over each kind of model of tables: how one is made again with other targets and weights.

Trees that were grown are kept in the scratch folder: a run that was killed asks for the same ones in the same order,
finds them there, and ends with the same bytes. Linear models are fitted anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base import files
from modelyard.base.canonical import digest_bytes
from modelyard.base.messages import t
from modelyard.methods.training import loop
from modelyard.methods.training.fair.arranging import Fair
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.settings_tables import Trees
from modelyard.methods.training.tables import boosted, linear, reductions
from modelyard.methods.training.tables.learned import Learned
from modelyard.methods.training.tables.rows import Splits

Arrays = Mapping[str, NDArray[Any]]


def trees(
    plain: Learned,
    matrices: list[NDArray[np.float64]],
    splits: Splits,
    settings: Trees,
    fair: Fair,
    plan: loop.Plan,
    scratch: Path,
    hooks: Hooks,
) -> Learned:
    """Boosted trees, each of as many rounds as validation chose for `plain`."""
    from modelyard.methods.runtimes import gbdt

    rows = _rows(splits, fair, hooks)
    rounds, matrix, kept = int(plain.details["rounds"]), matrices[0][rows], _Kept(scratch)

    def scores(text: str, table: NDArray[np.float64]) -> NDArray[np.float32]:
        return gbdt.scores(gbdt.open_booster(text, "trees"), table, 2, plan.threads)

    def make(targets: NDArray[np.int64], weights: NDArray[np.float32]) -> Learned:
        part = boosted.Part(matrix, targets, weights)
        path = kept.path(targets, weights)
        text = kept.text(path)
        if not text:
            text = boosted.grow(part, plain.table.categories, 2, settings, rounds, plan.seed, plan.threads)
            kept.keep(path, text)
        return replace(
            plain, outputs=scores(text, matrices[1]), num_parameters=boosted.num_leaves(text), trees=text,
            details={"rounds": rounds, "threads": plan.threads, "settings": settings.model_dump()},
        )  # fmt: skip

    maker = reductions.Maker(make, lambda one: scores(one.trees, matrix), rows)
    targets = splits.training.targets[rows], splits.validation.targets
    return reductions.train(maker, plain, *targets, fair, hooks)


def linear_models(plain: Learned, arrays: Sequence[Arrays], splits: Splits, fair: Fair, hooks: Hooks) -> Learned:
    """Logistic regressions, each with the penalty that validation chose for `plain`."""
    rows = _rows(splits, fair, hooks)
    mine = {name: values[rows] for name, values in arrays[0].items()}
    fit = linear.refit(plain.table, plain, (mine, arrays[1]))
    maker = reductions.Maker(fit, lambda one: linear.outputs(one, mine), rows)
    targets = splits.training.targets[rows], splits.validation.targets
    return reductions.train(maker, plain, *targets, fair, hooks)


def _rows(splits: Splits, fair: Fair, hooks: Hooks) -> NDArray[np.int64]:
    """Places of the training rows in a group: only these are learned from."""
    rows: NDArray[np.int64] = np.flatnonzero(fair.groups.training >= 0)
    left_out = len(splits.training) - len(rows)
    if left_out:
        hooks.say(t("{count} training rows in no group are not learned from", count=left_out))
    if np.ptp(splits.training.weights[rows]) > 0:
        hooks.say(t("weights of rows are not minded: exponentiated gradient makes its own"))
    return rows


class _Kept:
    """Trees by what they were learned from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, targets: NDArray[np.int64], weights: NDArray[np.float32]) -> Path:
        name = digest_bytes(targets.tobytes() + weights.tobytes())
        return self._folder / f"{name.rpartition(':')[2]}.txt"

    def text(self, path: Path) -> str:
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def keep(self, path: Path, text: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        files.write_atomic(path, text.encode())
