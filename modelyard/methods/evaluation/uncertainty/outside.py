"""Scores of how strange a row is, larger for stranger; and whether they tell rows from elsewhere apart.

`confidence` 1 - the highest probability (Hendrycks and Gimpel 2017); `entropy` of the probabilities; `energy`
-log Σ exp logit (Liu et al. 2020), of the network's own logits; `mahalanobis` the least distance of the last features
to a class mean under one covariance (Lee et al. 2018); `neighbour` the distance to the k-th nearest training row,
features of length 1 (Sun et al. 2022); of ensembles `disagreement`: the mutual information of answer and member
(Houlsby et al. 2011; Lakshminarayanan et al. 2017).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.runtimes.predictor import Record

Floats = NDArray[np.float64]
NEIGHBOUR = 10
BATCH = 64
RIDGE = 1e-6


def of_probabilities(probabilities: Floats) -> dict[str, Floats]:
    return {"confidence": 1 - probabilities.max(axis=1), "entropy": entropy(probabilities)}


def entropy(probabilities: Floats) -> Floats:
    """In nats, of the last axis."""
    result: Floats = -(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(axis=-1)
    return result


def energy(logits: NDArray[Any]) -> Floats:
    values = logits.astype(np.float64)
    top = values.max(axis=1)
    result: Floats = -(top + np.log(np.exp(values - top[:, None]).sum(axis=1)))
    return result


def disagreement(members: Floats) -> Floats:
    """Entropy of the mean less the mean entropy, of probabilities [members, rows, classes]."""
    result: Floats = entropy(members.mean(axis=0)) - entropy(members).mean(axis=0)
    return result


def mahalanobis(train: Floats, classes: NDArray[np.int64], rows: Floats) -> Floats:
    """Least squared distance to a class mean, under the covariance within classes (pseudo-inverse with a ridge)."""
    names = np.unique(classes)
    means = np.stack([train[classes == one].mean(axis=0) for one in names])
    centred = train - means[np.searchsorted(names, classes)]
    covariance = centred.T @ centred / len(train)
    covariance += RIDGE * max(float(np.trace(covariance)) / len(covariance), 1e-12) * np.eye(len(covariance))
    root = np.linalg.cholesky(np.linalg.inv(covariance))
    result: Floats = _squared(rows @ root, means @ root).min(axis=1)
    return result


def neighbour(train: Floats, rows: Floats, k: int = NEIGHBOUR) -> Floats:
    """Distance to the k-th nearest training row, all brought to length 1."""
    one, other = (values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12) for values in (train, rows))
    place = min(k, len(one)) - 1
    parts = [np.partition(_squared(other[start : start + 512], one), place, axis=1)[:, place]
             for start in range(0, len(other), 512)]  # fmt: skip
    result: Floats = np.sqrt(np.maximum(np.concatenate(parts), 0))
    return result


def _squared(one: Floats, other: Floats) -> Floats:
    """Squared distances [rows of one, rows of other]."""
    result: Floats = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None, :] - 2 * one @ other.T
    return result


def features(folder: Path, batches: Sequence[Sequence[Record]]) -> list[Floats] | None:
    """What the last layer reads, for each batch of records [rows, features]; None if the network has no such layer.

    Raises InputError if the model cannot be opened as a torch network.
    """
    import torch

    from modelyard.methods.runtimes.differentiable import open_differentiable

    opened = open_differentiable(folder)
    heads = [
        one
        for one in opened.module.modules()
        if isinstance(one, torch.nn.Linear) and one.out_features == len(opened.labels)
    ]
    if not heads:
        return None
    caught: list[Any] = []
    handle = heads[-1].register_forward_pre_hook(lambda _module, given: caught.append(given[0]))
    try:
        return [_features(opened, records, caught) for records in batches]
    finally:
        handle.remove()


def _features(opened: Any, records: Sequence[Record], caught: list[Any]) -> Floats:
    import torch

    parts = []
    for start in range(0, len(records), BATCH):
        caught.clear()
        with torch.no_grad():
            opened.logits(opened.encode(records[start : start + BATCH]))
        parts.append(caught[-1].reshape(len(records[start : start + BATCH]), -1).double().numpy())
    return np.concatenate(parts)


def false_alarms(inside: Floats, outside: Floats, caught: float = 0.95) -> tuple[int, int]:
    """Inside rows at or above the score that catches a share of the outside rows, and how many there are: FPR at 95 %
    TPR, where a find is a row from outside."""
    threshold = np.quantile(outside, 1 - caught, method="inverted_cdf")
    return int((inside >= threshold).sum()), inside.size


def together(inside: Mapping[str, Floats], outside: Mapping[str, Floats]) -> dict[str, tuple[Floats, Floats]]:
    return {name: (inside[name], outside[name]) for name in inside if name in outside}
