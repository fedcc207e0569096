"""Metrics of single-label classification that follow from a confusion matrix.

Conventions, the same as scikit-learn's defaults with `zero_division=0`:

- A class that neither occurs in the labels nor is ever predicted is absent: left out of macro averages.
- Macro precision, recall and F1 run over classes that occur or are predicted. A class that occurs but is never
  predicted has precision 0; a class that is predicted but does not occur has recall 0; both have F1 0.
- Balanced accuracy runs over classes that occur.
- Weighted averages weigh by how often a class occurs. Micro averages of single labels are the accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def confusion_matrix(actual: ArrayLike, predicted: ArrayLike, num_classes: int) -> Ints:
    """Counts [C, C]: rows are actual classes, columns predicted ones. Arguments are class indices [n]."""
    rows = np.asarray(actual, dtype=np.int64)
    columns = np.asarray(predicted, dtype=np.int64)
    if rows.shape != columns.shape or rows.ndim != 1:
        raise ValueError(f"actual {rows.shape} and predicted {columns.shape} must be vectors of one length")
    for indices in (rows, columns):
        if indices.size and not 0 <= indices.min() <= indices.max() < num_classes:
            raise ValueError(f"class indices must lie in 0 … {num_classes - 1}")
    counts = np.bincount(rows * num_classes + columns, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole, and 0 where whole is 0 (zero_division = 0)."""
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


@dataclass(frozen=True)
class Classes:
    """Counts and rates of each class, vectors [C].

    Attributes:
        support: rows of the class; predicted: rows given to it; hits: rows of it that were given to it.
        precision, recall, f1: 0 where undefined.
    """

    support: Ints
    predicted: Ints
    hits: Ints
    precision: Floats
    recall: Floats
    f1: Floats

    @classmethod
    def of(cls, confusion: Ints) -> Classes:
        support, predicted, hits = confusion.sum(axis=1), confusion.sum(axis=0), np.diag(confusion)
        as_float = hits.astype(np.float64)
        return cls(
            support,
            predicted,
            hits,
            precision=_ratio(as_float, predicted.astype(np.float64)),
            recall=_ratio(as_float, support.astype(np.float64)),
            f1=_ratio(2 * as_float, (support + predicted).astype(np.float64)),
        )

    @property
    def occurring(self) -> NDArray[np.bool_]:
        return self.support > 0

    @property
    def present(self) -> NDArray[np.bool_]:
        """Classes that occur or are predicted."""
        return (self.support > 0) | (self.predicted > 0)


@dataclass(frozen=True)
class Averages:
    """Point values over all classes; NaN where there is nothing to average."""

    accuracy: float
    balanced_accuracy: float
    precision_macro: float
    recall_macro: float
    f1_macro: float
    precision_weighted: float
    recall_weighted: float
    f1_weighted: float
    mcc: float


def averages(confusion: Ints) -> Averages:
    """All averages of a confusion matrix [C, C] of counts."""
    n = int(confusion.sum())
    if n == 0:
        return Averages(*[float("nan")] * 9)
    one = Classes.of(confusion)
    weights = one.support / n
    present = one.present
    return Averages(
        accuracy=int(one.hits.sum()) / n,
        balanced_accuracy=float(one.recall[one.occurring].mean()),
        precision_macro=float(one.precision[present].mean()),
        recall_macro=float(one.recall[present].mean()),
        f1_macro=float(one.f1[present].mean()),
        precision_weighted=float(weights @ one.precision),
        recall_weighted=float(weights @ one.recall),
        f1_weighted=float(weights @ one.f1),
        mcc=matthews(confusion),
    )


def matthews(confusion: Ints) -> float:
    """Matthews correlation of any number of classes (Gorodkin 2004); NaN if one side is constant.

    (scikit-learn says 0 there; a constant says nothing about correlation, so here it is no number.)
    """
    counts = confusion.astype(np.float64)
    n = counts.sum()
    actual, predicted = counts.sum(axis=1), counts.sum(axis=0)
    spread = (n**2 - predicted @ predicted) * (n**2 - actual @ actual)
    if not spread > 0:
        return float("nan")
    return float((np.trace(counts) * n - actual @ predicted) / np.sqrt(spread))


def top_k_hits(actual: Ints, scores: Floats, k: int) -> NDArray[np.bool_]:
    """For each row [n], whether its class is among the k highest of scores [n, C].

    Equal scores rank in the order of the classes, as the predicted label does, so that k = 1 is the accuracy.
    """
    own = scores[np.arange(len(actual)), actual][:, None]
    earlier = np.arange(scores.shape[1])[None, :] < actual[:, None]
    rank = ((scores > own) | ((scores == own) & earlier)).sum(axis=1)
    hits: NDArray[np.bool_] = rank < k
    return hits
