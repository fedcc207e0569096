"""Multinomial logistic regression on hashed features, one row at a time, with AdaGrad (Duchi, Hazan & Singer 2011).

Per row x with class y: p = softmax(W'x + b), g = (p - onehot(y)) x' (+ l2 W on the rows of W that x touches), G += g^2,
W -= rate g / sqrt(G). Classes get a column of zeros when they are first seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

EPSILON = np.float32(1e-10)
Floats = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass
class Learner:
    """The weights and AdaGrad's sums of squares.

    Attributes:
        weights, squares: [features, classes]; row 0 is padding and stays 0.
        bias, bias_squares: [classes].
    """

    rate: float
    l2: float
    weights: Floats
    squares: Floats
    bias: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    bias_squares: Floats = field(default_factory=lambda: np.zeros(0, np.float32))

    @classmethod
    def new(cls, num_features: int, rate: float, l2: float) -> Learner:
        """Without a class."""
        return cls(rate, l2, *(np.zeros((num_features, 0), np.float32) for _ in range(2)))

    def grow(self) -> None:
        """A column for one more class."""
        column = np.zeros((len(self.weights), 1), np.float32)
        self.weights = np.ascontiguousarray(np.concatenate([self.weights, column], 1))
        self.squares = np.ascontiguousarray(np.concatenate([self.squares, column], 1))
        self.bias = np.append(self.bias, np.float32(0))
        self.bias_squares = np.append(self.bias_squares, np.float32(0))

    def logits(self, ids: Ids, values: Floats) -> Floats:
        """[classes] of one row."""
        result: Floats = values @ self.weights[ids] + self.bias
        return result

    def learn(self, ids: Ids, values: Floats, label: int, weight: float, logits: Floats) -> None:
        """One row of this class; `logits` are its own, with the weights of now."""
        shifted = np.exp(logits - logits.max())
        error = shifted / shifted.sum()
        error[label] -= np.float32(1)
        error *= np.float32(weight)
        now = self.weights[ids]
        gradient = values[:, None] * error
        if self.l2:
            gradient += np.float32(self.l2 * weight) * now
        squares = self.squares[ids] + gradient * gradient
        self.squares[ids] = squares
        self.weights[ids] = now - np.float32(self.rate) * gradient / np.sqrt(squares + EPSILON)
        self.bias_squares += error * error
        self.bias -= np.float32(self.rate) * error / np.sqrt(self.bias_squares + EPSILON)

    def hurry(self) -> None:
        """Learn as fast as at first."""
        self.squares[:] = 0
        self.bias_squares[:] = 0

    def forget(self) -> None:
        """Begin anew."""
        self.hurry()
        self.weights[:] = 0
        self.bias[:] = 0
