"""The model beside its baselines on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation import baselines
from modelyard.methods.evaluation.classification import averages, confusion_matrix
from modelyard.methods.evaluation.confusion_intervals import f1_average_interval
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.estimates import as_json as estimate
from modelyard.methods.evaluation.paired import Pairs, difference_interval, mcnemar_mid_p
from modelyard.methods.evaluation.quality import Answers
from modelyard.methods.statistics.wilson import wilson

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Guess:
    """What a linear baseline answered to the rows, and how it came to be."""

    predicted: Sequence[str]
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Paired:
    """The paired gain of the model over the linear baseline."""

    gain: Estimate
    mid_p: float
    pairs: Pairs

    def to_json(self) -> dict[str, Any]:
        pairs = {"both": self.pairs.both, "model": self.pairs.first, "linear": self.pairs.second}
        return {**(estimate(self.gain) or {}), "mcnemar_mid_p": self.mid_p, "right": pairs}


@dataclass(frozen=True)
class Comparison:
    """What the baselines scored: always the commonest class, and a linear model where there is one for the records."""

    about_data: tuple[Estimate, ...]
    entries: tuple[dict[str, Any], ...]
    paired: Paired | None

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"baselines": list(self.entries)}
        return found | ({"gain_over_linear": self.paired.to_json()} if self.paired else {})


def compare(answers: Answers, labels: Sequence[str], train_labels: Sequence[str], linear: Guess | None) -> Comparison:
    """Judge the baselines on the rows that were answered."""
    classes = sorted({*answers.labels, *train_labels})
    actual = _indices(labels, classes)
    commonest = baselines.majority(train_labels)
    by_majority, majority = _judge("majority", actual, _indices([commonest] * len(labels), classes), len(classes))
    entries = [majority | {"label": commonest}]
    if linear is None:
        return Comparison((by_majority,), tuple(entries), None)
    guessed = _indices(linear.predicted, classes)
    by_linear, entry = _judge("linear", actual, guessed, len(classes))
    pairs = Pairs.of(answers.right, actual == guessed)
    gain = Estimate("gain_over_linear", pairs.difference, difference_interval(pairs), pairs.n)
    paired = Paired(gain, mcnemar_mid_p(pairs), pairs)
    return Comparison((by_majority, by_linear), (*entries, entry | dict(linear.about)), paired)


def _indices(labels: Any, classes: list[str]) -> Ints:
    index = {label: position for position, label in enumerate(classes)}
    return np.fromiter((index[label] for label in labels), dtype=np.int64, count=len(labels))


def _judge(name: str, actual: Ints, predicted: Ints, num_classes: int) -> tuple[Estimate, dict[str, Any]]:
    confusion = confusion_matrix(actual, predicted, num_classes)
    value, n = averages(confusion), int(confusion.sum())
    hits = int(np.trace(confusion))
    accuracy = Estimate(f"baseline_{name}_accuracy", value.accuracy, wilson(hits, n), n)
    f1 = Estimate("f1_macro", value.f1_macro, f1_average_interval(confusion), n)
    return accuracy, {"name": name, "metrics": {"accuracy": estimate(accuracy), "f1_macro": estimate(f1)}}
