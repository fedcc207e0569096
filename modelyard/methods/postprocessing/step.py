"""What every kind shares: the step itself, and the arithmetic of logits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError

Floats: TypeAlias = NDArray[np.float64]
Records: TypeAlias = Sequence[Mapping[str, Any]]
SMALLEST = 1e-300
"""Stands for a probability of 0 where its logarithm is needed."""

CLASSIFIERS = ("text-classification", "tabular-classification", "image-classification")
NUMBERS = ("tabular-regression", "text-regression")


class Step:
    """One step of a model's decision layer. Nothing in it changes after it is made: threads share it.

    Attributes:
        tasks: names of the tasks it fits.
        extra: outputs it reads behind those of the task.
        columns: of the record that it reads: a record must hold them.
    """

    tasks: ClassVar[tuple[str, ...]] = CLASSIFIERS
    extra: int = 0
    columns: tuple[str, ...] = ()

    def outputs(self, outputs: Floats, records: Records) -> Floats:
        """Logits [records, classes], or values [records, 1], before answers are made of them."""
        return outputs

    def answers(self, answers: list[Any], outputs: Floats, records: Records) -> list[Any]:
        """Answers after they were made; `outputs` are the last ones."""
        return answers


def need_columns(records: Records, columns: Sequence[str], expected: Sequence[str] = ()) -> None:
    """Raises InputError for the first record that lacks a column by which a model's answers differ.

    Args:
        expected: all columns of a record, as far as they are known.
    """
    for place, record in enumerate(records):
        missing = [name for name in columns if name not in record]
        if missing:
            raise InputError(
                t("the record has no column `{name}`, by which the model's thresholds differ", name=missing[0]),
                where=f"records[{place}]",
                expected=", ".join(expected or columns),
                remedy=t("give the column, or null if it is not known"),
            )


def log_softmax(outputs: NDArray[Any]) -> Floats:
    """Log-probabilities of logits [rows, classes]."""
    shifted = outputs.astype(np.float64) - outputs.max(axis=1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def log_odds(log_probabilities: Floats) -> Floats:
    """log p - log(1 - p) of each class [rows, classes]; 1 - p of the likeliest class is summed from the others, so that
    it does not vanish near 1."""
    probabilities = np.exp(log_probabilities)
    rest = 1 - probabilities
    rows, top = np.arange(len(probabilities)), probabilities.argmax(axis=1)
    others = probabilities.copy()
    others[rows, top] = 0
    rest[rows, top] = others.sum(axis=1)
    result: Floats = log_probabilities - np.log(np.maximum(rest, SMALLEST))
    return result


def numbers(settings: Mapping[str, Any], name: str, size: int | None = None) -> Floats:
    """A list of finite numbers. Raises ValueError if it is none, or not of `size`."""
    found = settings.get(name)
    if not isinstance(found, list | tuple) or not all(_finite(one) for one in found):
        raise ValueError(f"`{name}` is no list of numbers")
    if size is not None and len(found) != size:
        raise ValueError(f"`{name}` has {len(found)} numbers for {size}")
    return np.array(found, dtype=np.float64)


def number(settings: Mapping[str, Any], name: str, low: float, high: float) -> float:
    """A number within limits. Raises ValueError if it is none."""
    found = settings.get(name)
    if not _finite(found) or not low <= float(found) <= high:  # type: ignore[arg-type]  # checked before
        raise ValueError(f"`{name}` is no number from {low:g} to {high:g}")
    return float(found)  # type: ignore[arg-type]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
