"""Linear chains of tags over tokens: the best path (Viterbi 1967) and probabilities (the forward-backward algorithm,
as in conditional random fields: Lafferty, McCallum & Pereira 2001).

The weight of a path is the exponential of the sum of its scores and of the transitions it takes; minus infinity
forbids one. Without learned transitions that is a softmax a token, kept to valid paths. All in double precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.tasks.tags import BEGIN, INSIDE, allowed

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Chain:
    """Which tag follows which.

    Attributes:
        tags: names.
        begins: [T] added to the first token's scores; -inf forbids.
        moves: [T, T] added from row to column; -inf forbids.
    """

    tags: tuple[str, ...]
    begins: Float
    moves: Float

    @classmethod
    def of(cls, tags: Sequence[str], transitions: Any = None) -> Chain:
        """Valid IOB2 paths only.

        Args:
            transitions: [T, T] learned scores, or None: all alike.
        """
        begins, follows = allowed(tags)
        learned = np.zeros(follows.shape) if transitions is None else np.asarray(transitions, np.float64)
        return cls(tuple(tags), np.where(begins, 0.0, -np.inf), np.where(follows, learned, -np.inf))


def best_path(chain: Chain, scores: Float) -> list[int]:
    """The path of the highest weight through scores [L, T], L at least 1; of equals the one with the lowest tags."""
    best = scores[0] + chain.begins
    back = np.zeros(scores.shape, np.int64)
    for place in range(1, len(scores)):
        reached = best[:, None] + chain.moves
        back[place] = reached.argmax(0)
        best = reached.max(0) + scores[place]
    path = [int(best.argmax())]
    for place in range(len(scores) - 1, 0, -1):
        path.append(int(back[place][path[-1]]))
    return path[::-1]


@dataclass(frozen=True)
class Sums:
    """Logarithms of sums over paths through scores [L, T].

    Attributes:
        before: [L, T] of the paths up to a token with this tag, its score included.
        after: [L, T] of the paths from a token with this tag on, its score not included.
        total: of all paths.
    """

    before: Float
    after: Float
    total: float


def sums(chain: Chain, scores: Float) -> Sums:
    """Forward and backward sums; L at least 1."""
    before, after = np.empty_like(scores), np.zeros_like(scores)
    before[0] = scores[0] + chain.begins
    for place in range(1, len(scores)):
        before[place] = _log_sum(before[place - 1][:, None] + chain.moves, 0) + scores[place]
    for place in range(len(scores) - 2, -1, -1):
        after[place] = _log_sum(chain.moves + (scores[place + 1] + after[place + 1])[None], 1)
    return Sums(before, after, float(_log_sum(before[-1][:, None], 0)[0]))


def total(chain: Chain, scores: Float) -> float:
    """The logarithm of the sum over all paths, forward alone."""
    before = scores[0] + chain.begins
    for place in range(1, len(scores)):
        before = _log_sum(before[:, None] + chain.moves, 0) + scores[place]
    return float(_log_sum(before[:, None], 0)[0])


def _log_sum(values: Float, axis: int) -> Float:
    highest = values.max(axis, keepdims=True)
    safe = np.where(np.isfinite(highest), highest, 0.0)
    with np.errstate(divide="ignore"):
        result: Float = np.log(np.exp(values - safe).sum(axis)) + safe.squeeze(axis)
    return result


def path_score(chain: Chain, scores: Float, path: Sequence[int]) -> float:
    """The logarithm of a path's weight."""
    places = np.asarray(path)
    steps = chain.moves[places[:-1], places[1:]].sum()
    return float(chain.begins[places[0]] + scores[np.arange(len(places)), places].sum() + steps)


def span_probability(chain: Chain, scores: Float, found: Sums, start: int, stop: int, label: str) -> float:
    """Probability that exactly the tokens [start, stop) are a span with this label."""
    begin, inside = chain.tags.index(BEGIN + label), chain.tags.index(INSIDE + label)
    path = [begin, *[inside] * (stop - start - 1)]
    log = found.before[start, begin] + sum(
        chain.moves[path[place - 1], inside] + scores[start + place, inside] for place in range(1, len(path))
    )
    if stop < len(scores):
        onward = chain.moves[path[-1]] + scores[stop] + found.after[stop]
        log += _log_sum(np.delete(onward, inside)[:, None], 0)[0]
    return float(min(1.0, np.exp(log - found.total)))
