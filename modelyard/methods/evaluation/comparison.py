"""The model beside its baselines on the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation import baselines
from modelyard.methods.evaluation.classification import averages, confusion_matrix
from modelyard.methods.evaluation.confusion_intervals import f1_average_interval
from modelyard.methods.evaluation.document import estimate
from modelyard.methods.evaluation.paired import Pairs, difference_interval, mcnemar_mid_p
from modelyard.methods.evaluation.quality import Answers, Estimate
from modelyard.methods.evaluation.rows import LabelledRows
from modelyard.methods.statistics.wilson import wilson

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Comparison:
    """What the baselines scored, and the paired gain of the model over the linear one."""

    about_data: tuple[Estimate, ...]
    gain: Estimate
    entries: tuple[dict[str, Any], ...]
    mid_p: float
    pairs: Pairs

    def to_json(self) -> dict[str, Any]:
        pairs = {"both": self.pairs.both, "model": self.pairs.first, "linear": self.pairs.second}
        gain = {**(estimate(self.gain) or {}), "mcnemar_mid_p": self.mid_p, "right": pairs}
        return {"baselines": list(self.entries), "gain_over_linear": gain}


def compare(
    answers: Answers,
    rows: LabelledRows,
    train: LabelledRows,
    validation: LabelledRows,
    seed: int = 0,
    note: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Fit both baselines on train and judge them on the rows that were answered."""
    classes = sorted({*answers.labels, *train.labels})
    actual = _indices(rows.labels, classes)
    commonest = baselines.majority(train.labels)
    linear = baselines.linear(
        (train.texts, train.labels), (validation.texts, validation.labels), rows.texts, seed, note
    )
    by_majority, majority = _judge("majority", actual, _indices([commonest] * len(rows), classes), len(classes))
    guessed = _indices(linear.predicted, classes)
    by_linear, entry = _judge("linear", actual, guessed, len(classes))
    tuning = [{"c": c, "accuracy": accuracy} for c, accuracy in linear.validation.items()]
    pairs = Pairs.of(answers.right, actual == guessed)
    return Comparison(
        about_data=(by_majority, by_linear),
        gain=Estimate("gain_over_linear", pairs.difference, difference_interval(pairs), pairs.n),
        entries=(
            majority | {"label": commonest},
            entry | {"units": linear.units, "c": linear.c, "validation": tuning, "num_features": linear.num_features},
        ),
        mid_p=mcnemar_mid_p(pairs),
        pairs=pairs,
    )


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
