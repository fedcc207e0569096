"""How well a masked language model knows each token from what stands around it (Salazar et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Masked:
    """Tokens of one text, each masked alone.

    Attributes:
        ranks: places of the right tokens among all, from 1; of equally likely ones the right one is the last.
        log_probabilities: natural logarithms, of the same tokens.
    """

    ranks: tuple[int, ...]
    log_probabilities: tuple[float, ...]


def places(ids: Sequence[int], special: frozenset[int], most: int) -> list[int]:
    """At most `most` places of tokens that are no marks, spread evenly."""
    own = [place for place, token in enumerate(ids) if token not in special]
    if len(own) <= most:
        return own
    return [own[round(step * (len(own) - 1) / max(1, most - 1))] for step in range(most)]


def masked(
    scores: Callable[[list[list[int]], list[int]], list[NDArray[np.float64]]],
    ids: Sequence[int],
    at: Sequence[int],
    mask: int,
) -> Masked:
    """Of one text.

    Args:
        scores: texts as ids and, of each, the place that is asked: probabilities [vocabulary].
    """
    ranks, told = [], []
    if at:
        hidden = [[*ids[:place], mask, *ids[place + 1 :]] for place in at]
        for place, shares in zip(at, scores(hidden, list(at)), strict=True):
            own = shares[ids[place]]
            ranks.append(int((shares >= own).sum()))
            told.append(float(np.log(max(own, np.finfo(np.float64).tiny))))
    return Masked(tuple(ranks), tuple(told))
