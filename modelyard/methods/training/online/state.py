"""All there is between two rows of a stream: how rows are read, weights, drift, the curve. Plain numbers, one file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from modelyard.base import files
from modelyard.base.canonical import canonical_json
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.preprocessing.ngrams_hashed import HashedNgrams
from modelyard.methods.preprocessing.table_hashed import Column, HashedTable
from modelyard.methods.training.online.adwin import Adwin
from modelyard.methods.training.online.curve import Curve
from modelyard.methods.training.online.learner import Learner

FILE = "online.safetensors"
KEY = "state"
MOST_DRIFTS = 1000
"""Places of drifts that are kept; all are counted."""


@dataclass
class State:
    """Attributes:
    reader: how a row becomes features.
    labels: classes in the order in which they were first seen; `counts` rows of each.
    drifts: after how many rows the error rose, the last thousand; `num_drifts` of all.
    examples: the first records, for golden answers.
    taken: rows of the present data set that were taken, labelled or not.
    """

    reader: HashedNgrams | HashedTable
    learner: Learner
    adwin: Adwin
    curve: Curve = field(default_factory=Curve)
    labels: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    last: int = -1
    drifts: list[int] = field(default_factory=list)
    num_drifts: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)
    taken: int = 0

    def save(self, path: Path) -> None:
        """Write the file, durably; equal states are equal bytes."""
        tensors: dict[str, NDArray[Any]] = {
            "weights": self.learner.weights,
            "squares": self.learner.squares,
            "bias": self.learner.bias,
            "bias_squares": self.learner.bias_squares,
            "adwin": self.adwin.state(),
        }
        # One key only: safetensors writes several in no fixed order.
        about = canonical_json(self._numbers()).decode()
        files.write_atomic(path, save(tensors, metadata={KEY: about}))

    def _numbers(self) -> dict[str, Any]:
        plain = ("labels", "counts", "last", "drifts", "num_drifts", "examples", "taken")
        columns = [asdict(one) for one in self.reader.columns] if isinstance(self.reader, HashedTable) else None
        reader = {"bits": self.reader.bits, "columns": columns}
        if isinstance(self.reader, HashedNgrams):
            reader["max_chars"] = self.reader.max_chars
        return {"reader": reader, "curve": self.curve.to_json(), **{name: getattr(self, name) for name in plain}}


def load(path: Path, rate: float, l2: float, delta: float) -> State:
    """The state that was saved, to learn on with these settings.

    Raises:
        InputError: there is none, or it is damaged.
    """
    try:
        with safe_open(path, framework="np") as opened:
            about = json.loads(opened.metadata()[KEY])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no mapping
        learner = Learner(rate, l2, *(tensors[name] for name in ("weights", "squares", "bias", "bias_squares")))
        state = State(_reader(about["reader"]), learner, Adwin.of(tensors["adwin"], delta), Curve(**about["curve"]))
        shape = (state.reader.num_features, len(about["labels"]))
        if learner.weights.shape != shape or learner.squares.shape != shape or len(about["counts"]) != shape[1]:
            raise ValueError(t("its parts are of different sizes"))
        plain = ("labels", "counts", "last", "drifts", "num_drifts", "examples", "taken")
        return replace(state, **{name: about[name] for name in plain})
    except FileNotFoundError:
        raise InputError(
            t("the model has no state of a stream to go on from"),
            where=str(path),
            expected=t("a model of train.online"),
        ) from None
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, SafetensorError) as error:
        raise InputError(t("the state of the stream cannot be read: {error}", error=error), where=str(path)) from None


def _reader(value: Mapping[str, Any]) -> HashedNgrams | HashedTable:
    if value["columns"] is None:
        return HashedNgrams(int(value["bits"]), int(value["max_chars"]))
    return HashedTable(tuple(Column(**one) for one in value["columns"]), int(value["bits"]))


def new(reader: HashedNgrams | HashedTable, rate: float, l2: float, delta: float, window: int) -> State:
    """Before the first row."""
    return State(reader, Learner.new(reader.num_features, rate, l2), Adwin(delta), Curve(window))


def weights_are_finite(state: State) -> bool:
    return bool(np.isfinite(state.learner.weights).all() and np.isfinite(state.learner.bias).all())
