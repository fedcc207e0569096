"""The seam between a measuring stage and what a task's answers are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.measuring.examples import Examples, Fields, Note, Reader, asked, fields, quiet
from modelyard.methods.evaluation.settings import Measuring
from modelyard.methods.runtimes.predictor import Predictor

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Shown:
    """What of the rows a report may quote: at most `limit` rows, with their texts or only their ids."""

    limit: int = 20
    texts: bool = True


class Measured(Protocol):
    """All estimates, and what was left out with the reason. A family adds the answers it keeps."""

    @property
    def estimates(self) -> tuple[Estimate, ...]: ...

    @property
    def missing(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Plain:
    """What most families measured: their answers beside the estimates."""

    answers: Any
    estimates: tuple[Estimate, ...]
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Beside:
    """Baselines on the same rows.

    Attributes:
        about_data: what baselines scored: about the data, not the model.
        gains: what the model is better by, paired.
        document: the report's part.
        compared: names and values for one line: baseline, model, difference.
    """

    about_data: tuple[Estimate, ...]
    gains: tuple[Estimate, ...]
    document: Mapping[str, Any]
    compared: tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """What is measured by itself: a model, or one of the tasks it answers.

    Attributes:
        data: as this task reads it: its truths have the role `label`.
        name: of the task among several; empty for a model of one.
        column: of its truths among those of other tasks.
    """

    family: Family
    predictor: Predictor
    data: Dataset
    name: str = ""
    column: str = ""


class Family(ABC):
    """One family of tasks. Its methods are called in this order; `measure` on validation too, the rest on test."""

    def parts(self, predictor: Predictor, data: Dataset, settings: Measuring) -> tuple[Part, ...]:
        """What of the model is measured by itself. Raises InputError if the data or the settings do not fit."""
        return (Part(self, predictor, data),)

    def of_column(self, column: str) -> Family:
        """The family where truths stand in `column`, to which the data gives the role `label`."""
        return self

    @abstractmethod
    def reader(self, data: Dataset, task: str, settings: Measuring) -> Reader:
        """How rows become records and truths. Raises InputError if a column is missing."""

    def fields(self, data: Dataset, task: str) -> Fields:
        """How rows become records where no truth is needed: for timing."""
        return fields(data, task)

    def answer(self, predictor: Predictor, examples: Examples, settings: Measuring, note: Note = quiet) -> Any:
        """What the model says to all rows, in the shape this family measures."""
        return list(asked(predictor, examples, settings.batch_rows, note))

    @abstractmethod
    def measure(self, answers: Any, examples: Examples, settings: Measuring, seed: int) -> Measured:
        """All estimates. Raises ValueError without rows."""

    @abstractmethod
    def document(self, measured: Any, examples: Examples, shown: Shown, seed: int) -> dict[str, Any]:
        """What the report draws, beside what every report has."""

    @abstractmethod
    def predictions(self, measured: Any, examples: Examples) -> pa.Table:
        """One row a judged row: row_id, the truth, the answer."""

    def without(self, measured: Any, twins: Bools) -> Estimate | None:
        """The main estimate on the rows that do not stand in train; None if the family has none."""
        return None

    def beside(
        self, data: Dataset, measured: Any, examples: Examples, settings: Measuring, seed: int, note: Note = quiet
    ) -> Beside | None:
        """Baselines fitted on train; None if there is none for this family."""
        return None


def quote(record: Mapping[str, Any], shown: Shown, chars: int = 200) -> dict[str, str]:
    """`{"text": …}` of a record, cut, if texts may be shown: its text, or the columns of a table."""
    if not shown.texts:
        return {}
    text = record.get("text")
    if text is None:
        plain = {name: value for name, value in record.items() if not isinstance(value, bytes)}
        text = ", ".join(f"{name}={value}" for name, value in plain.items() if value is not None)
    text = str(text)
    return {"text": text if len(text) <= chars else text[: chars - 1] + "…"}


def worst(order: Sequence[int], examples: Examples, shown: Shown) -> list[tuple[int, dict[str, Any]]]:
    """Places and what a report quotes of them: `{row_id, text}`; at most `shown.limit`, in the order given."""
    places = list(order)[: shown.limit]
    records = examples.pick(places) if shown.texts else [{} for _ in places]
    return [
        (place, {"row_id": examples.row_ids[place], **quote(record, shown)})
        for place, record in zip(places, records, strict=True)
    ]
