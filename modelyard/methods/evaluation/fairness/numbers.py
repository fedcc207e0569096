"""A model of numbers by group: mean absolute error, mean error, and the gaps between the groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelyard.methods.data.group_columns import Grouping
from modelyard.methods.evaluation import intervals
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.fairness import gaps
from modelyard.methods.evaluation.fairness.classes import Few, Found, Gathered, unjudged
from modelyard.methods.evaluation.regression import Numbers


def measure(answers: Numbers, groupings: Sequence[Grouping], min_n: int, seed: int = 0) -> Found:
    """Errors by group; see `classes.measure`."""
    errors = answers.predicted - answers.actual
    into = Gathered()
    for grouping in groupings:
        into.estimates.append(unjudged(grouping, min_n))
    for name, values in (("mae", np.abs(errors)), ("mean_error", errors)):
        over_all = []
        for grouping in groupings:
            parts = [(group, values[grouping.codes == code]) for code, group in enumerate(grouping.names)]
            into.few += [Few(grouping.title, group, name, one.size) for group, one in parts if one.size < min_n]
            kept = [(group, one) for group, one in parts if one.size >= max(min_n, 2)]
            for group, one in kept:
                ends = intervals.bootstrap_t(one, seed=seed, non_negative=name == "mae")
                part = {"by": grouping.title, "group": group}
                into.estimates.append(Estimate(name, float(one.mean()), ends, one.size, part))
            if len(kept) < 2:
                into.missing[f"{name}_difference by {grouping.title}"] = "fewer than two groups have enough rows"
                continue
            gap = gaps.means_difference([one for _, one in kept])
            over_all.append(gaps.means_difference([one for _, one in kept], gaps.ALPHA / len(groupings)))
            part = {"by": grouping.title}
            into.estimates.append(Estimate(f"{name}_difference", gap.value, gap.interval, gap.n, part))
            into.between[(f"{name}_difference", grouping.title, "")] = tuple(kept[place][0] for place in gap.groups)
        if over_all:
            whole = gaps.largest(over_all)
            into.estimates.append(Estimate(f"{name}_difference", whole.value, whole.interval, whole.n))
    return into.found()
