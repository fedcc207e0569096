"""Runtime `gbdt`: boosted trees in LightGBM's own text format, computed by LightGBM on the CPU.

A model of quantiles has trees of their own for each level, in a file each; their answers stand behind the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.runtimes.batching import Arrays
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.trees_text import FILE, names

__all__ = ["FILE", "GbdtNetwork", "open_booster", "open_network", "scores", "values"]
INPUT_NAMES = ("table",)
FEW_ROWS = 64
"""Up to so many rows waking threads costs more than they save."""


class GbdtNetwork:
    """Implements `batching.Network`. LightGBM predicts under a shared lock: several threads may ask at once."""

    token_budget = 512
    input_names = INPUT_NAMES

    def __init__(self, booster: Any, num_labels: int, threads: int | None, quantiles: Sequence[Any] = ()) -> None:
        self._booster: Any = booster
        self._quantiles = tuple(quantiles)
        self._num_labels = num_labels
        self._threads = threads or 0
        self.runtime = f"lightgbm {lightgbm.__version__}"

    def logits(self, arrays: Arrays) -> NDArray[np.float32]:
        if self._booster is None:
            raise RuntimeError("the predictor is closed")
        table = arrays["table"]
        threads = 1 if len(table) <= FEW_ROWS else self._threads
        if self._quantiles:
            return values([self._booster, *self._quantiles], table, threads)
        return scores(self._booster, table, self._num_labels, threads)

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


def values(boosters: Sequence[Any], table: NDArray[np.float64], threads: int) -> NDArray[np.float32]:
    """The number of each booster [rows, boosters]."""
    return np.concatenate([scores(booster, table, 0, threads) for booster in boosters], axis=1)


def open_network(folder: Path, card: ModelCard, threads: int | None) -> GbdtNetwork:
    found = [open_booster((folder / name).read_text(encoding="utf-8"), str(folder / name))
             for name in names(card.network)]  # fmt: skip
    return GbdtNetwork(found[0], len(card.labels), threads, found[1:])


def open_booster(text: str, where: str) -> Any:
    """Raises InputError if LightGBM cannot read it; `trees_text.trees_problem` has looked at it before."""
    try:
        booster: Any = lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise InputError(t("LightGBM cannot read the trees: {error}", error=error), where=where) from None
    return booster
