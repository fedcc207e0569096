"""An ensemble of the weights at the ends of a schedule's cycles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from modelyard.base import files
from modelyard.base.messages import t
from modelyard.errors import StageError
from modelyard.methods import runtimes
from modelyard.methods.runtimes.combination import Combination
from modelyard.methods.runtimes.predictor import Record
from modelyard.methods.training import checkpoints
from modelyard.methods.training.combining.weights import golden_records
from modelyard.methods.training.combining.writing import write_ensemble


def write_model(
    write: Callable[[Path], None],
    module: torch.nn.Module,
    found: Sequence[Path],
    scratch: Path,
    folder: Path,
    provenance: Mapping[str, Any],
    licence: str,
) -> None:
    """An ensemble of the snapshots, each written as `write` writes the module.

    Args:
        found: of `snapshots.paths`.
        scratch: for the members while they are made.

    Raises:
        StageError: there are no snapshots.
    """
    if not found:
        raise StageError(t("no cycle came to its end"), expected=t("at least one"), remedy=t("train for more steps"))
    members = []
    for number, path in enumerate(found, 1):
        checkpoints.restore_trained(module, load_file(path))
        member = scratch / "members" / str(number)
        files.remove_tree(member)
        member.mkdir(parents=True)
        write(member)
        members.append(member)
    write_ensemble(members, folder, Combination("average"), provenance, licence, golden_records(members[-1]))


def line(count: int, metric: str, together: float, alone: float) -> str:
    """What the user is told of so many snapshots."""
    return t("{count} snapshots together: validation {metric} {together:.4f}; the best weights alone {alone:.4f}",
             count=count, metric=metric, together=together, alone=alone)  # fmt: skip


def outputs(folder: Path, records: Sequence[Record]) -> NDArray[np.float32]:
    """What the model in a folder answers: [records, labels] logarithms of scores, or [records, 1] values."""
    predictor = runtimes.load(folder)
    try:
        answers: Any = predictor.predict(records)
    finally:
        predictor.close()
    if not predictor.labels:
        return np.array([[answer.value] for answer in answers], np.float32)
    scores = np.array([[answer.scores[label] for label in predictor.labels] for answer in answers], np.float64)
    result: NDArray[np.float32] = np.log(np.maximum(scores, np.finfo(np.float32).tiny)).astype(np.float32)
    return result


def hits(folder: Path, texts: Sequence[str], targets: NDArray[np.int64]) -> int:
    """Rows that the classifier in a folder answers rightly; targets are places in its labels."""
    predictor = runtimes.load(folder)
    try:
        answers = predictor.predict([{"text": text} for text in texts])
    finally:
        predictor.close()
    return sum(answer.label == predictor.labels[goal] for answer, goal in zip(answers, targets.tolist(), strict=True))
