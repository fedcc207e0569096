"""Kinds that make probabilities honest: temperature, vector scaling, Platt's sigmoids, isotonic curves.

Each takes logits and gives logits, so that they stand in any order. How they are fitted: fitting.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from modelyard.methods.postprocessing.step import (
    SMALLEST,
    Floats,
    Records,
    Step,
    log_odds,
    log_softmax,
    number,
    numbers,
)


class Temperature(Step):
    """Logits over T (Guo et al. 2017, "On calibration of modern neural networks"): no answer changes, only how sure
    it is."""

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def outputs(self, outputs: Floats, records: Records) -> Floats:
        return outputs.astype(np.float64) / self.temperature


class Vector(Step):
    """Logits times a scale plus a shift for each class (the same paper). Answers may change."""

    def __init__(self, scale: Floats, shift: Floats) -> None:
        self.scale, self.shift = scale, shift

    def outputs(self, outputs: Floats, records: Records) -> Floats:
        return log_softmax(outputs) * self.scale + self.shift


class Platt(Step):
    """A sigmoid of each class's log-odds, the classes then brought to a sum of 1 (Platt 1999; Zadrozny and Elkan
    2002). Of two classes the second has the one sigmoid."""

    def __init__(self, slope: Floats, shift: Floats) -> None:
        self.slope, self.shift = slope, shift

    def outputs(self, outputs: Floats, records: Records) -> Floats:
        odds = log_odds(log_softmax(outputs))
        if len(self.slope) == 1:
            second = odds[:, 1] * self.slope[0] + self.shift[0]
            return np.stack([np.zeros_like(second), second], axis=1)
        return -np.logaddexp(0.0, -(odds * self.slope + self.shift))


class Isotonic(Step):
    """A rising curve from each class's probability to how often it was right (Zadrozny and Elkan 2002), straight
    between its knots, flat beyond them, and brought to a sum of 1. Of two classes the second has the one curve.

    Args:
        curves: knots (x, y), both rising [points].
        floor: lowest probability, so that no answer is called impossible.
    """

    def __init__(self, curves: Sequence[tuple[Floats, Floats]], floor: float) -> None:
        self.curves, self.floor = tuple(curves), floor

    def outputs(self, outputs: Floats, records: Records) -> Floats:
        probabilities = np.exp(log_softmax(outputs))
        if len(self.curves) == 1:
            second = np.clip(np.interp(probabilities[:, 1], *self.curves[0]), self.floor, 1 - self.floor)
            return np.log(np.stack([1 - second, second], axis=1))
        shares = [np.interp(probabilities[:, place], *curve) for place, curve in enumerate(self.curves)]
        return np.log(np.maximum(np.stack(shares, axis=1), max(self.floor, SMALLEST)))


def open_temperature(settings: Mapping[str, Any], labels: Sequence[str]) -> Temperature:
    return Temperature(number(settings, "temperature", 1e-6, 1e6))


def open_vector(settings: Mapping[str, Any], labels: Sequence[str]) -> Vector:
    return Vector(numbers(settings, "scale", len(labels)), numbers(settings, "shift", len(labels)))


def open_platt(settings: Mapping[str, Any], labels: Sequence[str]) -> Platt:
    size = 1 if len(labels) == 2 else len(labels)
    return Platt(numbers(settings, "slope", size), numbers(settings, "shift", size))


def open_isotonic(settings: Mapping[str, Any], labels: Sequence[str]) -> Isotonic:
    found = settings.get("curves")
    size = 1 if len(labels) == 2 else len(labels)
    if not isinstance(found, list | tuple) or len(found) != size or not all(isinstance(one, Mapping) for one in found):
        raise ValueError(f"`curves` is no list of {size} curves")
    curves = [(numbers(one, "x"), numbers(one, "y")) for one in found]
    for x, y in curves:
        if not x.size or x.size != y.size or not _rising(x, strictly=True) or not _rising(y, strictly=False):
            raise ValueError("a curve of `curves` does not rise")
    return Isotonic(curves, number(settings, "floor", 0, 0.5))


def _rising(values: Floats, strictly: bool) -> bool:
    return all(one < other or (one == other and not strictly) for one, other in pairwise(values.tolist()))
