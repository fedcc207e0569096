"""Membership inference: can one tell from a model's loss whether a row was in its training data?

The attack says "member" where the score is high. Scores: the LOSS attack takes -loss (Yeom et al. 2018, "Privacy risk
in machine learning"); with shadow models the score is the logit of the confidence less its mean over models that saw
neither (offline LiRA with one variance: Carlini et al. 2022, "Membership inference attacks from first principles").
What counts is the rate of true members found at a low rate of false ones, not the area.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.intervals import auc_interval
from modelyard.methods.evaluation.ranking import roc_auc
from modelyard.methods.statistics import clopper_pearson

Floats = NDArray[np.float64]
Interval = tuple[float, float]
LEVEL = 0.9875
"""Of each of the four one-sided bounds an interval is made of: together 95 % (Bonferroni)."""


@dataclass(frozen=True)
class Rate:
    """Share of members found at a false positive rate, with its interval; `why` says why there is none."""

    value: float | None
    interval: Interval | None
    why: str = ""


def area(members: Floats, others: Floats) -> tuple[float, Interval | None]:
    """AUC of the scores and its 95 % interval; ties count half."""
    positive = np.concatenate([np.ones(members.size, bool), np.zeros(others.size, bool)])
    scores = np.concatenate([members, others])
    return float(roc_auc(positive, scores)), auc_interval(positive, scores)


def tpr_at(members: Floats, others: Floats, fpr: float) -> Rate:
    """True positive rate at the lowest threshold whose false positive rate among `others` is at most `fpr`.

    The threshold is itself estimated. The interval holds for the threshold that has `fpr` in truth: that one lies
    between two order statistics of the others' scores, and Clopper and Pearson's bounds are taken at those (Bonferroni
    over the four bounds). Without 1 / fpr others there is no such threshold to speak of: no value.
    """
    n = others.size
    if n < math.ceil(1 / fpr - 1e-9):
        return Rate(None, None, "too few rows that were not in training for this false positive rate")
    falling = np.sort(others)[::-1]
    value = _found(members, falling, math.floor(n * fpr + 1e-9))
    few, many = _order(n, fpr)
    low = 0.0
    if few is not None:
        missed = int((members <= falling[few]).sum())
        low = 1 - clopper_pearson.upper(missed, members.size, LEVEL)
    hits_many = int((members >= falling[many]).sum()) if many < n else members.size
    high = clopper_pearson.upper(hits_many, members.size, LEVEL)
    return Rate(value, (min(low, value), max(high, value)))


def _found(members: Floats, falling: Floats, allowed: int) -> float:
    """Share of members above the threshold that lets at most `allowed` others pass."""
    if allowed >= falling.size:
        return 1.0
    return float((members > falling[allowed]).mean())


def _order(n: int, fpr: float) -> tuple[int | None, int]:
    """Places (from the top, from 0) of others between which the true threshold lies; None: it may be above all."""
    from scipy.stats import binom

    # P(the true quantile is above the j-th largest) = P(Binomial(n, fpr) <= j): fewer than j+1 exceed it.
    counts = np.arange(n)
    below = binom.cdf(counts, n, fpr)
    low = int(np.searchsorted(below, 1 - LEVEL, side="right")) - 1
    many = int(np.searchsorted(below, LEVEL, side="left"))
    return (low if low >= 0 else None), min(many, n)


def logit_confidence(losses: Floats) -> Floats:
    """log(p / (1 - p)) of p = exp(-loss): nearer to normal than p or the loss (Carlini et al. 2022)."""
    losses = np.clip(losses, 1e-12, 700)
    return np.asarray(-losses - np.log(-np.expm1(-losses)), dtype=np.float64)


def calibrated(losses: Floats, shadows: Floats) -> Floats:
    """Scores beside shadow models that saw none of the rows.

    Args:
        losses: of the model, [n].
        shadows: of each shadow, [k, n].
    """
    reference = np.stack([logit_confidence(row) for row in shadows])
    return np.asarray(logit_confidence(losses) - reference.mean(0), dtype=np.float64)
