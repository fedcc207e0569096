"""Groups in which one predictor does better, among many that were looked at: false findings are kept rare.

Every group is tested for no difference, exactly (McNemar) or by shuffling, and the p-values are adjusted after
Benjamini and Hochberg, so that of what is listed at most 5 % is chance in the mean. Intervals of what was found are
widened for having been picked (Benjamini and Yekutieli 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelyard.methods.evaluation.comparing.scoring import Scored
from modelyard.methods.evaluation.comparing.slicing import Slice
from modelyard.methods.evaluation.comparing.testing import Interval, flipped, interval_of, two_sided
from modelyard.methods.statistics.multiplicity import benjamini_hochberg, selected_level

COLUMNS = 400
"""Groups shuffled at once."""


@dataclass(frozen=True)
class Finding:
    """A group and how the predictors differ in it.

    Attributes:
        gain: mean gain of the model in the group; negative: a regression.
        p, adjusted: alone, and for all groups that were tested.
        interval: of the gain, at the level of what was selected.
    """

    part: dict[str, str]
    n: int
    model: float
    against: float
    gain: float
    p: float
    adjusted: float
    interval: Interval | None


@dataclass(frozen=True)
class Search:
    """What came of it: groups tested, findings with the worst regression first."""

    num_tested: int
    findings: tuple[Finding, ...]

    @property
    def regressions(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.gain < 0)

    @property
    def gains(self) -> tuple[Finding, ...]:
        return tuple(reversed([one for one in self.findings if one.gain > 0]))


def search(scored: Scored, slices: Sequence[Slice], rate: float, seed: int) -> Search:
    """Test every group.

    Args:
        rate: of false discoveries.
    """
    values = p_values(scored, slices, seed)
    adjusted = benjamini_hochberg(values)
    chosen = [place for place, value in enumerate(adjusted) if value <= rate]
    level = selected_level(len(chosen), len(slices), min(rate, 0.05))
    found = []
    for place in chosen:
        part = scored.only(slices[place].rows)
        means = float(part.model.mean()), float(part.against.mean())
        gain, ends = float(part.gain.mean()), interval_of(part, seed, level)
        found.append(
            Finding(dict(slices[place].part), slices[place].n, *means, gain, values[place], adjusted[place], ends)
        )
    found.sort(key=lambda one: (one.gain, sorted(one.part.items())))
    return Search(len(slices), tuple(found))


def p_values(scored: Scored, slices: Sequence[Slice], seed: int) -> list[float]:
    """Of no difference in each group: exact for right and wrong, by shuffled signs for other scores."""
    if scored.measure.binary:
        won, lost = scored.gain > 0, scored.gain < 0
        better = np.array([int((won & one.rows).sum()) for one in slices], dtype=np.int64)
        worse = np.array([int((lost & one.rows).sum()) for one in slices], dtype=np.int64)
        return [float(value) for value in two_sided(better, better + worse)]
    found: list[float] = []
    for start in range(0, len(slices), COLUMNS):
        rows = np.stack([one.rows for one in slices[start : start + COLUMNS]], axis=1)
        found += flipped(scored.gain[:, None] * rows, seed).tolist()
    return found
