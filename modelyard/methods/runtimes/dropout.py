"""A network that answers with its dropout on, several times: how far its answers differ is what it does not know.

Gal and Ghahramani 2016, "Dropout as a Bayesian approximation". Which units are dropped follows from the record and the
seed alone, so that a record gets the same answer every time, alone and in any batch. Only layers of dropout count; the
dropout of attention weights stays off.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.postprocessing.step import SMALLEST, log_softmax
from modelyard.methods.runtimes import batching
from modelyard.methods.runtimes.batching import Arrays, BatchPredictor
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Prediction, Record
from modelyard.methods.tasks import find

FORMATS = ("hf", "modelyard")
Floats = NDArray[np.float64]


class DropoutNetwork:
    """Implements `batching.Network` with outputs [rows, samples, …]. A lock keeps one record at a time in it: the
    layers are shared."""

    def __init__(self, network: Any, samples: int, seed: int) -> None:
        self.input_names, self.token_budget = network.input_names, network.token_budget
        self.runtime = f"{network.runtime}, {samples} samples of dropout"
        self._network, self._samples, self._seed = network, samples, seed
        self._lock = threading.Lock()

    def logits(self, arrays: Arrays) -> NDArray[np.float32]:
        widths = batching.presence(arrays)
        rows = len(next(iter(arrays.values())))
        return np.stack([self._one(batching.trim(arrays, widths, np.array([row]))) for row in range(rows)])

    def _one(self, row: Arrays) -> NDArray[np.float32]:
        """[samples, outputs] of one record without padding."""
        repeated = {name: torch.from_numpy(np.repeat(value, self._samples, axis=0)) for name, value in row.items()}
        generator = torch.Generator().manual_seed(_key(row, self._seed))
        with self._lock, _dropping(self._network.module, generator), torch.inference_mode():
            output: Any = self._network.module(**repeated)
        logits = output if isinstance(output, Tensor) else output.logits
        result: NDArray[np.float32] = logits.float().numpy()
        return result

    def close(self) -> None:
        self._network.close()


def _key(row: Arrays, seed: int) -> int:
    digest = hashlib.blake2b(digest_size=8, key=seed.to_bytes(8, "big", signed=True))
    for name in sorted(row):
        digest.update(name.encode() + np.ascontiguousarray(row[name]).tobytes())
    return int.from_bytes(digest.digest(), "big") >> 1


def layers(module: nn.Module) -> list[nn.Dropout]:
    """The layers of dropout that drop anything."""
    return [part for part in module.modules() if isinstance(part, nn.Dropout) and part.p > 0]


@contextmanager
def _dropping(module: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Every layer of dropout drops, by this generator."""

    def drop(layer: Any, _given: Any, output: Tensor) -> Tensor:
        kept = torch.rand(output.shape, generator=generator) >= layer.p
        result: Tensor = output * kept / (1 - layer.p)
        return result

    hooks = [layer.register_forward_hook(drop) for layer in layers(module)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class DropoutPredictor:
    """Implements `Predictor`: answers are the mean over samples. `members` gives each sample's."""

    def __init__(self, inner: BatchPredictor, samples: int, seed: int) -> None:
        self._inner = replace(inner, network=DropoutNetwork(inner.network, samples, seed))
        self.digest, self.task, self.labels = inner.digest, inner.task, inner.labels
        self.runtime = self._inner.runtime

    def members(self, records: Sequence[Record]) -> Floats:
        """Probabilities, or values [samples, records, outputs], after what calibrates the model."""
        outputs = self._inner.logits(self._inner.about.values(records))
        found = [self._inner.chain.outputs(outputs[:, place], records) for place in range(outputs.shape[1])]
        return np.stack([np.exp(log_softmax(one)) if self.labels else one.astype(np.float64) for one in found])

    def predict(self, records: Sequence[Record]) -> list[Prediction]:
        if not records:
            return []
        mean = self.members(records).mean(axis=0)
        outputs = np.log(np.maximum(mean, SMALLEST)) if self.labels else mean
        return self._inner.chain.answers(self._inner.about.answers(outputs, self.labels), outputs, records)

    def close(self) -> None:
        self._inner.close()


def open_dropout(folder: Path, samples: int, seed: int = 0, threads: int | None = None) -> DropoutPredictor:
    """Open a model folder so that it answers with dropout. Its files are checked before anything parses them.

    Args:
        samples: passes for each record, at least 2.

    Raises:
        InputError: the folder is no model, or its format or network has no dropout.
    """
    from modelyard.methods.runtimes.validation import check, refuse

    card = ModelCard.read(folder)
    refuse(check(folder, card))
    if card.format not in FORMATS or find(card.task).opener != "batching":
        raise InputError(
            t("a model of the format `{format}` and the task `{task}` has no dropout here", format=card.format,
              task=card.task),
            where=str(folder),
            expected=t("a network of the format {formats}", formats=", ".join(FORMATS)),
            remedy=t("use the network it was made from, or several models together (`combine.ensemble`)"),
        )  # fmt: skip
    inner = batching.open_predictor(folder, card, threads, None)
    network: Any = inner.network
    if not layers(network.module):
        inner.close()
        raise InputError(
            t("the network has no layer of dropout: every sample would be the same"),
            where=str(folder),
            expected=t("a network trained with `regularization.dropout` of 0.1 or more"),
            remedy=t("train one, or use several models together (`combine.ensemble`)"),
        )
    return DropoutPredictor(inner, samples, seed)
