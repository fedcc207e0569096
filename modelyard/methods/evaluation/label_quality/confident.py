"""Likely label errors by confident learning, as cleanlab has it.

A row counts as confidently of class k if its probability of k is at least the mean probability of k among the rows
labelled k. The rows labelled j and confidently of k, j != k, are the off-diagonal of the confident joint; from it
follow how many rows of each pair of classes are likely wrong, and the least probable ones are flagged (Northcutt,
Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset labels", JAIR 70).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelyard.base.lookup import require

RankBy = Literal["self_confidence", "normalized_margin"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Issues:
    """What was found of every row; vectors [rows].

    Attributes:
        flagged: likely wrong.
        quality: 0 to 1, the lower the more likely wrong.
        suggested: the most probable class other than the given one.
        confidence: its probability.
    """

    flagged: NDArray[np.bool_]
    quality: Floats
    suggested: Ints
    confidence: Floats


def find(labels: Ints, probabilities: Floats, rank_by: RankBy = "self_confidence") -> Issues:
    """Flag and rank.

    Args:
        labels: int64 [rows], each class at least once.
        probabilities: [rows, classes], of models that did not see the row.

    Raises:
        DependencyError: cleanlab is not installed.
    """
    flagged = require("cleanlab.filter", "labels").find_label_issues(labels, probabilities, n_jobs=1)
    score = require("cleanlab.rank", "labels").get_label_quality_scores
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1
    suggested = others.argmax(1)
    return Issues(
        np.asarray(flagged, bool),
        np.asarray(score(labels, probabilities, method=rank_by), np.float64),
        suggested,
        probabilities[np.arange(len(labels)), suggested],
    )


def num_issues(labels: Ints, probabilities: Floats) -> int:
    """How many labels are likely wrong: the off-diagonal of the confident joint, rows without a clear verdict aside."""
    count = require("cleanlab.count", "labels")
    return int(count.num_label_issues(labels, probabilities))


def joint(labels: Ints, probabilities: Floats) -> Ints:
    """The confident joint, counts [given class, likely class], its diagonal at least 1."""
    count = require("cleanlab.count", "labels")
    return np.asarray(count.compute_confident_joint(labels, probabilities, calibrate=False), np.int64)


def order(issues: Issues, row_ids: list[str]) -> Ints:
    """Places of the flagged rows, the most likely wrong first; of equals by row id."""
    places = np.flatnonzero(issues.flagged)
    return np.array(sorted(places.tolist(), key=lambda place: (issues.quality[place], row_ids[place])), np.int64)
