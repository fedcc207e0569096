"""Finding known n-grams of characters in many texts at once: a trie walked by all positions in step.

A Python loop with one dictionary look-up an n-gram reads some 4,000 short texts a second; most of the time goes into
n-grams that are not in the vocabulary. Here every position starts at the root and leaves as soon as no edge fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEPARATOR = "\x00"
"""Stands between texts; no edge bears it, so no n-gram crosses."""
_CODE_POINT_BITS = 21


@dataclass(frozen=True)
class Trie:
    """Edges `state << 21 | code point` (sorted) to the next state; state 0 is the root.

    Attributes:
        edges: [edges] int64, sorted.
        targets: [edges] the state each leads to.
        features: [states] the n-gram's feature id, 0 for a state that is only on the way.
        depth: the longest n-gram.
    """

    edges: NDArray[np.int64]
    targets: NDArray[np.int64]
    features: NDArray[np.int64]
    depth: int

    @classmethod
    def of(cls, grams: Sequence[str], first_id: int) -> Trie:
        """N-grams, in the order of their ids, which count on from `first_id`."""
        states: dict[str, int] = {"": 0}
        edges: list[int] = []
        for gram in grams:
            for end in range(1, len(gram) + 1):
                if gram[:end] not in states:
                    edges.append(states[gram[: end - 1]] << _CODE_POINT_BITS | ord(gram[end - 1]))
                    states[gram[:end]] = len(states)
        features = np.zeros(len(states), np.int64)
        features[[states[gram] for gram in grams]] = np.arange(first_id, first_id + len(grams))
        keys = np.array(edges, np.int64)
        order = np.argsort(keys)
        return cls(keys[order], order + 1, features, max(map(len, grams), default=0))

    def find(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and feature ids of every known n-gram, repetitions included, in no particular order."""
        joined = SEPARATOR.join(texts).encode("utf-32-le", "surrogatepass")
        points = np.frombuffer(joined, np.uint32).astype(np.int64)
        lengths = np.fromiter(map(len, texts), np.int64, len(texts)) + 1
        row_of = np.repeat(np.arange(len(texts)), lengths)[: len(points)]
        position = np.arange(len(points))
        state = np.zeros(len(points), np.int64)
        rows, ids = [], []
        for depth in range(self.depth):
            inside = position + depth < len(points)
            position, state = position[inside], state[inside]
            known, state = self._step(state, points[position + depth])
            position = position[known]
            feature = self.features[state]
            rows.append(row_of[position[feature > 0]])
            ids.append(feature[feature > 0])
        if not rows:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return np.concatenate(rows), np.concatenate(ids)

    def _step(self, state: NDArray[np.int64], point: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which walkers find an edge, and where those stand then."""
        keys = state << _CODE_POINT_BITS | point
        at = np.minimum(np.searchsorted(self.edges, keys), len(self.edges) - 1)
        known = self.edges[at] == keys
        return known, self.targets[at[known]]
