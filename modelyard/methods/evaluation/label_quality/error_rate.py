"""How many labels are wrong: an estimate, and an interval that says what a model's disagreement can and cannot show.

A model disputes a label because the label is wrong or because the model is; nothing in the data tells the two apart.
So the interval has two ends with two reasons:

- at most, all disputes are label errors: the upper end of Wilson's interval for the share of rows whose most probable
  class is not the label. It holds as long as wrong labels that the model repeats are no commoner than right ones that
  it disputes; errors that follow a rule the model can learn break it.
- at least, label errors are as common everywhere as among the rows the model is surest of, where it is hardly ever
  wrong: the least of the lower ends of Wilson's intervals for the share disputed among the surest 5, 10, 20, 30 and
  50 %, and of the lower end for the share at the very surest, read off a straight line through the surest half. The
  line matters where the model is weak and wrong even when it is sure: there the share still falls towards the surest.
  It holds as long as errors are not rarer among hard rows than among easy ones. How sure the model is does not depend
  on the row's own label, which it has not seen.

The estimate is confident learning's (confident.py), held to the interval. It alone is no interval: on clean labels of
a task that the model does badly it finds a tenth of the rows wrong. A bootstrap of it would only show how sure it is
of that. Rows drawn at random and judged by a person have neither problem: `audit` in data.label_errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.statistics.wilson import Z95, wilson

SUREST = (0.05, 0.1, 0.2, 0.3, 0.5)
LINE = 0.5
FEW = 10  # rows a line needs


@dataclass(frozen=True)
class ErrorRate:
    """Share of wrong labels: the estimate and its interval."""

    value: float
    low: float
    high: float


def estimate(labels: NDArray[np.int64], probabilities: NDArray[np.float64], num_issues: int) -> ErrorRate:
    """See above.

    Args:
        labels: [rows], at least one.
        probabilities: [rows, classes], of models that did not see the row.
        num_issues: confident learning's count.
    """
    disputed = probabilities.argmax(1) != labels
    count = len(labels)
    high = wilson(int(disputed.sum()), count)[1]
    order = np.argsort(-probabilities.max(1), kind="stable")
    low = min(high, _at_the_surest(disputed[order[: max(1, round(LINE * count))]].astype(np.float64)))
    for share in SUREST:
        surest = order[: max(1, round(share * count))]
        low = min(low, wilson(int(disputed[surest].sum()), len(surest))[0])
    return ErrorRate(float(min(max(num_issues / count, low), high)), low, high)


def _at_the_surest(disputed: NDArray[np.float64]) -> float:
    """Lower end of the 95 % interval for the height of a least-squares line at its start, at least 0.

    The errors are those of White (1980), which allow for a variance that changes along the line.

    Args:
        disputed: 0 or 1 [rows], the surest first.
    """
    n = len(disputed)
    if n < FEW:
        return 0.0
    design = np.stack([np.ones(n), (np.arange(n) + 0.5) / n], 1)
    inverse = np.linalg.inv(design.T @ design)
    height, slope = inverse @ design.T @ disputed
    residual = disputed - design @ np.array([height, slope])
    spread = inverse @ ((design * residual[:, None] ** 2).T @ design) @ inverse
    return max(0.0, float(height - Z95 * np.sqrt(spread[0, 0])))
