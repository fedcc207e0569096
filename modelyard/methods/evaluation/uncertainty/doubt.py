"""Doubt of several models, or several passes of one, in two parts: what the rows do not say, what was not learned.

Of probabilities of K members: predictive entropy H(mean p), its aleatoric part mean H(p), and the epistemic part, their
difference: the mutual information of answer and member (Houlsby et al. 2011; Depeweg et al. 2018; Gal and Ghahramani
2016 with dropout; Lakshminarayanan, Pritzel and Blundell 2017 with several networks). More data lowers the second only.

What doubt is good for: whether it is larger where the answer is wrong (AUROC of error), and what error is left when
only the least doubtful rows are answered (AURC).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.evaluation import intervals, ranking
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.intervals import bootstrap_t
from modelyard.methods.evaluation.uncertainty import outside, selective
from modelyard.methods.runtimes.ensemble import EnsemblePredictor, probabilities
from modelyard.methods.runtimes.predictor import Record

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ask = Callable[[Sequence[Record]], Floats]
"""Records to probabilities [members, records, classes]."""
PARTS = ("predictive_entropy", "aleatoric", "epistemic")


def asking(predictor: Any, model: Path, samples: int | None, seed: int, threads: int | None) -> Ask | None:
    """How the members of a model are asked: passes with dropout, or the models of an ensemble; None if it has none.

    Raises InputError if samples are wanted of a model without dropout, or of one that answers numbers.
    """
    if samples is not None and not predictor.labels:
        raise InputError(
            t("doubt is split for classes, and this model answers a number"),
            where="dropout_samples",
            expected=t("a classifier"),
            remedy=t("leave `dropout_samples` out: `calibrate.conformal` gives intervals"),
        )
    if samples is not None:
        from modelyard.methods.runtimes.dropout import open_dropout

        return open_dropout(model, samples, seed, threads).members
    if not isinstance(predictor, EnsemblePredictor) or not predictor.labels:
        return None
    return lambda records: np.stack(
        [probabilities(member.predict(records), predictor.labels) for member in predictor.members]
    )


def parts(members: Floats) -> dict[str, Floats]:
    """The doubt about each row [rows], by part, in nats; members are [members, rows, classes]."""
    whole, inner = outside.entropy(members.mean(axis=0)), outside.entropy(members).mean(axis=0)
    return {"predictive_entropy": whole, "aleatoric": inner, "epistemic": np.maximum(whole - inner, 0.0)}


def estimates(doubt: Mapping[str, Floats], seed: int) -> list[Estimate]:
    """The mean of each part."""
    return [
        Estimate(
            name, float(doubt[name].mean()), bootstrap_t(doubt[name], seed=seed, non_negative=True), len(doubt[name])
        )
        for name in PARTS
    ]


def of_errors(scores: Mapping[str, Floats], wrong: Bools, seed: int) -> list[Estimate]:
    """How well each score, larger for more doubt, tells wrong answers from right ones; nothing if all are alike."""
    if not wrong.any() or wrong.all():
        return []
    found = []
    for name, score in scores.items():
        part, n = {"score": name}, wrong.size
        ends = intervals.auc_interval(wrong, score)
        found.append(Estimate("error_auroc", ranking.roc_auc(wrong, score), ends, n, part))
        found.append(
            Estimate("error_aurc", selective.aurc(wrong, -score), selective.interval(wrong, -score, seed), n, part)
        )
    return found
