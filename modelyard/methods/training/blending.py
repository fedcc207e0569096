"""Several candidates answer together; how much each counts is fitted on validation. See networks/blend.py."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from modelyard.methods.networks.blend import Blend
from modelyard.methods.training import evaluation
from modelyard.methods.training.candidates import Candidate

PRIOR = 0.5
"""Weights are drawn towards this, as if one more row said so: a handful of rows cannot push them to the edge."""
DIGITS = 4


def fit_weights(logits: Sequence[NDArray[np.float32]], labels: NDArray[np.int64]) -> list[float]:
    """Positive weights of several [rows, classes] logits that make the cross-entropy of their sum least."""

    def loss(exponents: NDArray[np.float64]) -> float:
        mixed = sum(np.exp(exponent) * one for exponent, one in zip(exponents, logits, strict=True))
        penalty = float(((exponents - np.log(PRIOR)) ** 2).sum()) / len(labels)
        return evaluation.scores(np.asarray(mixed), labels)["loss"] + penalty

    found = minimize(loss, np.full(len(logits), np.log(PRIOR)), method="Nelder-Mead", options={"maxiter": 400})
    return [round(float(np.exp(exponent)), DIGITS) for exponent in found.x]


def blend(candidates: Sequence[Candidate], labels: NDArray[np.int64]) -> Candidate:
    """The candidates side by side. At most one of them reads n-grams; those that read tokens share a tokenizer."""
    weights = fit_weights([candidate.logits for candidate in candidates], labels)
    logits = sum(weight * one.logits for weight, one in zip(weights, candidates, strict=True))
    mixed = np.asarray(logits, np.float32)
    preprocessors = {id(part): part for candidate in candidates for part in candidate.preprocessors}
    return Candidate(
        name="blend",
        module=Blend([candidate.module for candidate in candidates], weights).eval(),
        network={"kind": "blend", "children": [dict(one.network) for one in candidates], "weights": weights},
        preprocessors=tuple(preprocessors.values()),
        logits=mixed,
        metrics=evaluation.scores(mixed, labels),
        details={
            "weights": dict(zip((one.name for one in candidates), weights, strict=True)),
            **{one.name: dict(one.details) for one in candidates},
        },
    )


def choose(candidates: Sequence[Candidate], num_rows: int, metric: str) -> Candidate:
    """The candidate to keep: of all within one standard error of the best metric, the one with the least loss.

    The one-standard-error rule (Breiman et al. 1984): among answers that validation cannot tell apart by counting
    hits, the loss tells more. With `loss` as the metric, simply the least.
    """
    if metric == "loss":
        return min(candidates, key=lambda one: one.metrics["loss"])
    best = max(one.metrics[metric] for one in candidates)
    error = float(np.sqrt(best * (1 - best) / num_rows))
    close = [one for one in candidates if one.metrics[metric] >= best - error]
    return min(close, key=lambda one: one.metrics["loss"])
