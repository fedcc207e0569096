"""Embeddings: whether near means alike. Cosine similarity throughout; a vector of zeros is alike to nothing (0)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BLOCK = 1024


def unit(vectors: Floats) -> Floats:
    """Rows [n, d] of length 1; zeros stay."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    result: Floats = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    return result


def cosines(first: Floats, second: Floats) -> Floats:
    """Of pairs [n]."""
    result: Floats = (unit(first) * unit(second)).sum(axis=1)
    return result


def partner_places(queries: Floats, documents: Floats, right: Sequence[int]) -> NDArray[np.int64]:
    """For each query [n] the place, from 1, of its right document among all [m] by cosine.

    Of documents that are equally near, the right one counts as the last: nothing is won by making all texts alike.
    """
    first, second = unit(queries), unit(documents)
    wanted = np.asarray(right, dtype=np.int64)
    found = np.empty(len(first), dtype=np.int64)
    for start in range(0, len(first), BLOCK):
        part = slice(start, start + BLOCK)
        near = first[part] @ second.T
        own = near[np.arange(len(near)), wanted[part]]
        found[part] = (near >= own[:, None] - 1e-12).sum(axis=1)
    return found
