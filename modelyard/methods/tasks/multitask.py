"""Several tasks on one text: a record is a text, a prediction the answer of each task by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.methods import tasks
from modelyard.methods.tasks.text_classification import FIELD, texts

NAME = "multitask"
MEMBERS = ("text-classification", "text-multi-label", "text-regression", "token-classification")
"""The tasks that one text can be asked for together."""


def is_empty(cell: Any) -> bool:
    """Whether a row says nothing of the task whose column it is: a file of text has no other nothing than blanks."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


@dataclass(frozen=True)
class Answers:
    """One answer.

    Attributes:
        answers: of each task, by the name it was given.
        kinds: name of each one's task.
    """

    answers: Mapping[str, Any]
    kinds: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        return {name: answer.to_json() for name, answer in self.answers.items()}


class Multitask:
    """The task's face to runtimes, golden answers and serving. A model's labels are the names of its tasks."""

    name = NAME
    opener = "many"
    inputs: Mapping[str, Any] = {FIELD: {"type": "string", "shape": []}}

    def values(self, records: Sequence[Mapping[str, Any]]) -> list[Any]:
        return texts(records)

    def sample(self) -> Mapping[str, Any]:
        return {FIELD: "a"}

    def answers(self, outputs: NDArray[Any], labels: Sequence[str]) -> list[Any]:
        raise NotImplementedError("each task has outputs of its own: see runtimes/many.py")

    def labels_problem(self, labels: Sequence[str]) -> str:
        distinct = len(labels) > 0 and len(set(labels)) == len(labels)
        return "" if distinct else t("the names of the tasks are missing or not distinct")

    def width_problem(self, shape: tuple[int, ...], labels: Sequence[str]) -> str:
        return ""

    def distance(self, answer: Answers, wanted: Mapping[str, Any]) -> float:
        """The largest of the tasks' own."""
        if set(answer.answers) != set(wanted):
            return float("inf")
        return max(tasks.find(answer.kinds[name]).distance(one, wanted[name]) for name, one in answer.answers.items())

    def stored(self, answer: Answers) -> dict[str, Any]:
        return {name: tasks.find(answer.kinds[name]).stored(one) for name, one in answer.answers.items()}


TASK = Multitask()
