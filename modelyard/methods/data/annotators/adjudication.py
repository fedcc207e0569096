"""One label from several votes: by majority, or by Dawid and Skene's estimate of how reliable each annotator is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.annotators.votes import Floats, Ints, Votes
from modelyard.methods.data.row_random import generator

Flags = NDArray[np.bool_]
Tie = Literal["review", "first", "random"]
MOST_CELLS = 100_000_000
LEAST = 1e-300


@dataclass(frozen=True)
class Adjudicated:
    """What the votes come to.

    Attributes:
        label: (N,) index of the class, -1 where there is none.
        shares: (N, K) share of each class: of the votes, or the posterior; rows of zeros where there is no vote.
        tied: (N,) whether the highest share belongs to several classes.
    """

    label: Ints
    shares: Floats
    tied: Flags


@dataclass(frozen=True)
class DawidSkene:
    """The estimate of A. P. Dawid and A. M. Skene.

    Attributes:
        posterior: (N, K) probability of each class given the votes; zeros for items without votes.
        prior: (K,) share of each true class.
        confusion: (A, K, K): annotator a gives class l to an item that is class k with probability [a, k, l].
        log_likelihood: of the votes, after each iteration.
        objective: log-likelihood with the smoothing's log-prior: what EM raises, after each iteration.
        converged: whether the objective stopped rising before the last iteration.
    """

    posterior: Floats
    prior: Floats
    confusion: Floats
    log_likelihood: list[float]
    objective: list[float]
    converged: bool

    def accuracy(self) -> Floats:
        """(A,): probability that an annotator names the true class."""
        found: Floats = np.einsum("k,akk->a", self.prior, self.confusion)
        return found


def vote_shares(counts: Ints) -> Floats:
    """(N, K): share of each item's votes for each class."""
    size = counts.sum(axis=1, keepdims=True)
    shares: Floats = counts / np.maximum(size, 1)
    return shares


def majority(votes: Votes, tie: Tie, seed: int) -> Adjudicated:
    """The class with the most votes.

    Args:
        tie: between classes with equally many votes: none (`review`), the one voted for first (`first`), or one drawn
            by `seed` and the item's id (`random`), whatever the order of the items.
    """
    counts = votes.counts()
    most = counts.max(axis=1, initial=0)
    best = counts == most[:, None]
    tied = (best.sum(axis=1) > 1) & (most > 0)
    label = np.where(most > 0, counts.argmax(axis=1), -1).astype(np.int64)
    if tie == "review":
        label[tied] = -1
    elif tie == "random":
        for place in np.flatnonzero(tied).tolist():
            choices = np.flatnonzero(best[place])
            label[place] = generator(seed, "tie", votes.items[place]).choice(choices)
    else:
        _first_vote(votes, best, label, tied)
    return Adjudicated(label, vote_shares(counts), tied)


def _first_vote(votes: Votes, best: Flags, label: Ints, tied: Flags) -> None:
    pending = tied.astype(bool)
    for item, given in zip(votes.item.tolist(), votes.label.tolist(), strict=True):
        if pending[item] and best[item, given]:
            label[item] = given
            pending[item] = False


def dawid_skene(
    votes: Votes, smoothing: float = 0.01, max_iterations: int = 1_000, tolerance: float = 1e-7
) -> DawidSkene:
    """Maximum likelihood of true classes and annotators' confusion matrices by EM.

    A. P. Dawid and A. M. Skene, Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm, Applied
    Statistics 28 (1979), equations 2.3 to 2.5, begun from vote shares as in 3.1. An annotator may have several votes on
    an item. With `smoothing` each confusion row has a symmetric Dirichlet prior: EM then climbs the posterior, and an
    annotator with few votes is not certain of anything.

    Args:
        smoothing: votes added to each cell of a confusion matrix; 0 is the paper's estimate.
        tolerance: ends when the objective rises by less, relative to its size.

    Raises:
        InputError: votes are not named, or annotators times classes squared are too many for memory.
    """
    num_annotators, num_classes = len(votes.annotators), len(votes.classes)
    if not votes.named:
        raise InputError(
            t("the votes are counts: who gave each is not known"),
            expected=t("an annotator with each vote, for `adjudicate: dawid_skene`"),
            remedy=t("use `adjudicate: majority`"),
        )
    if num_annotators * num_classes**2 > MOST_CELLS:
        raise InputError(
            t("{a:,} annotators with {k:,} classes need a confusion matrix each", a=num_annotators, k=num_classes),
            expected=t("at most {n:,} cells in all", n=MOST_CELLS),
            remedy=t("use `adjudicate: majority`"),
        )
    shares = vote_shares(votes.counts())
    judged = shares.sum(axis=1) > 0
    found = _climb(votes, shares, judged.astype(np.float64), smoothing, max_iterations, tolerance)
    found.posterior[~judged] = 0.0
    return found


def _climb(
    votes: Votes, posterior: Floats, judged: Floats, smoothing: float, max_iterations: int, tolerance: float
) -> DawidSkene:
    likelihoods: list[float] = []
    objectives: list[float] = []
    converged = False
    prior, confusion = _maximise(votes, posterior, smoothing)
    for _ in range(max_iterations):
        posterior, likelihood = _expect(votes, prior, confusion, judged)
        likelihoods.append(likelihood)
        penalty = smoothing * float(np.log(np.maximum(confusion, LEAST)).sum()) if smoothing else 0.0
        objectives.append(likelihood + penalty)
        if len(objectives) > 1 and objectives[-1] - objectives[-2] <= tolerance * abs(objectives[-2]):
            converged = True
            break
        prior, confusion = _maximise(votes, posterior, smoothing)
    return DawidSkene(posterior, prior, confusion, likelihoods, objectives, converged)


def _maximise(votes: Votes, posterior: Floats, smoothing: float) -> tuple[Floats, Floats]:
    """Class shares and confusion matrices that fit the present posterior best (equations 2.3, 2.4)."""
    num_annotators, num_classes = len(votes.annotators), len(votes.classes)
    cell = votes.annotator * num_classes + votes.label
    confusion = np.empty((num_annotators, num_classes, num_classes))
    for true in range(num_classes):
        weight = posterior[votes.item, true]
        given = np.bincount(cell, weights=weight, minlength=num_annotators * num_classes)
        confusion[:, true, :] = given.reshape(num_annotators, num_classes) + smoothing
    size = confusion.sum(axis=2, keepdims=True)
    confusion = np.where(size > 0, confusion / np.maximum(size, LEAST), 1 / num_classes)
    prior: Floats = posterior.sum(axis=0) / max(posterior.sum(), LEAST)
    return prior, confusion


def _expect(votes: Votes, prior: Floats, confusion: Floats, judged: Floats) -> tuple[Floats, float]:
    """Posterior of each item's class (equation 2.5) and the log-likelihood of all votes, in logarithms throughout."""
    num_items = len(votes.items)
    with np.errstate(divide="ignore"):
        log_prior, log_confusion = np.log(prior), np.log(confusion)
    score = np.empty((num_items, len(prior)))
    for true in range(len(prior)):
        # An impossible vote is minus infinity; bincount adds it as it is.
        each = log_confusion[votes.annotator, true, votes.label]
        score[:, true] = log_prior[true] + np.bincount(votes.item, weights=each, minlength=num_items)
    top = score.max(axis=1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    weight = np.exp(score - top)
    total = weight.sum(axis=1, keepdims=True)
    likelihood = math.fsum((judged * (np.log(np.maximum(total, LEAST)) + top)[:, 0]).tolist())
    return weight / np.maximum(total, LEAST), likelihood


def adjudicated(posterior: Floats) -> Adjudicated:
    """The most probable class of each item; rows of zeros have none."""
    most = posterior.max(axis=1, initial=0.0)
    label = np.where(most > 0, posterior.argmax(axis=1), -1)
    tied = ((posterior == most[:, None]).sum(axis=1) > 1) & (most > 0)
    return Adjudicated(label.astype(np.int64), posterior, tied)


def soft_label(classes: Sequence[str], shares: Floats) -> dict[str, float]:
    """Class to share of one item, those above 0, rounded to 6 digits."""
    return {name: round(float(share), 6) for name, share in zip(classes, shares, strict=True) if share >= 5e-7}
