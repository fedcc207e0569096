"""Tasks: what a model is for. One file a task: what its records are, its answers, and how outputs become answers.

A task is found by the name that `model.json` gives; its file is imported when it is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError

NAMES = (
    "fill-mask",
    "image-classification",
    "multitask",
    "sentence-embedding",
    "tabular-classification",
    "tabular-regression",
    "text-classification",
    "text-generation",
    "text-multi-label",
    "text-regression",
    "text-to-text",
    "token-classification",
)
"""Every task; `text-classification` is the module `text_classification`, whose `TASK` is one."""


class Answer(Protocol):
    """What a model says to one record: a frozen dataclass of the task's file."""

    def to_json(self) -> dict[str, Any]:
        """As it is served and stored."""
        ...


class Task(Protocol):
    """What everything around a model asks of its task.

    Attributes:
        name: as in `model.json`.
        opener: module of methods/runtimes whose `open_predictor` opens models of this task.
        inputs: fields of a record: `{name: {"type": "string" | "bytes" | "float32" | …, "shape": […]}}`; empty if the
            model's own card says them (tables).
    """

    name: str
    opener: str
    inputs: Mapping[str, Any]

    def values(self, records: Sequence[Mapping[str, Any]]) -> list[Any]:
        """What preprocessing takes, one a record. Raises InputError naming the first record that does not fit."""
        ...

    def sample(self) -> Mapping[str, Any]:
        """A small record that every model of the task can answer."""
        ...

    def answers(self, outputs: NDArray[Any], labels: Sequence[str]) -> list[Any]:
        """Answers from the network's outputs, one row a record."""
        ...

    def labels_problem(self, labels: Sequence[str]) -> str:
        """What is wrong with a model's labels; empty if nothing."""
        ...

    def width_problem(self, shape: tuple[int, ...], labels: Sequence[str]) -> str:
        """What is wrong with the shape [1, …] of one record's outputs; empty if nothing."""
        ...

    def distance(self, answer: Any, wanted: Mapping[str, Any]) -> float:
        """How far an answer is from one that was stored by `stored`; infinite if they cannot be compared."""
        ...

    def stored(self, answer: Any) -> dict[str, Any]:
        """An answer as golden.json keeps it: rounded far inside the tolerance."""
        ...


def find(name: str) -> Task:
    """Raises InputError if there is no such task."""
    if name not in NAMES:
        raise InputError(
            t("no task `{task}`", task=name), expected=", ".join(NAMES), remedy=did_you_mean(name, list(NAMES))
        )
    task: Task = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").TASK
    return task
