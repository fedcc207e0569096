"""Runtime `gbdt`: boosted trees in LightGBM's own text format, computed by LightGBM on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.runtimes.batching import Arrays
from modelyard.methods.runtimes.model_folder import ModelCard

FILE = "model.txt"
INPUT_NAMES = ("table",)
FEW_ROWS = 64
"""Up to so many rows waking threads costs more than they save."""


class GbdtNetwork:
    """Implements `batching.Network`. LightGBM predicts under a shared lock: several threads may ask at once."""

    token_budget = 512
    input_names = INPUT_NAMES

    def __init__(self, booster: Any, num_labels: int, threads: int | None) -> None:
        self._booster: Any = booster
        self._num_labels = num_labels
        self._threads = threads or 0
        self.runtime = f"lightgbm {lightgbm.__version__}"

    def logits(self, arrays: Arrays) -> NDArray[np.float32]:
        if self._booster is None:
            raise RuntimeError("the predictor is closed")
        table = arrays["table"]
        return scores(self._booster, table, self._num_labels, 1 if len(table) <= FEW_ROWS else self._threads)

    def close(self) -> None:
        self._booster = None


def scores(booster: Any, table: NDArray[np.float64], num_labels: int, threads: int) -> NDArray[np.float32]:
    """Raw scores [rows, classes] of a classifier (log-odds beside 0 for two classes), or values [rows, 1].

    Raises InputError if the trees read another number of columns.
    """
    try:
        raw = booster.predict(table, raw_score=True, num_threads=threads)
    except lightgbm.basic.LightGBMError as error:
        raise InputError(t("LightGBM cannot compute the trees: {error}", error=error), where=FILE) from None
    if raw.ndim == 1 and num_labels == 2:
        raw = np.stack([np.zeros_like(raw), raw], 1)
    result: NDArray[np.float32] = np.asarray(raw, np.float32).reshape(len(table), -1)
    return result


def open_network(folder: Path, card: ModelCard, threads: int | None) -> GbdtNetwork:
    booster = open_booster((folder / FILE).read_text(encoding="utf-8"), str(folder / FILE))
    return GbdtNetwork(booster, len(card.labels), threads)


def open_booster(text: str, where: str) -> Any:
    """Raises InputError if LightGBM cannot read it; `trees_text.trees_problem` has looked at it before."""
    try:
        booster: Any = lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise InputError(t("LightGBM cannot read the trees: {error}", error=error), where=where) from None
    return booster
