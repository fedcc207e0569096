"""How good the model in a folder is on validation, whatever it is for: what soups and scales are chosen by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.runtimes import combination
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.training.combining import scoring
from modelyard.methods.training.combining.ensembles import single
from modelyard.methods.training.combining.outputs import gather
from modelyard.methods.training.combining.text_loss import text_losses

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """One model on the validation rows.

    Attributes:
        losses: [rows]: cross-entropy in nats, squared error, or a text's mean cross-entropy per token.
        right: [rows] whether the label was right; None for other tasks.
    """

    losses: Floats
    right: NDArray[np.bool_] | None = None

    @property
    def loss(self) -> float:
        return float(self.losses.mean())

    @property
    def accuracy(self) -> float | None:
        return None if self.right is None else float(self.right.mean())

    def order(self, metric: str) -> tuple[float, float]:
        """Less is better."""
        return (-(self.accuracy or 0.0) if metric == "accuracy" else 0.0, self.loss)


Judge = Callable[[Path], Judged]


def judge_of(data: Dataset, batch_rows: int, threads: int | None, texts: int) -> Judge:
    """A judge on the validation rows of a data set.

    Args:
        texts: rows at most, for models that write text.
    """

    def judge(folder: Path) -> Judged:
        card = ModelCard.read(folder)
        if card.task == "text-generation":
            return Judged(text_losses(folder, data, texts, threads))
        if card.task not in (*combination.SCORED, *combination.VALUED):
            raise InputError(
                t("models for {task} cannot be compared on validation here", task=card.task), where="method",
                expected=t("a method that chooses nothing: uniform, slerp, or a `scale` in numbers"),
            )  # fmt: skip
        return _answered(folder, card, data, batch_rows, threads)

    return judge


def _answered(folder: Path, card: ModelCard, data: Dataset, batch_rows: int, threads: int | None) -> Judged:
    predictor = runtimes.load(folder, threads=threads)
    try:
        found = gather([predictor], list(card.inputs), data, "validation", batch_rows, _nobody)
    finally:
        predictor.close()
    scores: Any = single(found.members[0])
    losses = scoring.row_losses(scores, found.targets)
    return Judged(losses, None if scores.ndim == 1 else scores.argmax(1) == found.targets)


def _nobody(done: int, total: int, what: str) -> None:
    """Nobody listens."""
