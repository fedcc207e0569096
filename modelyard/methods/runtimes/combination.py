"""How the answers of several models become one: the arithmetic of the format `ensemble`.

Of classifiers the probabilities of all members are combined, of models that answer a number the numbers:

| kind | of classes | of numbers |
|---|---|---|
| `average` over `probabilities` | weighted mean (linear opinion pool) | weighted mean |
| `average` over `log_probabilities` | weighted sum of logarithms (logarithmic opinion pool, Genest & Zidek 1986) | - |
| `vote` | one vote a member; half a vote more is shared out by the mean probability, which settles ties | - |
| `stack` | multinomial logistic regression on the logarithms (Wolpert 1992; Ting & Witten 1999) | linear |
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError

Floats = NDArray[np.float64]
Kind = Literal["average", "vote", "stack"]
Over = Literal["probabilities", "log_probabilities"]
KINDS = ("average", "vote", "stack")
OVER = ("probabilities", "log_probabilities")
SCORED = ("image-classification", "tabular-classification", "text-classification")
"""Tasks whose answer is a label with a score for each."""
VALUED = ("tabular-regression", "text-regression")
"""Tasks whose answer is a number."""
FLOOR = 1e-7
"""Of a probability before its logarithm is taken: about what float32 can tell from 0 beside 1."""
TIE = 0.5
"""Votes that are shared out by the mean probability: less than one, so that they only settle ties."""


@dataclass(frozen=True)
class Stack:
    """A linear layer over all members' outputs.

    Attributes:
        weight: [outputs, features]; of classes the features are log-probabilities, member by member; of a number the
            members' numbers.
        bias: [outputs].
    """

    weight: Floats
    bias: Floats

    def outputs(self, features: Floats) -> Floats:
        """[rows, features] to [rows, outputs]."""
        result: Floats = features @ self.weight.T + self.bias
        return result


@dataclass(frozen=True)
class Combination:
    """What `model.json` calls `network` in an ensemble.

    Attributes:
        weights: [members], for `average`.
        stack: for `stack`.
    """

    kind: Kind
    over: Over = "probabilities"
    weights: Floats | None = None
    stack: Stack | None = None

    def scores(self, probabilities: Floats) -> Floats:
        """Logits [rows, classes] from the members' probabilities [members, rows, classes]."""
        if self.kind == "vote":
            return votes(probabilities)
        if self.kind == "stack":
            assert self.stack is not None
            return self.stack.outputs(features(probabilities))
        weights = _weights(self.weights, len(probabilities))
        if self.over == "log_probabilities":
            return log_pool(probabilities, weights)
        return np.log(np.maximum(pool(probabilities, weights), FLOOR))

    def values(self, numbers: Floats) -> Floats:
        """Numbers [rows] from the members' [members, rows]."""
        if self.kind == "stack":
            assert self.stack is not None
            return self.stack.outputs(numbers.T)[:, 0]
        result: Floats = _weights(self.weights, len(numbers)) @ numbers
        return result


def _weights(weights: Floats | None, count: int) -> Floats:
    return np.full(count, 1 / count) if weights is None else weights


def pool(probabilities: Floats, weights: Floats) -> Floats:
    """Weighted mean [rows, classes] of [members, rows, classes]; the weights sum to 1."""
    result: Floats = np.tensordot(weights, probabilities, 1)
    return result


def log_pool(probabilities: Floats, weights: Floats) -> Floats:
    """Weighted sum of log-probabilities; the sum of the weights is an inverse temperature."""
    result: Floats = np.tensordot(weights, np.log(np.maximum(probabilities, FLOOR)), 1)
    return result


def votes(probabilities: Floats) -> Floats:
    """Logarithms of the shares of votes, ties settled by the mean probability. A member votes for one class."""
    members, rows, classes = probabilities.shape
    counts = np.zeros((rows, classes))
    for one in probabilities.argmax(2):
        counts[np.arange(rows), one] += 1
    shares = (counts + TIE * probabilities.mean(0)) / (members + TIE)
    result: Floats = np.log(np.maximum(shares, FLOOR))
    return result


def features(probabilities: Floats) -> Floats:
    """What a stack reads: [rows, members x classes] log-probabilities."""
    members, rows, classes = probabilities.shape
    logs = np.log(np.maximum(probabilities, FLOOR))
    return np.ascontiguousarray(logs.transpose(1, 0, 2)).reshape(rows, members * classes)


def problem(network: Mapping[str, Any], task: str, count: int) -> str:
    """What is wrong with a combination as `model.json` has it; empty if nothing.

    Args:
        task: of all members.
        count: of the members.
    """
    kind = network.get("kind")
    if task not in (*SCORED, *VALUED):
        return t("models for {task} cannot be combined into one answer", task=task)
    if kind not in KINDS:
        return t("no combination `{kind}`", kind=str(kind)[:40])
    if kind == "vote" and task in VALUED:
        return t("numbers cannot be voted on")
    if network.get("over", OVER[0]) not in (OVER if task in SCORED else OVER[:1]):
        return t("`over` is {found}", found=str(network.get("over"))[:40])
    return _weights_problem(network.get("weights"), count) if kind == "average" else ""


def _weights_problem(weights: Any, count: int) -> str:
    if weights is None:
        return ""
    if not isinstance(weights, list) or len(weights) != count:
        return t("there is not one weight for each member")
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in weights)
    if not numbers or not all(math.isfinite(one) and one >= 0 for one in weights) or not sum(weights) > 0:
        return t("weights are numbers from 0 on, not all 0")
    return ""


def parse(network: Mapping[str, Any], stack: Stack | None) -> Combination:
    """A combination without a `problem`. Weights of probabilities and of numbers are made to sum to 1."""
    over: Over = network.get("over", OVER[0])
    weights = network.get("weights")
    found = None if weights is None else np.asarray(weights, np.float64)
    if found is not None and over == OVER[0]:
        found = found / found.sum()
    return Combination(network["kind"], over, found, stack)


def check_stack(stack: Stack, outputs: int, inputs: int, where: str) -> None:
    """Raises InputError if a stack is of other models."""
    finite = np.isfinite(stack.weight).all() and np.isfinite(stack.bias).all()
    if stack.weight.shape != (outputs, inputs) or stack.bias.shape != (outputs,) or not finite:
        raise InputError(
            t("the stack has the shape {found}, or numbers that are not finite", found=list(stack.weight.shape)),
            where=where,
            expected=f"[{outputs}, {inputs}]",
            remedy=t("combine the models again"),
        )
