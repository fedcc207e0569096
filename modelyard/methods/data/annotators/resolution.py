"""From votes to labels, under the rules the user set: which items get one, which go to review and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from modelyard.methods.data.annotators.adjudication import (
    Adjudicated,
    DawidSkene,
    Tie,
    adjudicated,
    dawid_skene,
    majority,
    vote_shares,
)
from modelyard.methods.data.annotators.agreement import row_agreement
from modelyard.methods.data.annotators.votes import Floats, Ints, Votes

NO_VOTE, TOO_FEW, TIED, LOW = "no vote", "too few annotators", "tied votes", "too little agreement"


@dataclass(frozen=True)
class Resolving:
    """How votes become labels.

    Attributes:
        tie: see `adjudication.majority`.
        smoothing: of Dawid and Skene's confusion matrices.
        shares: what the soft label holds: shares of the `votes`, or the `posterior`; `auto`: the posterior if there
            is one.
        min_annotators: fewer annotators on an item send it to review.
        min_share: an item whose class has a smaller share of the soft label goes to review.
    """

    adjudicate: Literal["majority", "dawid_skene"] = "majority"
    tie: Tie = "review"
    smoothing: float = 0.01
    shares: Literal["auto", "votes", "posterior"] = "auto"
    min_annotators: int = 1
    min_share: float = 0.0


@dataclass(frozen=True)
class Resolution:
    """What became of each of the N items.

    Attributes:
        label: (N,) index of the class; meaningful where `reason` is empty.
        shares: (N, K) the soft labels.
        num_annotators: (N,) who voted on it.
        agreement: (N,) share of its pairs of votes that agree; not-a-number with fewer than two.
        reason: why an item has no label, `` if it has one.
        model: Dawid and Skene's estimate, if it was asked for.
    """

    label: Ints
    shares: Floats
    num_annotators: Ints
    agreement: Floats
    reason: list[str]
    model: DawidSkene | None

    @property
    def disagreement(self) -> tuple[int, int]:
        """Items whose votes are not all alike, of how many with two votes or more."""
        several = ~np.isnan(self.agreement)
        return int((self.agreement[several] < 1).sum()), int(several.sum())


def resolve(votes: Votes, rules: Resolving, seed: int) -> Resolution:
    """One label an item, or the reason why it has none."""
    counts = votes.counts()
    model = dawid_skene(votes, rules.smoothing) if rules.adjudicate == "dawid_skene" else None
    found = majority(votes, rules.tie, seed) if model is None else adjudicated(model.posterior)
    shares = vote_shares(counts) if model is None or rules.shares == "votes" else model.posterior
    num = _annotators(votes, counts)
    return Resolution(found.label, shares, num, row_agreement(counts), _reasons(found, shares, num, rules), model)


def _annotators(votes: Votes, counts: Ints) -> Ints:
    """(N,): distinct annotators of each item; where they are not named, its votes."""
    if not votes.named:
        found: Ints = counts.sum(axis=1)
        return found
    pairs = np.unique(votes.item * len(votes.annotators) + votes.annotator)
    return np.bincount(pairs // len(votes.annotators), minlength=len(votes.items)).astype(np.int64)


def _reasons(found: Adjudicated, shares: Floats, num: Ints, rules: Resolving) -> list[str]:
    # Shares are compared at the digits they are stored with: 2 of 3 votes is not under `min_share: 0.6667`.
    share = np.round(shares[np.arange(len(num)), np.maximum(found.label, 0)], 4)
    conditions = [
        num == 0,
        num < rules.min_annotators,
        found.tied & (rules.tie == "review"),
        share < round(rules.min_share, 4),
    ]
    return np.select(conditions, [NO_VOTE, TOO_FEW, TIED, LOW], default="").tolist()  # type: ignore[no-any-return]
