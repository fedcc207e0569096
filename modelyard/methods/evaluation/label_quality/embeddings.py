"""Texts as short vectors: TF-IDF n-grams, reduced by a truncated singular value decomposition (latent semantic
analysis, Deerwester et al. 1990), of length 1. Learned from training texts and a part of the pool, without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd

from modelyard.methods.preprocessing import ngrams

MOST_TEXTS = 20_000
MOST_FEATURES = 50_000
DIGITS = 5


@dataclass(frozen=True)
class Embedding:
    """A fitted reduction."""

    vocabulary: ngrams.Ngrams
    axes: NDArray[np.float64]

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """[texts, dimensions]; zeros for a text without a known n-gram. Rounded, so that the order of a machine's
        sums decides nothing later."""
        projected = _matrix(self.vocabulary, texts) @ self.axes.T
        norms = np.sqrt((projected**2).sum(1, keepdims=True))
        found: NDArray[np.float64] = np.round(projected / np.maximum(norms, 1e-12), DIGITS)
        return found


def fit(texts: Sequence[str], dimensions: int, seed: int) -> Embedding:
    """Learn the axes from texts, the first MOST_TEXTS of them."""
    vocabulary = ngrams.fit(texts[:MOST_TEXTS], max_features=MOST_FEATURES)
    x = _matrix(vocabulary, texts[:MOST_TEXTS])
    size = max(1, min(dimensions, min(x.shape) - 1))
    _, _, axes = randomized_svd(x, size, random_state=seed % 2**32)
    return Embedding(vocabulary, np.asarray(axes, np.float64))


def _matrix(vocabulary: ngrams.Ngrams, texts: Sequence[str]) -> csr_matrix:
    rows, ids, weights = vocabulary.sparse(texts)
    return csr_matrix((weights.astype(np.float64), (rows, ids)), shape=(len(texts), vocabulary.num_features))
