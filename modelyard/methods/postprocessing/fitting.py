"""Fits of the kinds of scaling.py, by likelihood, on rows the model did not learn from.

All take log-probabilities [n, classes] and the places of the right classes [n], and give the settings of their kind.
A class without rows, or with all of them, is left to the others by the smoothed targets of Platt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.postprocessing.scaling import open_isotonic, open_platt, open_temperature, open_vector
from modelyard.methods.postprocessing.step import Floats, Step, log_odds, log_softmax

Ints = NDArray[np.int64]
Settings = dict[str, Any]
PENALTY = 1e-3
"""Of vector scaling, on the mean loss, towards changing nothing: classes with few rows would run away."""
LIMITS = (-4.0, 4.0)
"""Of log T: a temperature from 0.018 to 55."""
ITERATIONS = 500


def losses(outputs: NDArray[Any], actual: Ints) -> Floats:
    """-log p of the right class for each row [n]."""
    result: Floats = -log_softmax(outputs)[np.arange(len(actual)), actual]
    return result


def temperature(logs: Floats, actual: Ints) -> Settings:
    """T of the least mean log-loss, which is convex in 1/T; to 1e-7 of log T, and not past LIMITS."""
    from scipy.optimize import minimize_scalar

    def loss(log_t: float) -> float:
        return float(losses(logs * np.exp(-log_t), actual).mean())

    found = minimize_scalar(loss, bounds=LIMITS, method="bounded", options={"xatol": 1e-7})
    return {"kind": "temperature", "temperature": float(np.exp(found.x))}


def vector(logs: Floats, actual: Ints) -> Settings:
    """Scales and shifts of the least mean log-loss and PENALTY · (|scale - 1|² + |shift|²) / 2."""
    from scipy.optimize import minimize

    n, k = logs.shape
    target = np.zeros_like(logs)
    target[np.arange(n), actual] = 1

    def loss(values: Floats) -> tuple[float, Floats]:
        found = log_softmax(logs * values[:k] + values[k:])
        error = (np.exp(found) - target) / n
        away = values - start
        slope = np.concatenate([(error * logs).sum(axis=0), error.sum(axis=0)]) + PENALTY * away
        return float(-(found * target).sum() / n + PENALTY * (away @ away) / 2), slope

    start = np.concatenate([np.ones(k), np.zeros(k)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}).x
    return {"kind": "vector", "scale": found[:k].tolist(), "shift": found[k:].tolist()}


def platt(logs: Floats, actual: Ints) -> Settings:
    """A sigmoid for each class, one against the rest; targets (n₊ + 1)/(n₊ + 2) and 1/(n₋ + 2) after Platt 1999."""
    odds = log_odds(logs)
    pairs = [sigmoid(odds[:, place], actual == place) for place in _modelled(logs)]
    return {"kind": "platt", "slope": [slope for slope, _ in pairs], "shift": [shift for _, shift in pairs]}


def sigmoid(scores: Floats, right: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and shift of the least cross-entropy between 1 / (1 + exp(-(slope · score + shift))) and the targets."""
    from scipy.optimize import minimize

    hits = int(right.sum())
    target = np.where(right, (hits + 1) / (hits + 2), 1 / (right.size - hits + 2))

    def loss(values: Floats) -> tuple[float, Floats]:
        z = scores * values[0] + values[1]
        error = 0.5 * (1 + np.tanh(z / 2)) - target
        return float((np.logaddexp(0, z) - target * z).sum()), np.array([error @ scores, error.sum()])

    start = np.array([0.0, np.log((hits + 1) / (right.size - hits + 1))])
    slope, shift = minimize(loss, start, jac=True, method="BFGS", options={"maxiter": ITERATIONS}).x.tolist()
    return slope, shift


def isotonic(logs: Floats, actual: Ints) -> Settings:
    """A rising curve of least squares for each class, one against the rest; no probability below 1 / (2n + 2)."""
    curves = [rising(np.exp(logs[:, place]), actual == place) for place in _modelled(logs)]
    drawn = [{"x": x.tolist(), "y": y.tolist()} for x, y in curves]
    return {"kind": "isotonic", "curves": drawn, "floor": 1 / (2 * len(actual) + 2)}


def rising(probabilities: Floats, right: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Knots of the isotonic regression: equal probabilities are one point, and inside a step no knot is kept."""
    from scipy.optimize import isotonic_regression

    x, place, count = np.unique(probabilities, return_inverse=True, return_counts=True)
    share = np.bincount(place, weights=right.astype(np.float64)) / count
    y: Floats = np.clip(isotonic_regression(share, weights=count).x, 0, 1)
    kept = np.ones(x.size, dtype=np.bool_)
    kept[1:-1] = (y[1:-1] != y[:-2]) | (y[1:-1] != y[2:])
    return x[kept], y[kept]


def _modelled(logs: Floats) -> range:
    """Of two classes the second says all."""
    return range(1, 2) if logs.shape[1] == 2 else range(logs.shape[1])


FITS: Mapping[str, tuple[Callable[[Floats, Ints], Settings], Callable[..., Step]]] = {
    "temperature": (temperature, open_temperature),
    "platt": (platt, open_platt),
    "vector": (vector, open_vector),
    "isotonic": (isotonic, open_isotonic),
}
"""From the fewest numbers to the most: of equals the first is taken."""


def fit(method: str, logs: Floats, actual: Ints) -> Settings:
    return FITS[method][0](logs, actual)


def applied(settings: Settings, logs: Floats) -> Floats:
    """Log-probabilities after a kind of scaling."""
    labels = [""] * logs.shape[1]
    return log_softmax(FITS[settings["kind"]][1](settings, labels).outputs(logs, []))


def cross_fitted(method: str, logs: Floats, actual: Ints, folds: Ints) -> Floats:
    """Log-probabilities [n, classes] of each row by a fit that did not see its fold."""
    found = np.empty_like(logs)
    for fold in np.unique(folds).tolist():
        held = folds == fold
        found[held] = applied(fit(method, logs[~held], actual[~held]), logs[held])
    return found
