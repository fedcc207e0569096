"""Runtime `ensemble`: several models that answer as one. Each member is a whole model folder of any format; how their
answers are combined stands in model.json (`combination.py`). Members may list the labels in another order.

A member that reads a table takes its own columns of the record, so members may read different ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods import postprocessing
from modelyard.methods.runtimes import combination, members, open_checked
from modelyard.methods.runtimes.combination import Combination, Stack
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Prediction, Predictor, Record
from modelyard.methods.runtimes.reading import repaired, repairs_of
from modelyard.methods.tasks import Task, find
from modelyard.methods.text.repair import Repair


class EnsemblePredictor:
    """Implements `Predictor` over several. Nothing in it changes after it is made, so threads may share it."""

    def __init__(
        self,
        digest: str,
        about: Task,
        labels: tuple[str, ...],
        parts: Sequence[Predictor],
        combine: Combination,
        chain: postprocessing.Chain | None = None,
        inputs: Sequence[str] = (),
        repairs: Sequence[Repair] = (),
    ) -> None:
        self.digest, self.labels, self.task = digest, labels, about.name
        self.members, self.combination = tuple(parts), combine
        self.runtime = " + ".join(dict.fromkeys(part.runtime for part in parts))
        self._about = about
        self._chain = chain or postprocessing.Chain()
        self._inputs = tuple(inputs)
        self._repairs = tuple(repairs)

    def predict(self, records: Sequence[Record]) -> list[Prediction]:
        if not records:
            return []
        self._chain.need(records, self._inputs)
        records = [repaired(self._repairs, record) for record in records]
        answers = [member.predict(records) for member in self.members]
        if self.task in combination.SCORED:
            outputs = self.combination.scores(np.stack([probabilities(one, self.labels) for one in answers]))
        else:
            outputs = self.combination.values(np.stack([numbers(one) for one in answers]))[:, None]
        outputs = self._chain.outputs(outputs, records)
        return self._chain.answers(self._about.answers(outputs, self.labels), outputs, records)

    def close(self) -> None:
        for member in self.members:
            member.close()


def probabilities(answers: Sequence[Prediction], labels: Sequence[str]) -> NDArray[np.float64]:
    """[records, labels] of answers with scores, whatever order the model lists the labels in."""
    return np.array([[answer.scores[label] for label in labels] for answer in answers], np.float64)


def numbers(answers: Sequence[Prediction]) -> NDArray[np.float64]:
    """[records] of answers with a value."""
    return np.array([answer.value for answer in answers], np.float64)


def open_predictor(folder: Path, card: ModelCard, threads: int | None, token_budget: int | None) -> EnsemblePredictor:
    """Open an ensemble that `validation.check` has passed. Raises InputError if its parts do not fit."""
    chain = postprocessing.load(card.postprocessing, card.task, card.labels)
    names = members.names(card)
    stack = _open_stack(folder, card, len(names)) if card.network["kind"] == "stack" else None
    parts: list[Predictor] = []
    try:
        for name in names:
            parts.append(open_checked(folder / name, ModelCard.read(folder / name), threads, token_budget))
    except BaseException:
        for part in parts:
            part.close()
        raise
    combine = combination.parse(card.network, stack)
    return EnsemblePredictor(
        manifest(folder).digest, find(card.task), card.labels, parts, combine, chain, tuple(card.inputs),
        repairs_of(card),
    )  # fmt: skip


def _open_stack(folder: Path, card: ModelCard, count: int) -> Stack:
    path = folder / members.STACK
    try:
        tensors = load_file(path)
        stack = Stack(tensors["weight"].astype(np.float64), tensors["bias"].astype(np.float64))
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise InputError(t("the stack cannot be read: {error}", error=error), where=str(path)) from None
    classes = max(len(card.labels), 1)
    combination.check_stack(stack, classes, count * classes, str(path))
    return stack


def save_stack(stack: Stack, folder: Path) -> None:
    """Write `stack.safetensors` in double precision."""
    tensors = {"weight": np.ascontiguousarray(stack.weight), "bias": np.ascontiguousarray(stack.bias)}
    save_file(tensors, folder / members.STACK, metadata={"format": "np"})
