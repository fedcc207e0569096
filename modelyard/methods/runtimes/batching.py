"""What all runtimes share: records to arrays, arrays to logits in pieces of like length, logits to answers.

A record must get the same answer alone and in any batch (trap 30), and a batch of mixed lengths must not pay for its
longest record. So a batch is encoded once, sorted by length, cut into pieces of at most `token_budget` padded
positions, each trimmed to its own longest record, and the logits are put back in order.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods import postprocessing, preprocessing
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import NotNumbers, Prediction, Record
from modelyard.methods.runtimes.reading import reading
from modelyard.methods.tasks import Task

Arrays: TypeAlias = dict[str, NDArray[Any]]

WINDOW = 1024
"""Records encoded at a time, so that a call with a million records needs the memory of a thousand."""

PRESENCE = {"attention_mask": ("input_ids", "attention_mask"), "ngram_weights": ("ngram_ids", "ngram_weights")}
"""The array that is zero where a row is only padding, and the arrays it speaks for. The first that is there decides
the order: a token costs a network far more than an n-gram."""

COST = {"attention_mask": 1.0, "ngram_weights": 1 / 32}
"""Share of the token budget one position takes: an n-gram is one row of a narrow table."""


class Encoder(Protocol):
    """What this file needs of methods.preprocessing."""

    @property
    def input_names(self) -> tuple[str, ...]: ...

    def encode(self, texts: Sequence[Any]) -> Mapping[str, NDArray[Any]]: ...


class Network(Protocol):
    """What a runtime module opens: arrays in, logits [rows, classes] float32 out. Called from several threads.

    Attributes:
        runtime: name and version of the engine.
        input_names: arrays it reads.
        token_budget: padded tokens it computes best in one go. Less wastes calls, more wastes padding: batches of 16
            Chinese reviews through an int8 encoder run 2.3 times faster in pieces of 256 tokens than in one of 2,048.
    """

    runtime: str
    input_names: tuple[str, ...]
    token_budget: int

    def logits(self, arrays: Arrays) -> NDArray[np.float32]: ...

    def close(self) -> None: ...


def open_predictor(folder: Path, card: ModelCard, threads: int | None, token_budget: int | None) -> BatchPredictor:
    """Open a model folder that `validation.check` has passed. Raises InputError if its parts do not fit."""
    chain = postprocessing.load(card.postprocessing, card.task, card.labels)
    preprocessor = preprocessing.load(folder, card.preprocessing)
    runtime = importlib.import_module(f"modelyard.methods.runtimes.{card.format}")
    network = runtime.open_network(folder, card, threads)
    budget = token_budget or network.token_budget
    about, digest = reading(card), manifest(folder).digest
    predictor = BatchPredictor(digest, about, card.labels, preprocessor, network, budget, chain, tuple(card.inputs))
    try:
        predictor.probe(str(folder))
    except BaseException:
        predictor.close()
        raise
    return predictor


@dataclass
class BatchPredictor:
    """Implements `Predictor` over any `Network`, for tasks that answer a record from one row of outputs."""

    digest: str
    about: Task
    labels: tuple[str, ...]
    preprocessor: Encoder
    network: Network
    token_budget: int
    chain: postprocessing.Chain = field(default_factory=postprocessing.Chain)
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.runtime = self.network.runtime
        self.task = self.about.name

    def predict(self, records: Sequence[Record]) -> list[Prediction]:
        values = self.about.values(records)
        if not values:
            return []
        self.chain.need(records, self.inputs)
        outputs = self.chain.outputs(self.logits(values), records)
        return self.chain.answers(self.about.answers(outputs, self.labels), outputs, records)

    def logits(self, texts: Sequence[Any]) -> NDArray[np.float32]:
        """Outputs [records, …] of at least one record, in order. Raises InputError if one is not a number."""
        # Images are large: their preprocessing says how many fit.
        window = min(WINDOW, getattr(self.preprocessor, "window", WINDOW))
        parts = [self._window(texts[start : start + window]) for start in range(0, len(texts), window)]
        logits = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if not np.isfinite(logits).all():
            row = int(np.flatnonzero(~np.isfinite(logits).reshape(len(logits), -1).all(axis=1))[0])
            raise NotNumbers(
                t("the model's scores for record {row} are not numbers", row=row),
                where=f"records[{row}]",
                expected=t("finite logits"),
                remedy=t("the weights are damaged or overflow: train or export the model again"),
            )
        return logits

    def _window(self, texts: Sequence[Any]) -> NDArray[np.float32]:
        encoded = self.preprocessor.encode(texts)
        arrays = {name: encoded[name] for name in self.network.input_names}
        widths = presence(arrays) if len(texts) > 1 else {}
        if not widths:
            return self.network.logits(arrays)
        order, pieces = plan(widths, self.token_budget)
        if len(pieces) == 1:
            return self.network.logits(arrays)
        outputs = [self.network.logits(trim(arrays, widths, order[start:end])) for start, end in pieces]
        logits = np.empty((len(texts), *outputs[0].shape[1:]), np.float32)
        logits[order] = np.concatenate(outputs)
        return logits

    def probe(self, where: str) -> None:
        """One small record through everything. Raises InputError if the logits do not fit the labels."""
        missing = sorted(set(self.network.input_names) - set(self.preprocessor.input_names))
        if missing:
            raise InputError(
                t("the network reads {missing}, which the preprocessing does not make", missing=", ".join(missing)),
                where=where,
                expected=", ".join(self.preprocessor.input_names),
                remedy=t("export the model again with the preprocessing it was trained with"),
            )
        # A table's columns are the model's own: its preprocessing knows a record that can be answered.
        sample = getattr(self.preprocessor, "sample", self.about.sample)()
        shape = self.logits(self.about.values([sample])).shape
        own = (*shape[:-1], shape[-1] - self.chain.extra) if self.chain.extra else shape
        problem = self.about.width_problem(own, self.labels)
        if problem:
            raise InputError(
                problem,
                where=where,
                expected=t("{count} scores, one for each label", count=len(self.labels)),
                remedy=t("the labels in model.json and the weights belong to different models"),
            )

    def close(self) -> None:
        self.network.close()


def presence(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.int64]]:
    """Per padded group, the number of positions [rows] each row fills; at least 1, padding is at the end."""
    return {
        name: np.maximum((arrays[name] != 0).sum(axis=1), 1)
        for name in PRESENCE
        if name in arrays and arrays[name].ndim == 2
    }


def plan(widths: Mapping[str, NDArray[np.int64]], token_budget: int) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
    """The rows in order of length, and pieces [start, end) of that order within the budget (one row always fits).

    Rows are sorted by the first group of PRESENCE that is there.
    """
    name, length = next(iter(widths.items()))
    order = np.argsort(length, kind="stable")
    return order, list(_pieces(length[order].tolist(), token_budget / COST[name]))


def _pieces(lengths: Sequence[int], token_budget: float) -> Iterator[tuple[int, int]]:
    """`lengths` rise, so the last of a piece is its width."""
    start = 0
    for index, length in enumerate(lengths):
        if index > start and (index - start + 1) * length > token_budget:
            yield start, index
            start = index
    yield start, len(lengths)


def trim(arrays: Arrays, widths: Mapping[str, NDArray[np.int64]], rows: NDArray[np.int64]) -> Arrays:
    """The given rows, without the columns that are padding in all of them."""
    piece: Arrays = {}
    for name, values in widths.items():
        width = int(values[rows].max())
        for member in PRESENCE[name]:
            if member in arrays:
                piece[member] = np.ascontiguousarray(arrays[member][rows, :width])
    return {name: piece[name] if name in piece else array[rows] for name, array in arrays.items()}
