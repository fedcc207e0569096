"""Ranking beside a classifier or a regressor: the order of each user's rows by score (`rank_by`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation import lists
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.estimates import as_json as estimate_json

NAMES = ("map", "mrr", "ndcg", "recall_at_k", "hit_rate")


def measure(
    users: Sequence[Any], gains: NDArray[np.float64], scores: NDArray[np.float64], cutoffs: Sequence[int], seed: int
) -> tuple[list[Estimate], dict[str, str]]:
    """Estimates over users, and what was left out; rows without a user are nobody's."""
    kept = np.array([user is not None for user in users])
    if (gains < 0).any():
        return [], {"ndcg": "a target is below 0, which is no gain"}
    named = [user for user in users if user is not None]
    found = lists.values(named, gains[kept], scores[kept], cutoffs)
    estimates = lists.measure(found, seed)
    return estimates, {} if estimates else {"ndcg": "no user has a relevant row"}


def as_json(estimates: Sequence[Estimate]) -> list[dict[str, Any]]:
    """The estimates of ranking, those by cut-off with their `k`; empty if none was measured."""
    return [
        {"name": one.name, **({"k": int(one.slice["k"])} if "k" in one.slice else {}), **(estimate_json(one) or {})}
        for one in estimates
        if one.name in NAMES
    ]
