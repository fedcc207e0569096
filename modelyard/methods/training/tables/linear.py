"""Linear models on tables: logistic regression (lbfgs) and ridge regression; validation chooses the penalty."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from modelyard.base.messages import t
from modelyard.methods import networks
from modelyard.methods.preprocessing.table import Table
from modelyard.methods.training import evaluation, fixed
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.tables.learned import Learned, shape_of

Arrays = Mapping[str, NDArray[Any]]
ITERATIONS = 2000
CERTAIN = 10.0
"""Logit of a class that is answered whatever the row is."""
Refit = Callable[[NDArray[Any], NDArray[np.float32]], Learned]


def train(
    table: Table,
    training: Arrays,
    validation: Arrays,
    targets: tuple[NDArray[Any], NDArray[Any]],
    weights: NDArray[np.float32],
    num_labels: int,
    strengths: Sequence[float],
    hooks: Hooks,
) -> Learned:
    """Fit with every strength (inverse of the L2 penalty) and keep the one of the least validation loss.

    Args:
        targets: of training and validation.
        num_labels: 0: the targets are quantities.
    """
    spec = {"kind": "table_linear", **shape_of(table, num_labels or 1)}
    design = _design(training, spec)
    best: tuple[float, float, torch.nn.Module, NDArray[np.float32]] | None = None
    for place, strength in enumerate(strengths):
        hooks.progress(place, len(strengths), "strengths")
        coefficients, bias = _fit(design, targets[0], weights, num_labels, strength)
        module = _network(spec, coefficients, bias)
        outputs = _outputs(module, validation)
        loss = (evaluation.scores if num_labels else fixed.number_scores)(
            outputs if num_labels else outputs[:, 0], targets[1]
        )["loss"]
        if best is None or loss < best[0]:
            best = (loss, strength, module, outputs)
    if best is None:
        raise ValueError("no strength to try")
    hooks.say(t("linear: validation chose the strength {strength:g}", strength=best[1]))
    num = sum(parameter.numel() for parameter in best[2].parameters())
    return Learned("linear", table, best[3], num, {"strength": best[1]}, module=best[2], network=spec)


def refit(table: Table, before: Learned, arrays: tuple[Arrays, Arrays]) -> Refit:
    """How to fit again with other targets and weights, with the penalty that validation chose before.

    Args:
        arrays: of the rows to be learned from, and of validation.
    """
    design, strength = _design(arrays[0], before.network), float(before.details["strength"])

    def fit(targets: NDArray[Any], weights: NDArray[np.float32]) -> Learned:
        if len(set(targets.tolist())) > 1:
            coefficients, bias = _fit(design, targets, weights, 2, strength)
        else:
            coefficients, bias = np.zeros((design.shape[1], 2)), np.where(np.arange(2) == targets[0], CERTAIN, 0.0)
        module = _network(before.network, coefficients, bias)
        outputs = _outputs(module, arrays[1])
        return replace(before, outputs=outputs, module=module)

    return fit


def outputs(learned: Learned, arrays: Arrays) -> NDArray[np.float32]:
    """[rows, outputs] of a model that was fitted."""
    assert learned.module is not None
    return _outputs(learned.module, arrays)


def _design(arrays: Arrays, spec: Mapping[str, Any]) -> Any:
    """[rows, numbers + codes] sparse: the numbers, then one column for each code of each category."""
    categories = arrays["categories"]
    parts = [sparse.csr_matrix(arrays["numbers"].astype(np.float64))]
    for place, size in enumerate(spec["sizes"]):
        rows = np.arange(len(categories))
        ones = np.ones(len(categories))
        parts.append(sparse.csr_matrix((ones, (rows, categories[:, place])), shape=(len(categories), size)))
    return sparse.hstack(parts, format="csr")


def _fit(
    design: Any, targets: NDArray[Any], weights: NDArray[np.float32], num_labels: int, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients [columns, outputs] and bias [outputs]."""
    from sklearn.linear_model import LogisticRegression, Ridge

    if not num_labels:
        mean = float(np.average(targets, weights=weights))
        ridge = Ridge(alpha=1 / strength, solver="lsqr", max_iter=ITERATIONS, tol=1e-8)
        ridge.fit(design, targets - mean, sample_weight=weights)
        return ridge.coef_.reshape(1, -1).T, np.array([ridge.intercept_ + mean])
    logistic = LogisticRegression(C=strength, solver="lbfgs", max_iter=ITERATIONS)
    logistic.fit(design, targets, sample_weight=weights)
    if num_labels == 2:
        zero = np.zeros_like(logistic.coef_)
        return np.concatenate([zero, logistic.coef_]).T, np.array([0.0, logistic.intercept_[0]])
    return logistic.coef_.T, logistic.intercept_


def _network(spec: Mapping[str, Any], coefficients: NDArray[np.float64], bias: NDArray[np.float64]) -> torch.nn.Module:
    module = networks.build(spec)
    numbers = int(spec["num_numbers"])
    rows = np.zeros((max(1, sum(spec["sizes"])), len(bias)))
    rows[: len(coefficients) - numbers] = coefficients[numbers:]
    state = {"weight": coefficients[:numbers], "rows": rows, "bias": bias}
    module.load_state_dict({name: torch.from_numpy(value.astype(np.float32)) for name, value in state.items()})
    return module.eval()


def _outputs(module: torch.nn.Module, arrays: Arrays) -> NDArray[np.float32]:
    inputs = {name: torch.from_numpy(arrays[name]) for name in ("numbers", "categories")}
    with torch.inference_mode():
        result: NDArray[np.float32] = module(**inputs).numpy()
    return result
