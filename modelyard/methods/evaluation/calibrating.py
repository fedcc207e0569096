"""What the stages `calibrate.*` share: answers to the rows kept for calibration, and a model with one more step.

Two fits on the same rows flatter each other: a conformal threshold is exact only if its rows are new to the
probabilities too. So the rows fall into two halves, by a hash of their ids.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation import measuring
from modelyard.methods.evaluation.measuring.examples import Examples
from modelyard.methods.evaluation.opening import opened
from modelyard.methods.evaluation.recording import Recorder
from modelyard.methods.evaluation.settings import Asking, Measuring
from modelyard.methods.postprocessing.step import SMALLEST
from modelyard.methods.runtimes.golden import write_golden
from modelyard.methods.runtimes.model_folder import GOLDEN, ModelCard
from modelyard.methods.training.hooks import Hooks

SPLIT = "calibration"
Part = Literal["first", "second", "all"]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """Rows of the calibration split with what the model says.

    Attributes:
        card: of the model.
        answers: as the task's family measures them (`quality.Answers`, `regression.Numbers`).
        said: the answers themselves, one for each row.
        part, kept: which rows are fitted on, and for each row [n] whether it is one.
    """

    card: ModelCard
    answers: Any
    said: Sequence[Any]
    examples: Examples
    part: Part
    kept: Bools

    @property
    def num(self) -> int:
        """Rows that are fitted on."""
        return int(self.kept.sum())

    @property
    def kept_ids(self) -> list[str]:
        """Ids of the rows that are fitted on."""
        return [name for name, keep in zip(self.examples.row_ids, self.kept.tolist(), strict=True) if keep]

    @property
    def logs(self) -> NDArray[np.float64]:
        """Log-probabilities [n, classes]."""
        found: NDArray[np.float64] = np.log(np.maximum(self.answers.scores, SMALLEST))
        return found


def read(
    model: Path,
    data: Path,
    asking: Asking,
    tasks: Sequence[str],
    wanted: Literal["auto", "first", "second", "all"],
    seed: int,
    hooks: Hooks,
) -> Rows:
    """Ask the model about the whole split, and choose the rows to fit on.

    Raises InputError for another task or a split without rows.
    """
    card = ModelCard.read(model)
    settings = Measuring(batch_rows=asking.batch_rows, threads=asking.threads)
    with opened(model, settings.threads) as predictor:
        if predictor.task not in tasks:
            raise InputError(
                t("models of the task `{task}` are not calibrated so", task=predictor.task), expected=", ".join(tasks)
            )
        found = Dataset.open(data)
        family = measuring.find(predictor.task)
        examples = Examples.read(found, SPLIT, family.reader(found, predictor.task, settings))
        recorder: Any = Recorder(predictor)
        answers = family.answer(recorder, examples, settings, lambda done, total: hooks.progress(done, total, "rows"))
    if examples.left_out:
        hooks.say(t("{count} calibration rows were left out", count=len(examples.left_out)))
    which = settled(wanted, card)
    return Rows(card, answers, recorder.said, examples, which, part(examples.row_ids, which, seed))


def warn_of_same_rows(rows: Rows, hooks: Hooks) -> None:
    """A promise needs rows that are new to the probabilities too."""
    for kind in seen(rows.card, rows.part):
        hooks.say(t("`{kind}` was fitted on some of the same rows: what is promised may not hold", kind=kind))


def part(row_ids: Sequence[str], which: Part, seed: int) -> Bools:
    """Rows [n] of one half, or all: by a hash of seed and id, so that it does not depend on the order."""
    if which == "all":
        return np.ones(len(row_ids), dtype=np.bool_)
    first = _halves(row_ids, b"calibration half", seed) < 0.5
    return first if which == "first" else ~first


def shares(row_ids: Sequence[str], purpose: str, seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each row and purpose."""
    return _halves(row_ids, purpose.encode(), seed)


def _halves(row_ids: Sequence[str], purpose: bytes, seed: int) -> NDArray[np.float64]:
    key = seed.to_bytes(8, "big", signed=True) + purpose
    drawn = (hashlib.blake2b(row_id.encode(), key=key[:64], digest_size=8).digest() for row_id in row_ids)
    return np.array([int.from_bytes(one, "big") / 2**64 for one in drawn])


def settled(wanted: Literal["auto", "first", "second", "all"], card: ModelCard) -> Part:
    """`auto`: the half no fit of the model has seen, or all rows if there is none yet."""
    if wanted != "auto":
        return wanted
    return "second" if any(SCALING & {str(one.get("kind"))} for one in card.postprocessing) else "all"


SCALING = {"temperature", "platt", "vector", "isotonic"}


def seen(card: ModelCard, which: Part) -> list[str]:
    """Kinds of scaling the model has that were fitted on some of these rows."""
    return [
        str(one["kind"])
        for one in card.postprocessing
        if one.get("kind") in SCALING and ("all" in (one.get("part"), which) or one.get("part") == which)
    ]


CELL = {"type": "string", "shape": []}
"""What `model.json` says of a column whose values are names of groups."""


def ship(model: Path, target: Path, steps: Sequence[Mapping[str, Any]], also: Mapping[str, Any] | None = None) -> None:
    """The model as it is, with more steps at the end of its decision layer, and golden answers made anew.

    Args:
        also: columns that the steps read, with a value for golden records that lack them. A record must hold them from
            now on, so they stand among the model's inputs.
    """
    shutil.copytree(model, target, dirs_exist_ok=True, copy_function=shutil.copyfile)
    card = ModelCard.read(target)
    inputs = {**card.inputs, **{name: dict(CELL) for name in also or {} if name not in card.inputs}}
    replace(card, inputs=inputs, postprocessing=(*card.postprocessing, *steps)).write(target)
    golden = target / GOLDEN
    if steps and golden.is_file():
        value = json.loads(golden.read_text(encoding="utf-8"))
        write_golden(target, [{**(also or {}), **record} for record in value["records"]], float(value["tolerance"]))
