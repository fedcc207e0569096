"""What an answer is worth on its row, by task: 1 or 0 where it is right or wrong, an error where it is a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError, StageError
from modelyard.methods.evaluation import overlap

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """One way to judge an answer.

    Attributes:
        name: of the metric; `comparison.NAME_gain` is the claim.
        value: `(answer, truth)` to a number.
        binary: whether it is 0 or 1.
        lower: whether less is better (an error).
    """

    name: str
    value: Callable[[Any, Any], float]
    binary: bool = True
    lower: bool = False


@dataclass(frozen=True)
class Scored:
    """Both predictors on the same rows [n]; `gain` is positive where `model` does better."""

    measure: Measure
    model: Floats
    against: Floats

    @property
    def gain(self) -> Floats:
        return self.against - self.model if self.measure.lower else self.model - self.against

    def only(self, rows: NDArray[np.bool_]) -> Scored:
        """The same on some rows."""
        return Scored(self.measure, self.model[rows], self.against[rows])


def _label(answer: Any, truth: Any) -> float:
    return float(str(answer.label) == str(truth))


def _squared(answer: Any, truth: Any) -> float:
    return (float(answer.value) - float(truth)) ** 2


def _exact(answer: Any, truth: Any) -> float:
    return float(overlap.exact_match(answer.text, str(truth.answer)))


def _words(answer: Any, truth: Any) -> float:
    return float(overlap.token_f1(answer.text, str(truth.answer)))


def _labels(answer: Any, truth: Any) -> float:
    return float(set(answer.labels) == set(truth))


def _spans(answer: Any, truth: Any) -> float:
    return float({(span.start, span.end, span.label) for span in answer.spans} == set(truth))


_CLASSES = (Measure("accuracy", _label),)
_NUMBERS = (Measure("squared_error", _squared, binary=False, lower=True),)
_TEXTS = (Measure("exact_match", _exact), Measure("token_f1", _words, binary=False))
MEASURES: Mapping[str, tuple[Measure, ...]] = {
    "image-classification": _CLASSES,
    "tabular-classification": _CLASSES,
    "tabular-regression": _NUMBERS,
    "text-classification": _CLASSES,
    "text-generation": _TEXTS,
    "text-multi-label": (Measure("subset_accuracy", _labels),),
    "text-regression": _NUMBERS,
    "text-to-text": _TEXTS,
    "token-classification": (Measure("span_exact", _spans),),
}
"""By task; the first decides flips and slices."""


def measures_of(model: str, against: str) -> tuple[Measure, ...]:
    """What two tasks are compared by. Raises InputError if they are not one, or rows of it have no score."""
    if MEASURES.get(model) != MEASURES.get(against) or model not in MEASURES:
        raise InputError(
            t("the two models have the tasks {model} and {against}", model=model, against=against),
            expected=t("two models of one task: {tasks}", tasks=", ".join(MEASURES)),
        )
    return MEASURES[model]


def score(measure: Measure, answers: tuple[Sequence[Any], Sequence[Any]], truths: Sequence[Any]) -> Scored:
    """Both predictors' answers judged. Raises StageError if an answer is no finite number, InputError if rows
    of texts have no wanted answer."""
    if measure in _TEXTS and truths and (truths[0].answer is None or truths[0].choices):
        raise InputError(
            t("rows of texts alone, or of choices, cannot be compared row by row"),
            where="data",
            expected=t("a column of the answers that are wanted"),
        )
    columns = []
    for each in answers:
        values = [measure.value(answer, truth) for answer, truth in zip(each, truths, strict=True)]
        bad = sum(not math.isfinite(value) for value in values)
        if bad:
            raise StageError(
                t("the model's answer to {count} rows is not a number", count=bad),
                remedy=t("the model is broken: train or convert it again"),
            )
        columns.append(np.array(values, dtype=np.float64))
    return Scored(measure, columns[0], columns[1])
